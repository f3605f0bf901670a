"""What a tenant needs before it can be served: a database with its tables and deed, then its first content.

Each step can be cut short at any point and taken again: the database is made beside its place and moved there whole,
and the first content comes in the transaction that notes that it has come.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from . import db
from . import deed as deeds
from .errors import NotProvisioned, SchemaBehind, StateError
from .files import locked, make_private_folder
from .sqlite import create_file

if TYPE_CHECKING:
    from .app import Platform
    from .registry import Tenant
    from .tenant_app import TenantApp

FirstContent = Callable[[], None]


def take_possession(platform: Platform, tenant: Tenant) -> deeds.Deed:
    """Return the deed of a tenant's database, which is made now if it is new and that is allowed.

    :raises NotProvisioned: if it is not there, and the operator creates databases by command.
    :raises SchemaBehind: if its tables are older than the blueprints.
    """
    if not tenant.database_file.exists():
        if tenant.settings.provision == "manual":
            raise NotProvisioned(tenant.slug)
        create_database(platform, tenant)
    with platform.databases.direct(tenant.database_file, tenant.limits.database_mb, "read") as connection:
        if not platform.schema.is_current(connection):
            raise SchemaBehind(tenant.slug)
        deed = deeds.read(connection)
    if deed is None:
        raise StateError(
            f"{tenant.database_file} has no deed. Restore it from a backup, or move it away to begin anew."
        )
    return deed


def create_database(platform: Platform, tenant: Tenant) -> bool:
    """Make a tenant's database with its tables and deed. Return whether it was made: once, however many ask at once."""
    file = tenant.database_file
    make_private_folder(file.parent)
    with locked(file.parent / "lock"):
        if file.exists():
            return False
        _clear_drafts(file.parent)
        draft = file.with_name(f"draft-{secrets.token_hex(4)}.db")
        create_file(draft)
        with platform.databases.direct(draft, tenant.limits.database_mb, "write") as connection:
            platform.schema.upgrade(connection)
            deeds.issue(connection)
            connection.commit()
        platform.databases.close_idle(file)
        draft.replace(file)
    return True


def _clear_drafts(folder: Path) -> None:
    """Remove what a run that was cut short left behind; the lock says that no other run is under way."""
    for draft in folder.glob("draft-*"):
        draft.unlink(missing_ok=True)


def update_database(platform: Platform, tenant: Tenant) -> bool:
    """Bring a tenant's tables to the newest version. Return whether there was anything to do."""
    with (
        locked(tenant.state / "lock"),
        platform.databases.direct(tenant.database_file, tenant.limits.database_mb, "write") as connection,
    ):
        if platform.schema.is_current(connection):
            return False
        connection.rollback()
        platform.schema.upgrade(connection)
        connection.commit()
    return True


def furnish(app: TenantApp) -> None:
    """Write the first content of every blueprint, in one transaction, unless it has been written."""
    with locked(app.tenant.state / "lock"), app.app_context():
        connection = db.begin(write=True).connection()
        deed = deeds.read(connection)
        if deed is not None and not deed.furnished:
            for write in app.first_content:
                write()
            deeds.mark_furnished(connection)


def provision(platform: Platform, tenant: Tenant) -> str:
    """Do all of it for one tenant, as ``tenantry provision`` does. Return what was done, in one word."""
    created = create_database(platform, tenant)
    updated = not created and update_database(platform, tenant)
    platform.build(tenant)
    return "created" if created else "updated" if updated else "ready"
