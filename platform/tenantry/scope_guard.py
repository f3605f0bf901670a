"""The last look at SQL before it goes to the database: does it ask for organizations' rows that it must not see?

It looks at the SQL itself, and so at every way that leads there: the ORM's, Core's, and text. For each place in which a
table of organizations' rows stands, the filter of :mod:`tenantry.organizations.scope` must hold. What is not understood
is refused. Each SQL is looked at once.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from .errors import LastingStatement, UnfilteredQuery
from .sql_reading import Reader

#: Execution option of a statement that says why it sees all organizations.
UNSCOPED = "tenantry_unscoped"
#: In a connection's ``info``: that it serves a unit of work; that the session is writing what it has checked.
GUARDED, FLUSHING = "guarded", "flushing"
#: The name by which the filter reads who belongs where: another one in each process, so that nobody writes it by hand.
MINE = f"mine_{secrets.token_hex(4)}"

_FILTER = re.compile(
    rf"IN \(SELECT {MINE}\.organization_id\s+FROM tenantry_membership AS {MINE}\s+WHERE {MINE}\.user_id = \S+?"
    rf"(?: AND {MINE}\.role IN \([^()]*\))?\)"
)
#: Stands for the filter in SQL that is looked at; nobody can write it.
_FILTERED = f"filtered_{secrets.token_hex(8)}"
#: With what begins that which stays in a connection, or opens another database.
_STAYING = ("attach", "detach")
#: Stands for the name of a table where a statement does what stays.
_STAYS = "-"
_WRITES = re.compile(r'^\s*(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+"?(\w+)', re.IGNORECASE)
#: Table to the column that says whose a row is, and what reads SQL for these.
_SCOPED: dict[str, str] = {}
_READER = Reader(_SCOPED, _FILTERED)
#: SQL to the tables that stand in it without the filter, once for each place.
_KNOWN: dict[str, tuple[str, ...]] = {}
_MOST_KNOWN = 4096


def add_table(table: str, column: str) -> None:
    """Guard a table, whose column says which organization a row belongs to."""
    global _SCOPED, _READER, _KNOWN
    _SCOPED = {**_SCOPED, table.lower(): column.lower()}  # other threads may be looking through the old one
    _READER, _KNOWN = Reader(_SCOPED, _FILTERED), {}


def check(sql: str, options: Mapping[str, Any], info: Mapping[str, Any]) -> None:
    """Refuse SQL that reaches into tables of organizations' rows without the filter, unless it says why.

    :param options: the statement's execution options.
    :param info: of the connection.
    :raises UnfilteredQuery: before anything is sent.
    """
    tables = _KNOWN.get(sql)
    if tables is None:
        tables = _remember(sql)
    if not tables or UNSCOPED in options or not info.get(GUARDED):
        return
    if tables == (_STAYS,):
        raise LastingStatement()
    if tables != (_excused(sql, options, info),):
        raise UnfilteredQuery(tables)


def _excused(sql: str, options: Mapping[str, Any], info: Mapping[str, Any]) -> str:
    """Return the table of which a statement may reach one row, as the session has seen it, or checked it."""
    # Only the unit of work brings this option along; what others send while it writes is theirs.
    if info.get(FLUSHING) and "compiled_cache" in options and (found := _WRITES.match(sql)):
        return found[1].lower()
    # The loading of the rest of a row.
    known = getattr(options.get("_sa_orm_load_options"), "_refresh_state", None)
    return "" if known is None else known.mapper.local_table.name.lower()


def _remember(sql: str) -> tuple[str, ...]:
    known = _KNOWN
    found = tuple(_unfiltered(sql))
    if len(known) >= _MOST_KNOWN:
        known.clear()
    known[sql] = found
    return found


def _unfiltered(sql: str) -> Iterator[str]:
    sql = _FILTER.sub(_FILTERED, sql)
    words = _READER.first_words(sql)
    if words[:1] == ["pragma"]:  # SQLite's own settings, and what tables are made of: no rows
        return iter(())
    if words[:1] and (words[0] in _STAYING or words in (["create", "temp"], ["create", "temporary"])):
        return iter((_STAYS,))
    return _READER.unfiltered(sql)
