"""Taking a backup: the database as it is at one moment, and every file that it names, while the tenant is served."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from .. import __version__
from ..closing import check_open
from ..errors import StateError
from ..files import locked, make_private_folder
from ..registry import Tenant
from .archive import digest_of, verify, write
from .contents import as_toml, copy_files, files_below, keep_file, keep_uploads
from .databases import Facts, copy_database, facts_of
from .drafts import draft
from .encryption import encrypted
from .keeping import Backup, place_for, prepare_folder, written_whole
from .manifest import DATABASE, TABLE, Manifest, Member

#: How often the copying begins anew, where uploads went while it was done.
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Copied:
    """A tenant as it was at one moment, in a folder of ours."""

    moment: datetime
    facts: Facts
    missing: tuple[str, ...]


def back_up(tenant: Tenant, table: Mapping[str, Any], folder: Path, recipients: Sequence[str] = ()) -> Backup:
    """Take a backup of one tenant into a folder, and read it back before it counts.

    :param table: the tenant's own table in tenants.toml.
    :param folder: the folder of backups; the archive gets its place below it.
    :param recipients: public keys to which it is encrypted. It cannot be read back then.
    :raises StateError: if the tenant has no database, or another command is at work on it.
    :raises BadArchive: if what was written cannot be restored.
    """
    with draft(tenant.settings, "backup", tenant.slug) as work:
        copy = copy_tenant(tenant, work)
        prepare_folder(folder, tenant.slug)
        path = place_for(folder, tenant.slug, copy.moment, bool(recipients))
        with written_whole(path) as file:
            with encrypted(file, recipients) as stream:
                _write(tenant, table, work, copy, stream)
            if not recipients:
                file.seek(0)
                (work / "again").mkdir()
                verify(file, work / "again")
    return Backup(tenant.slug, path, copy.moment, path.stat().st_size, bool(recipients))


def write_backup(tenant: Tenant, table: Mapping[str, Any], stream: BinaryIO, recipients: Sequence[str] = ()) -> None:
    """Write a backup of one tenant to a stream, as a pipe; see :func:`back_up`."""
    with draft(tenant.settings, "backup", tenant.slug) as work:
        copy = copy_tenant(tenant, work)
        with encrypted(stream, recipients) as plain:
            _write(tenant, table, work, copy, plain)


def _write(tenant: Tenant, table: Mapping[str, Any], work: Path, copy: Copied, stream: BinaryIO) -> None:
    (work / TABLE).write_text(as_toml(tenant.slug, table), encoding="utf-8")
    files = dict(files_below(work))
    manifest = Manifest(
        slug=tenant.slug,
        deed=copy.facts.deed,
        created_at=copy.moment.isoformat(timespec="seconds").replace("+00:00", "Z"),
        schema=copy.facts.schema,
        tenantry=__version__,
        members=tuple(Member(name, *digest_of(path)) for name, path in files.items()),
        missing=copy.missing,
    )
    write(stream, manifest, files)


def copy_tenant(tenant: Tenant, work: Path) -> Copied:
    """Copy a tenant into a folder. No other command may move or replace its files meanwhile."""
    locks = tenant.settings.state_dir / "locks"
    make_private_folder(locks)
    with locked(locks / tenant.slug):
        check_open(tenant.settings, tenant.slug)
        if not tenant.database_file.exists():
            raise StateError(f"'{tenant.slug}' has no database: there is nothing to back up yet.")
        for last in range(_TRIES - 1, -1, -1):
            copy = _copy_once(tenant, work)
            if not copy.missing or not last:
                break
            time.sleep(0.05)
        copy_files(tenant.state / "instance", work / "state" / "instance", 0o700)
        copy_files(tenant.folder, work / "overlay", 0o700)
    return copy


def _copy_once(tenant: Tenant, work: Path) -> Copied:
    """Copy the database and the files that it names: those that are there before, and those that came since."""
    uploads = work / "state" / "uploads"
    keep_uploads(tenant, uploads)
    moment = datetime.now(UTC).replace(microsecond=0)
    (work / DATABASE).unlink(missing_ok=True)
    copy_database(tenant.database_file, work / DATABASE)
    facts = facts_of(work / DATABASE)
    missing = [each for each in facts.uploads if not keep_file(tenant.state / "uploads" / each, uploads / each)]
    for path in uploads.iterdir():
        if path.name not in facts.uploads:
            path.unlink()
    return Copied(moment, facts, tuple(missing))
