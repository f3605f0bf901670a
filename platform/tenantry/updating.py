"""Bringing the tables of a tenant that is there to the newest version.

Where the revisions only add to the tables, workers with older code serve the tenant all the while. Where they do more,
the tenant is closed to them first: its deed gets another time, by which every worker sees within a second that the
database is another than the one it knew (``DatabaseFile``), lets go of it, and finds the tenant held; what a worker was
just writing is not kept. Once the tables are new, code that does not fit them answers 503.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

from .closing import check_open
from .holding import database_of, deed_file, held
from .sqlite import SqliteDatabases

if TYPE_CHECKING:
    from .registry import Tenant
    from .schema_versions import SchemaVersions

#: Seconds within which every worker has seen that a tenant was closed: a little more than ``Platform`` is sure for.
NOTICED = 1.2
#: Milliseconds that a migration waits for a writer. It can wait longer than a visitor.
_PATIENCE = 10_000
#: Seconds that one of several tenants is waited for, as while a worker builds its app.
_SHORTLY = 0.5


def update_database(schema: SchemaVersions, databases: SqliteDatabases, tenant: Tenant) -> list[str]:
    """Bring a tenant's tables to the newest version. Return the revisions that were applied, in order.

    :raises StateError: if it has revisions that there are none of here.
    """
    with held(tenant):
        return update_held(schema, databases, tenant)


def update_held(
    schema: SchemaVersions, databases: SqliteDatabases, tenant: Tenant, *, is_closed: bool = False
) -> list[str]:
    """Do the same for a tenant that is held already.

    :param is_closed: whether the workers have let go of it.
    :raises TenantClosed: if another command is at work on it, as a restore.
    """
    check_open(tenant.settings, tenant.slug)
    with databases.direct(database_of(tenant), "read", enforce=False) as connection:
        pending = schema.pending(connection)
        connection.rollback()  # the upgrade begins by itself, and writes
        if not pending:
            return []
        if not is_closed and not all(step.additive for step in pending):
            _close(tenant)
            time.sleep(NOTICED)
            connection.info["file"] = database_of(tenant)  # which has changed for us, too
        connection.info["mode"] = "write"
        raw = cast(Any, connection.connection.dbapi_connection)
        raw.execute(f"PRAGMA busy_timeout = {_PATIENCE}")
        # The disk is waited for once, when the connection closes. Should the power fail before, the tenant is behind
        # again, unless a visitor has written since: that took the migration along (sqlite.org/wal.html, 2.3).
        raw.execute("PRAGMA synchronous = NORMAL")
        return schema.upgrade(connection)


@contextmanager
def closed(tenants: Sequence[Tenant]) -> Iterator[list[ExitStack]]:
    """Hold several tenants, closed to the workers, so that these are waited for once and not for each.

    It gives what lets go of each tenant, in their order: a visitor is let in again once his tenant is done.

    :raises StateError: if another process holds one of them, which is not waited for long: others are closed by then.
    """
    with ExitStack() as all_of_them:
        each = [all_of_them.enter_context(ExitStack()) for _ in tenants]
        for tenant, stack in zip(tenants, each, strict=True):
            stack.enter_context(held(tenant, _SHORTLY))
            _close(tenant)
        time.sleep(NOTICED)
        yield each


def _close(tenant: Tenant) -> None:
    with suppress(FileNotFoundError):  # it is written when the tenant is first served, and it was not
        os.utime(deed_file(tenant), ns=(time.time_ns(), time.time_ns()))
