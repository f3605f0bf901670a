"""What a tenant needs before it can be served: a database with its tables and deed, then its first content.

Each step can be cut short at any point and taken again: the database is made beside its place and moved there whole,
and the first content comes in the transaction that notes that it has come.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from . import db
from . import deed as deeds
from .closing import back_to_wal, held_open
from .errors import NotProvisioned, SchemaBehind, StateError, TenantClosed
from .files import locked, make_private_folder, write_state_file
from .generations import Generations
from .holding import database_of, deed_file, read_deed
from .sqlite import ANY_SIZE, FORMER_FILE, DatabaseFile, create_file, side_files
from .updating import update_database

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .app import Platform
    from .registry import Settings, Tenant
    from .tenant_app import TenantApp
#: Alembic's table of versions.
_HAS_VERSIONS = "SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'"
_VERSIONS = "SELECT version_num FROM alembic_version"
_DEED = re.compile(r"[0-9a-f]{32}", re.ASCII)
_REMEDY = (
    "Bring it back from a backup, without {file.name}-wal and {file.name}-shm beside it; or, to begin anew with an "
    "empty one, remove the folder {file.parent}."
)


@dataclass(frozen=True, slots=True)
class Possession:
    """A tenant's database, found and known by its deed.

    :ivar former: slugs that the tenant had before, the last one first.
    """

    database: DatabaseFile
    deed: deeds.Deed
    former: tuple[str, ...] = ()


def take_possession(platform: Platform, tenant: Tenant) -> Possession:
    """Return a tenant's database and deed. The database is made now if it is new and that is allowed.

    :raises NotProvisioned: if it is not there, and the operator creates databases by command.
    :raises SchemaBehind: if its tables are older than the blueprints, or newer by more than additions.
    :raises StateError: if it is not there but was, or is another tenant's.
    :raises TenantClosed: if a command is at work on it.
    """
    with held_open(tenant):
        if not tenant.database_file.exists():
            if tenant.settings.provision == "manual" and not deed_file(tenant).exists():
                raise NotProvisioned(tenant.slug)
            _create(platform, tenant)
        with platform.databases.reading(database_of(tenant)) as connection:
            if (state := _state(platform, connection)) not in ("current", "newer"):
                raise SchemaBehind(tenant.slug, is_newer=state == "unknown")
            deed = deeds.read(connection)
            has_log = connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        if not has_log:  # a command that had it alone was cut short
            back_to_wal(tenant.database_file)
        return Possession(_checked_database(tenant, deed), cast(deeds.Deed, deed), _former(tenant))


def _state(platform: Platform, connection: Connection) -> str:
    """Return what a database is to this code. Where its tables are the blank one's, Alembic need not be asked."""
    blank = platform.blank.versions
    has_versions = blank and connection.exec_driver_sql(_HAS_VERSIONS).first()
    if has_versions and blank == set(connection.exec_driver_sql(_VERSIONS).scalars()):
        return "current"
    return platform.schema.state(connection)


def _former(tenant: Tenant) -> tuple[str, ...]:
    try:
        return tuple((tenant.state / FORMER_FILE).read_text().split())
    except FileNotFoundError:
        return ()


def holder_of(settings: Settings, slug: str, deed: str) -> str:
    """Return the tenant that has a deed now, as one may have been renamed; the slug where nobody has it.

    :param slug: whose it was.
    :param deed: 32 hexadecimal digits.
    """
    if not _DEED.fullmatch(deed) or _has_deed(settings, slug, deed):
        return slug
    try:
        owner = (settings.state_dir / "deeds" / deed).read_text().strip()
    except OSError:
        return slug
    return owner if _has_deed(settings, owner, deed) else slug


def _has_deed(settings: Settings, slug: str, deed: str) -> bool:
    found = read_deed(settings.state_dir / "tenants" / slug)
    return found is not None and found.hex == deed


def create_database(platform: Platform, tenant: Tenant) -> bool:
    """Make a tenant's database with its tables and deed. Return whether it was made: once, however many ask at once.

    :raises StateError: if the tenant had one already, and it is gone.
    :raises TenantClosed: if a command is at work on it.
    """
    with held_open(tenant):
        if tenant.database_file.exists():
            return False
        _create(platform, tenant)
    return True


def _check_newest(platform: Platform, tenant: Tenant) -> None:
    """Look whether this process has the configuration that is in force: by an older one it would begin a tenant anew
    that was renamed or removed a moment ago.

    :raises TenantClosed: if it has not, which it will in a moment.
    """
    if not platform.generation:  # a command, which has just read the files
        return
    current = Generations(tenant.settings.state_dir, tenant.settings.file).current()
    is_newest = current is None or current.number == platform.generation
    if not is_newest or tenant.slug not in platform.registry:
        raise TenantClosed(tenant.slug, "")


