"""The last look at SQL before it goes to the database: does it ask for organizations' rows that it must not see?

It looks at the SQL itself, and so at every way that leads there: the ORM's, Core's, and text. For each place in which a
table of organizations' rows stands, the filter of :mod:`tenantry.organizations.scope` must stand beside it, under the
same name. What it does not understand it refuses. Each SQL is looked at once.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Mapping
from typing import Any

from .errors import LastingStatement, UnfilteredQuery

#: Execution option of a statement that says why it sees all organizations.
UNSCOPED = "tenantry_unscoped"
#: In a connection's ``info``: that it serves a unit of work; that the session is writing what it has checked.
GUARDED, FLUSHING = "guarded", "flushing"
#: The name by which the filter reads who belongs where: another one in each process, so that nobody writes it by hand.
MINE = f"mine_{secrets.token_hex(4)}"

#: Table to the column that says whose a row is.
_SCOPED: dict[str, str] = {}
_FILTER = re.compile(
    rf"IN \(SELECT {MINE}\.organization_id\s+FROM tenantry_membership AS {MINE}\s+WHERE {MINE}\.user_id = \S+?\)"
)
#: Stands for the filter in SQL that is looked at; nobody can write it.
_FILTERED = f"IN ({secrets.token_hex(8)})"
#: What is read as one piece: a quoted name, of which SQLite knows three forms; a comment; and the text of a literal.
_PIECE = re.compile(
    r"""("(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])|/\*.*?(?:\*/|\Z)|--[^\n]*|'((?:[^']|'')*)'""", re.DOTALL
)
#: What would keep rows past the filter: a join that also gives the rows for which its condition does not hold, and what
#: stays in a connection, or opens another database.
_PAST = re.compile(r"\b(FULL|RIGHT)(\s+OUTER)?\s+JOIN\b", re.IGNORECASE)
_STAYING = re.compile(r"^\s*(CREATE\s+TEMP(ORARY)?|ATTACH|DETACH)\b", re.IGNORECASE)
#: Stands for the name of a table where a statement does what stays.
_STAYS = "-"
_NAME = r'\w+|"[^"]+"'
_WRITES = re.compile(r"^\s*(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+(\w+)\b", re.IGNORECASE)
#: SQL to the tables that stand in it without the filter.
_KNOWN: dict[str, tuple[str, ...]] = {}
_MOST_KNOWN = 4096


def add_table(table: str, column: str) -> None:
    """Guard a table, whose column says which organization a row belongs to."""
    global _SCOPED, _KNOWN
    _SCOPED = {**_SCOPED, table: column}  # other threads may be looking through the old one
    _KNOWN = {}


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
    # The rest of a row that was seen already: only the ORM says so, in an option of its own.
    known = getattr(options.get("_sa_orm_load_options"), "_refresh_state", None)
    excused = None if known is None else known.mapper.local_table.name
    if info.get(FLUSHING) and (found := _WRITES.match(sql)):  # a row that the session has checked
        excused = found[1]
    if tables == (_STAYS,):
        raise LastingStatement()
    if tables != (excused,):
        raise UnfilteredQuery(tables)


def _remember(sql: str) -> tuple[str, ...]:
    known = _KNOWN
    found = tuple(_unfiltered(sql))
    if len(known) >= _MOST_KNOWN:
        known.clear()
    known[sql] = found
    return found


def _unfiltered(sql: str) -> list[str]:
    if sql.lstrip()[:6].upper() == "PRAGMA":  # SQLite's own settings, and what tables are made of: no rows
        return []
    bare = _PIECE.sub(_bare, _FILTER.sub(_FILTERED, sql))
    if _STAYING.match(bare):
        return [_STAYS]
    named = [table for table in _SCOPED if re.search(rf"(?<!\w){table}\b", bare, re.IGNORECASE)]
    return named if _PAST.search(bare) else [table for table in named if _stands_alone(bare, table, _SCOPED[table])]


def _bare(piece: re.Match[str]) -> str:
    """Return what of a piece can name a table. SQLite takes a quoted text for a name, where only a name can stand."""
    name, text = piece[1], piece[2]
    if name is not None:
        return name
    return text if text is not None and text.lower() in _SCOPED else "''"


def _stands_alone(bare: str, table: str, column: str) -> bool:
    """Whether a table stands more often in the SQL, under one of its names, than its filter does; or its rows move."""
    places = re.finditer(rf"(?<!\w){table}\b(?!\.)(?:\s+AS\s+({_NAME}))?", bare, re.IGNORECASE)
    names = Counter((place[1] or table).lower() for place in places)
    seen = re.escape(_FILTERED)
    moved = re.search(rf"^\s*UPDATE\b.*?\bSET\b(?:(?!\bWHERE\b).)*?\b{column}\s*=", bare, re.IGNORECASE | re.DOTALL)
    return bool(moved and names) or any(
        count > len(re.findall(rf"(?<![\w.]){re.escape(name)}\.{column} {seen}", bare, re.IGNORECASE))
        for name, count in names.items()
    )
