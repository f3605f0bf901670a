"""A tenant's own data in open formats: JSON lines and CSV of each table, and the uploads, in a zip.

Secrets stay here. A column, or a table, is left out once its model says so::

    digest: Mapped[str] = mapped_column(String(64), info={"secret": True})
    __table_args__ = {"info": {"secret": True}}

What has no model is not known, and is left out too.
"""

from __future__ import annotations

import base64
import csv
import errno
import io
import json
import mimetypes
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Any, BinaryIO, cast

from sqlalchemy import Column, Result, Table, inspect, select

from . import db
from .context import current_tenant
from .organizations.scope import unscoped
from .times import IN_NAMES, now
from .uploads import NoRoomLeft, Upload

#: Rows that are in memory at once.
_ROWS = 50
_CHUNK = 256 * 1024
#: What makes a spreadsheet take a cell for a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_WHY = "a workspace is its administrators', with all that its organizations have"
_ABOUT = """\
{title}: all of its data, as of {moment} (UTC).

data/<table>.jsonl  one JSON object in each line, UTF-8. Moments are in UTC, as ISO 8601 has them; what is no text, as
                    the content of a file, is in Base64.
csv/<table>.csv     the same for spreadsheets, RFC 4180, UTF-8. A text that one would take for a formula has an
                    apostrophe before it.
uploads/            the files that were uploaded, each under its id in the table {uploads}.
manifest.json       this list, for programs.

Rows of different tables belong together by their ids: "user_id" is the "id" in tenantry_user, and so on.
Passwords, tokens, log-ins and the like are left out.

"""


@dataclass(frozen=True, slots=True)
class _Exported:
    """A table in an export."""

    table: Table
    columns: tuple[Column[Any], ...]
    about: str


def file_name() -> str:
    """Return what an export that is made now is called, as an archive of a backup is."""
    return f"{current_tenant.slug}-{now().strftime(IN_NAMES)}.zip"


def make() -> BinaryIO:
    """Return a file with the export of the current tenant. It has no name, and goes when it is closed.

    It is made before anything of it is sent: whoever reads slowly keeps no view of the database open.

    :raises NoRoomLeft: (507) if the disk is full.
    """
    file = cast(BinaryIO, tempfile.TemporaryFile(dir=current_tenant.state))  # noqa: SIM115  # its reader closes it
    try:
        write(file)
    except OSError as error:
        file.close()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoomLeft() from error
        raise
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def write(stream: BinaryIO) -> None:
    """Write the export of the current tenant, as it is at one moment, some rows at a time.

    Within a request, call ``db.begin(write=False)`` first, so that others can write meanwhile.
    """
    moment, tables, listed = now(), list(_tables()), []
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in tables:
            count = _write_rows(archive, f"data/{each.table.name}.jsonl", each, _jsonl)
            _write_rows(archive, f"csv/{each.table.name}.csv", each, _csv)
            names = [column.name for column in each.columns]
            listed.append({"table": each.table.name, "rows": count, "about": each.about, "columns": names})
        missing = list(_write_uploads(archive))
        facts = {"slug": current_tenant.slug, "title": current_tenant.title, "created_at": _plain(moment)}
        manifest = {**facts, "tables": listed, "missing_uploads": missing}
        _write_text(archive, "manifest.json", json.dumps(manifest, ensure_ascii=False, indent=1) + "\n")
        _write_text(archive, "README.txt", _about(moment, listed, missing))


def _tables() -> Iterator[_Exported]:
    """Yield the tables that have models and are there, in the order of their names."""
    there = set(inspect(db.session.connection()).get_table_names())
    models = {mapper.local_table: mapper.class_ for mapper in db.Model.registry.mappers}
    for name, table in sorted(db.Model.metadata.tables.items()):
        columns = tuple(column for column in table.columns if not column.info.get("secret"))
        if name in there and columns and not table.info.get("secret"):
            yield _Exported(table, columns, _sentence(models.get(table)))


def _sentence(model: Any) -> str:
    """Return what a model's docstring begins with, unless it has none of its own."""
    text = (model.__dict__.get("__doc__") or "") if model else ""
    return " ".join(text.strip().partition("\n\n")[0].split())


def _write_rows(
    archive: zipfile.ZipFile, name: str, exported: _Exported, write: Callable[[IO[str], Result[Any]], int]
) -> int:
    query = unscoped(select(*exported.columns).order_by(*exported.table.primary_key.columns), _WHY)
    rows = db.session.execute(query, execution_options={"yield_per": _ROWS})
    with (
        archive.open(_entry(name), "w", force_zip64=True) as file,
        io.TextIOWrapper(file, encoding="utf-8", newline="") as text,
    ):
        return write(text, rows)


def _jsonl(text: IO[str], rows: Result[Any]) -> int:
    count = 0
    for row in rows:
        values = {key: _plain(value) for key, value in row._mapping.items()}
        text.write(json.dumps(values, ensure_ascii=False, default=str) + "\n")
        count += 1
    return count


def _csv(text: IO[str], rows: Result[Any]) -> int:
    writer, count = csv.writer(text), 0
    writer.writerow(rows.keys())
    for row in rows:
        writer.writerow([_cell(_plain(value)) for value in row])
        count += 1
    return count


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, datetime):
        return value.isoformat() + ("" if value.tzinfo else "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (bytes, memoryview)):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        return str(value)
    return value


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _write_uploads(archive: zipfile.ZipFile) -> Iterator[str]:
    """Write the uploaded files, and yield the ids of those that are gone."""
    for upload in db.session.execute(select(Upload.id, Upload.media_type).order_by(Upload.id)):
        name = f"uploads/{upload.id}{mimetypes.guess_extension(upload.media_type) or ''}"
        try:
            with (
                (current_tenant.state / "uploads" / upload.id).open("rb") as file,
                archive.open(_entry(name, zipfile.ZIP_STORED), "w") as entry,
            ):
                shutil.copyfileobj(file, entry, _CHUNK)
        except FileNotFoundError:
            yield upload.id


def _write_text(archive: zipfile.ZipFile, name: str, text: str) -> None:
    with archive.open(_entry(name), "w") as file:
        file.write(text.encode())


def _entry(name: str, method: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, now().timetuple()[:6])
    entry.compress_type, entry.external_attr = method, 0o600 << 16
    return entry


def _about(moment: datetime, listed: Sequence[dict[str, Any]], missing: Sequence[str]) -> str:
    head = _ABOUT.format(title=current_tenant.title, moment=f"{moment:%Y-%m-%d %H:%M:%S}", uploads=Upload.__tablename__)
    lines = [f"{each['table']} ({each['rows']} rows): {each['about']}" for each in listed]
    lines += [f"The file of the upload {each} was gone." for each in missing]
    return head + "\n".join(lines) + "\n"