def _create(platform: Platform, tenant: Tenant) -> None:
    file = tenant.database_file
    platform.keys.check_there()
    _check_newest(platform, tenant)
    if deed_file(tenant).exists():
        raise StateError(f"The database {file} is gone, and the tenant had one. {_REMEDY.format(file=file)}")
    for left in [*file.parent.glob("draft-*"), *side_files(file)]:  # by a run that was cut short, or an old database
        left.unlink(missing_ok=True)
    draft = file.with_name(f"draft-{secrets.token_hex(4)}.db")
    if not platform.blank.copy_to(draft):
        create_file(draft)
        with platform.databases.direct(DatabaseFile.at(draft, ANY_SIZE), "write", enforce=False) as connection:
            platform.schema.upgrade(connection)
        platform.blank.keep(draft)
    with platform.databases.direct(DatabaseFile.at(draft, tenant.limits.database_mb), "write") as connection:
        deed = deeds.issue(connection)
        connection.commit()
    draft.replace(file)
    write_state_file(deed_file(tenant), f"{deed}\n".encode())


def _checked_database(tenant: Tenant, deed: deeds.Deed | None) -> DatabaseFile:
    """Return the tenant's database once its deed is the one that is written beside it."""
    file, copy = tenant.database_file, deed_file(tenant)
    if deed is None:
        raise StateError(f"The database {file} has no deed. {_REMEDY.format(file=file)}")
    if copy.exists() and read_deed(tenant.state) != deed.id:
        raise StateError(
            f"{file} is the database of another tenant, or of an earlier one: its deed is {deed.id}, and the one in "
            f"{copy} is another. Put the right database back; if this one is meant, remove {copy}."
        )
    _claim(tenant, deed)
    if not copy.exists():  # a run was cut short between the database and its copy of the deed, or it was put there
        write_state_file(copy, f"{deed.id}\n".encode())
    return database_of(tenant)


def _claim(tenant: Tenant, deed: deeds.Deed) -> None:
    """Note whose a deed is. Keys derive from it, so two tenants with one deed would accept each other's cookies.

    :raises StateError: if another tenant that is still there has it.
    """
    folder = tenant.settings.state_dir / "deeds"
    make_private_folder(folder)
    claim = folder / deed.id.hex
    with locked(folder / "lock"):
        owner = claim.read_text().strip() if claim.exists() else ""
        if owner not in ("", tenant.slug) and read_deed(tenant.state.parent / owner) == deed.id:
            raise StateError(
                f"{tenant.database_file} is a copy of the database of tenant '{owner}', with its deed. Give it one of "
                f"its own: tenantry provision {tenant.slug} --new-deed"
            )
        if owner != tenant.slug:
            write_state_file(claim, f"{tenant.slug}\n".encode())


def give_new_deed(platform: Platform, tenant: Tenant) -> None:
    """Make a database that was copied from another tenant's one of its own: every cookie and link of old is void.

    :raises TenantClosed: if a command is at work on it.
    """
    with held_open(tenant), platform.databases.direct(database_of(tenant), "write") as connection:
        deed = deeds.replace(connection)
        connection.commit()
        write_state_file(deed_file(tenant), f"{deed}\n".encode())


def furnish(app: TenantApp, deed: deeds.Deed) -> None:
    """Write the first content of each blueprint for which that was not done yet, in one transaction.

    :raises TenantClosed: if a command is at work on the tenant.
    """
    if all(blueprint in deed.furnished for blueprint, _ in app.first_content):
        return
    with held_open(app.tenant), app.app_context():
        connection = db.begin(write=True).connection()
        known = cast(deeds.Deed, deeds.read(connection)).furnished  # another worker may have been faster
        for blueprint, write in app.first_content:
            if blueprint not in known:
                write()
        for blueprint in {blueprint for blueprint, _ in app.first_content} - known:
            deeds.mark_furnished(connection, blueprint)


def provision(platform: Platform, tenant: Tenant) -> str:
    """Do all of it for one tenant, as ``tenantry provision`` does. Return what was done, in one word."""
    created = create_database(platform, tenant)
    updated = not created and update_database(platform.schema, platform.databases, tenant)
    if created or updated or not take_possession(platform, tenant).deed.furnished:
        platform.build(tenant)
    return "created" if created else "updated" if updated else "ready"
