"""A look at the version of each tenant's tables, by plain ``sqlite3``: no engine is opened, and nothing is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from .. import revision_notes
from ..closing import check_open
from ..errors import StateError, TenantryError, explain
from ..holding import deed_file
from ..schema_versions import unknown_versions
from ..structure import Structure, StructureReader

if TYPE_CHECKING:
    from ..registry import Tenant
    from ..schema_versions import SchemaVersions


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at a tenant's database has found.

    :ivar state: ``missing``, as it is made by the tenant's first visitor; ``current``; ``behind``; ``newer``, which the
        code here serves all the same; ``unknown``, which it does not; or ``broken``.
    :ivar versions: those of its tables.
    :ivar reason: why, where it is ``unknown`` or ``broken``.
    :ivar structure: its tables, where they were asked for.
    """

    tenant: Tenant
    state: str
    versions: frozenset[str] = frozenset()
    reason: str = ""
    structure: Structure = field(default=frozenset(), repr=False)


def look_at(
    schema: SchemaVersions, tenants: Iterable[Tenant], structures: StructureReader | None = None
) -> Iterator[Found]:
    """Look at each of the tenants, in their order.

    :param structures: what reads their tables, too.
    """
    schema.check()
    for tenant in tenants:
        try:
            yield _look(schema, tenant, structures)
        except (sqlite3.Error, OSError, TenantryError) as error:
            yield Found(tenant, "broken", reason=explain(error))


def _look(schema: SchemaVersions, tenant: Tenant, structures: StructureReader | None) -> Found:
    check_open(tenant.settings, tenant.slug)
    if not tenant.database_file.exists():
        if deed_file(tenant).exists():
            raise StateError(f"The database {tenant.database_file} is gone, and the tenant had one.")
        return Found(tenant, "missing")
    with closing(open_readable(tenant.database_file)) as connection:
        versions = frozenset(name for (name,) in _rows(connection, "SELECT version_num FROM alembic_version"))
        if not versions:
            raise StateError("It has no table of versions, so it is no database that Tenantry has made.")
        state = schema.judge(versions, lambda: revision_notes.read(_rows(connection, revision_notes.QUERY)))
        structure = structures.read(connection) if structures else frozenset()
    reason = unknown_versions(versions - schema.known) if state == "unknown" else ""
    return Found(tenant, state, versions, reason, structure)


def open_readable(file: Path) -> sqlite3.Connection:
    """Open a database to look at it.

    :raises sqlite3.Error: if it cannot be opened.
    """
    # Not mode=ro: such a connection makes the files of the write-ahead log, too, but does not remove them.
    connection = sqlite3.connect(f"file:{quote(str(file))}?mode=rw", uri=True, isolation_level=None)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _rows(connection: sqlite3.Connection, query: str) -> list[tuple[str, ...]]:
    try:
        return connection.execute(query).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return []
        raise
