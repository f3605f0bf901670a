"""The last look at SQL before it goes to the database: does it ask for organizations' rows that it must not see?

It looks at the SQL itself, and so at every way that leads there: the ORM's, Core's, and text. For each place in which a
table of organizations' rows stands, the filter of :mod:`tenantry.organizations.scope` must stand beside it, under the
same name. What it does not understand it refuses. Each SQL is looked at once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from .errors import UnfilteredQuery

#: Execution options: of a statement that says why it sees all organizations; and of the reading anew of one row that
#: was read before.
UNSCOPED, KNOWN_ROW = "tenantry_unscoped", "tenantry_known_row"
#: In a connection's ``info``: that it serves a unit of work; that the session is writing what it has checked.
GUARDED, FLUSHING = "guarded", "flushing"
#: The name by which the filter reads who belongs where; nobody else may use it.
MINE = "mine"

#: Table to the column that says whose a row is.
_SCOPED: dict[str, str] = {}
_FILTER = re.compile(
    rf"IN \(SELECT {MINE}\.organization_id\s+FROM tenantry_membership AS {MINE}\s+WHERE {MINE}\.user_id = \S+?\)"
)
_FILTERED = "IN (what is mine)"
#: SQL to the tables that stand in it without the filter.
_KNOWN: dict[str, tuple[str, ...]] = {}
_MOST_KNOWN = 4096


def add_table(table: str, column: str) -> None:
    """Guard a table, whose column says which organization a row belongs to."""
    _SCOPED[table] = column
    _KNOWN.clear()


def check(sql: str, options: Mapping[str, Any], info: Mapping[str, Any]) -> None:
    """Refuse SQL that reaches into tables of organizations' rows without the filter, unless it says why.

    :param options: the statement's execution options.
    :param info: of the connection.
    :raises UnfilteredQuery: before anything is sent.
    """
    tables = _KNOWN.get(sql)
    if tables is None:
        tables = _remember(sql)
    if not tables or UNSCOPED in options or KNOWN_ROW in options:
        return
    if info.get(GUARDED) and not info.get(FLUSHING):
        raise UnfilteredQuery(tables)


def _remember(sql: str) -> tuple[str, ...]:
    if len(_KNOWN) >= _MOST_KNOWN:
        _KNOWN.clear()
    found = _KNOWN[sql] = tuple(_unfiltered(sql))
    return found


def _unfiltered(sql: str) -> list[str]:
    if sql.lstrip()[:6].upper() == "PRAGMA":  # SQLite's own settings, and what tables are made of: no rows
        return []
    bare = _FILTER.sub(_FILTERED, sql)
    return [table for table, column in _SCOPED.items() if _stands_alone(bare, table, column)]


def _stands_alone(bare: str, table: str, column: str) -> bool:
    """Whether a table stands more often in the SQL, under one of its names, than its filter does."""
    places = re.finditer(rf"(?<![\w.]){table}\b(?!\.)(?:\s+AS\s+(\w+))?", bare, re.IGNORECASE)
    names = Counter((place[1] or table).lower() for place in places)
    return any(
        count > len(re.findall(rf"(?<![\w.]){name}\.{column} {re.escape(_FILTERED)}", bare))
        for name, count in names.items()
    )
