"""Pictures that people upload: kept within the tenant's quota, in its own state folder, and served safely.

For blueprints: ``from tenantry import uploads``, then in a POST::

    upload = uploads.save_picture(form.file.data, alt="Our office")

and in a view of its own ``return uploads.send(id)``. A row and its file come and go with the unit of work. Only a
process that is killed between the two leaves a file without a row, which nobody can reach.
"""

from __future__ import annotations

import errno
import re
import secrets
import unicodedata
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from flask import Response, abort, current_app, send_file
from sqlalchemy import ForeignKey, String, func, select
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.datastructures import FileStorage

from . import db
from .context import current_tenant
from .error_pages import InsufficientStorage
from .errors import BadPicture, BegunTooLate, DatabaseFull, StateError
from .files import make_private_folder, write_whole
from .pictures import Picture, clean
from .times import now
from .users.current import current_user

__all__ = ["BadPicture", "NoRoomLeft", "Upload", "clean_name", "find", "remove", "save_picture", "send", "used"]

_MIB = 1024 * 1024
_FULL = (errno.ENOSPC, errno.EDQUOT)
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
#: Seconds for which a browser need not ask again: a year, as a file never changes under its id.
_MAX_AGE = 365 * 24 * 60 * 60


class Upload(db.Model):
    """An uploaded picture.

    :ivar id: 32 random hexadecimal digits: its address, and the name of its file.
    :ivar name: file name for who saves it, made safe; its ending tells what it is.
    :ivar alt: what is to be seen, in words.
    :ivar size: in bytes; ``width`` and ``height`` are in pixels.
    :ivar user_id: who uploaded it, ``None`` once that account is gone.
    :ivar created_at: in UTC.
    """

    __tablename__ = "tenantry_upload"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    alt: Mapped[str] = mapped_column(String(200), default="")
    media_type: Mapped[str] = mapped_column(String(50))
    size: Mapped[int]
    width: Mapped[int]
    height: Mapped[int]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("tenantry_user.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=now)


class NoRoomLeft(InsufficientStorage):
    """The tenant has used up its room for files, or the disk is full. Answered 507; nothing is kept."""

    description = "There is no room left for this file."


def save_picture(file: FileStorage, alt: str = "") -> Upload:
    """Keep a picture (PNG, JPEG, GIF or WebP), written anew so that nothing else is in it. Return its row.

    Call it before anything else is written: while the picture is decoded, others may write.

    :param file: as the form has it. What it is called, and says of its type, is not believed.
    :param alt: what is to be seen, in words, at most 200 characters; made from the file's name where it is left out.
    :raises BadPicture: if it is no such picture. Its ``reason`` is one of ``unknown``, ``svg``, ``broken``, ``large``.
    :raises NoRoomLeft: (507) if it would be more than the tenant's ``uploads_mb``, or the disk or the database is full.
    """
    with suppress(BegunTooLate):  # who has written already holds the lock anyway
        db.begin(write=False)
    picture = clean(file.stream.read())
    with suppress(BegunTooLate):
        db.begin(write=True)
    if used() + len(picture.content) > current_tenant.limits.uploads_mb * _MIB:
        raise NoRoomLeft()
    upload = _row(picture, file.filename or "", alt)
    _write(_path(upload.id), picture.content)
    db.session.add(upload)
    try:
        db.session.flush()
    except DatabaseFull as error:
        raise NoRoomLeft() from error
    return upload


def send(id: str) -> Response:
    """Return the response with a picture, or with a part of it, or that the browser has it already.

    It is shown in place, runs nothing, and is kept in the browser's own cache only.

    :raises werkzeug.exceptions.NotFound: if this tenant has none with that id, whatever the id looks like.
    """
    upload = find(id)
    if upload is None:
        abort(404)
    try:
        response = send_file(
            _path(upload.id),
            upload.media_type,
            download_name=upload.name,
            etag=upload.id,
            last_modified=upload.created_at,
        )
    except FileNotFoundError:
        current_app.logger.error("The upload %s of '%s' has no file", upload.id, current_tenant.slug)
        abort(404)
    response.headers["Cache-Control"] = f"private, max-age={_MAX_AGE}, immutable"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def find(id: str) -> Upload | None:
    """Return the row with an id, if this tenant has one."""
    return db.session.get(Upload, id) if _ID.fullmatch(id) else None


def remove(upload: Upload) -> None:
    """Remove a picture; its file goes once that is kept."""
    path = _path(upload.id)
    db.session.delete(upload)
    db.after_commit(lambda: _unlink(path))


def used() -> int:
    """Return the bytes of all files that the tenant has."""
    return db.session.scalar(select(func.coalesce(func.sum(Upload.size), 0))) or 0


def clean_name(name: str, ending: str = "") -> str:
    """Return the last part of a file's name, without what cannot be seen, and with another ending.

    ``../../C:\\photos\\Ünï.exe`` becomes ``Ünï.png``.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    seen = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in last[:1000])
    stem = re.sub(r"\.\w{1,5}$", "", re.sub(r"\s+", " ", seen).strip(), flags=re.ASCII).strip(" .")
    return f"{stem[:100].strip(' .') or 'picture'}{ending}"


def _row(picture: Picture, name: str, alt: str) -> Upload:
    return Upload(
        id=secrets.token_hex(16),
        name=clean_name(name, "." + picture.media_type.rpartition("/")[2]),
        alt=alt[:200] or clean_name(name),
        media_type=picture.media_type,
        size=len(picture.content),
        width=picture.width,
        height=picture.height,
        user_id=current_user.id or None,
    )


def _path(id: str) -> Path:
    return current_tenant.state / "uploads" / id


def _write(path: Path, content: bytes) -> None:
    """Write a file that is removed again if the current unit of work is undone."""
    make_private_folder(path.parent)
    try:
        write_whole(path, content)
    except OSError as error:
        if error.errno in _FULL:
            raise NoRoomLeft() from error
        raise StateError(f"{path} cannot be written ({error.strerror or error}).") from error
    db.after_rollback(lambda: _unlink(path))


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        current_app.logger.exception("A file that is no longer needed could not be removed")
