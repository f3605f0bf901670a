"""What a SQLite database is made of: its tables, columns, indexes, foreign keys, checks and triggers.

It is read by PRAGMAs, as the text of two equal tables may differ: a column that was added later stands elsewhere in it.
Only what no PRAGMA tells is read from the text: checks, triggers, and what an index leaves out.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

#: Tables that belong to SQLite and to Alembic.
_NOT_OURS = ("sqlite_", "alembic_")
#: The ends of the tables that FTS5 keeps for a virtual table (sqlite.org/fts5.html, 9).
_SHADOWS = ("_data", "_idx", "_content", "_docsize", "_config")
_INDEXES = """
SELECT m.name, l.name, l."unique", l.origin, l.partial, x.name, x."desc", x.coll
FROM sqlite_master m, pragma_index_list(m.name) l, pragma_index_xinfo(l.name) x
WHERE m.type = 'table' AND x.key ORDER BY m.name, l.name, x.seqno
"""
_FOREIGN_KEYS = """
SELECT m.name, f.id, f."table", f."from", f."to", f.on_update, f.on_delete
FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq
"""
_COLUMNS = """
SELECT m.name, x.name, x.type, x."notnull", x.dflt_value, x.pk, x.hidden
FROM sqlite_master m, pragma_table_xinfo(m.name) x WHERE m.type IN ('table', 'view')
"""


class Part(NamedTuple):
    """One thing of a database.

    :ivar kind: ``table``, ``column``, ``index``, ``foreign key``, ``check`` or ``trigger``.
    :ivar name: its name; where it has none of its own, the columns that it is for.
    :ivar like: all that it is beside.
    """

    kind: str
    table: str
    name: str
    like: tuple[object, ...] = ()

    def __str__(self) -> str:
        return f"table {self.table}" if self.kind == "table" else f"{self.kind} {self.table}.{self.name}"


Structure = frozenset[Part]


class StructureReader:
    """Reads structures. Databases whose text is the same are the same, so thousands of tenants cost little."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[str, ...], ...], Structure] = {}

    def read(self, connection: sqlite3.Connection) -> Structure:
        """Return the structure of a database."""
        text = tuple(connection.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master ORDER BY 2"))
        if text not in self._known:
            self._known[text] = read_structure(connection)
        return self._known[text]


def read_structure(connection: sqlite3.Connection) -> Structure:
    """Return the structure of a database, past what is known."""
    texts = {
        (kind, name): (table, " ".join((sql or "").split()))
        for kind, name, table, sql in connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
    }
    virtual = {name for (kind, name), (_, sql) in texts.items() if kind == "table" and sql.startswith("CREATE VIRTUAL")}
    parts = [*_tables(texts, virtual), *_columns(connection), *_indexes(connection, texts), *_foreign_keys(connection)]
    hidden = {name + end for name in virtual for end in _SHADOWS}
    return frozenset(p for p in parts if not p.table.startswith(_NOT_OURS) and p.table not in hidden)


def _tables(texts: dict[tuple[str, str], tuple[str, str]], virtual: set[str]) -> Iterator[Part]:
    for (kind, name), (table, sql) in texts.items():
        if kind in ("table", "view"):
            yield Part("table", name, "", ("virtual" if name in virtual else kind,))
            yield from (Part("check", name, check) for check in _checks(sql) if name not in virtual)
        elif kind == "trigger":
            yield Part("trigger", table, name, (sql,))


def _columns(connection: sqlite3.Connection) -> Iterator[Part]:
    for table, name, kind, *more in connection.execute(_COLUMNS):
        yield Part("column", table, name, (kind.upper(), *more))


def _indexes(connection: sqlite3.Connection, texts: dict[tuple[str, str], tuple[str, str]]) -> Iterator[Part]:
    rows = connection.execute(_INDEXES).fetchall()
    for (table, name, unique, origin, partial), group in groupby(rows, lambda row: row[:5]):
        columns = tuple(row[5:] for row in group)
        named = name if origin == "c" else ", ".join(str(column[0]) for column in columns)  # SQLite's own are numbered
        is_simple = not partial and all(column[0] for column in columns)
        yield Part("index", table, named, (unique, origin, columns, "" if is_simple else texts["index", name][1]))


def _foreign_keys(connection: sqlite3.Connection) -> Iterator[Part]:
    rows = connection.execute(_FOREIGN_KEYS).fetchall()
    for (table, _), group in groupby(rows, lambda row: row[:2]):
        found = list(group)
        yield Part("foreign key", table, ", ".join(row[3] for row in found), tuple(row[2:] for row in found))


def _checks(sql: str) -> Iterator[str]:
    """Give what stands in the brackets after each CHECK of a table's text."""
    for match in re.finditer(r"\bCHECK\s*\(", sql, re.I):
        depth, end = 1, match.end()
        while depth and end < len(sql):
            depth += {"(": 1, ")": -1}.get(sql[end], 0)
            end += 1
        yield sql[match.end() : end - 1].strip()


def tables_of(structure: Structure) -> frozenset[str]:
    """Return the names of a structure's tables and views."""
    return frozenset(part.table for part in structure if part.kind == "table")


def virtual_tables_of(structure: Structure) -> frozenset[str]:
    """Return the names of those tables that are an extension's, such as FTS5's."""
    return frozenset(part.table for part in structure if part.kind == "table" and part.like == ("virtual",))


def differences(wanted: Structure, found: Structure) -> list[str]:
    """Return in words where a structure is not as it should be; of a table that is missing, no more than that."""
    theirs = {part[:3]: part for part in found}
    ours = {part[:3]: part for part in wanted}
    lost, more = tables_of(wanted) - tables_of(found), tables_of(found) - tables_of(wanted)
    words = [
        *(f"{part} is missing" for key, part in ours.items() if key not in theirs and _is_told(part, lost)),
        *(f"{part} is not known" for key, part in theirs.items() if key not in ours and _is_told(part, more)),
        *(f"{part} is different" for key, part in ours.items() if key in theirs and theirs[key] != part),
    ]
    return sorted(words)


def _is_told(part: Part, tables: Iterable[str]) -> bool:
    return part.kind == "table" or part.table not in tables


def what_breaks_older_code(before: Structure, after: Structure) -> list[str]:
    """Return in words what of a change is no mere addition, so that code which knows only the old tables would fail.

    Additions are tables, columns that may be left out, indexes that allow what was allowed, and keys of new columns.
    """
    old, still = {part[:3] for part in before}, {part[:3] for part in after}
    gone = [f"{part} {'is changed' if part[:3] in still else 'is gone'}" for part in before - after]
    added = [part for part in after - before if part[:3] not in old and not _is_harmless(part, before)]
    return sorted([*gone, *(f"{part} is new{_WHY.get(part.kind, '')}" for part in added)])


_WHY = {"column": " and has to be filled in", "index": " and allows less than before"}


def _is_harmless(part: Part, before: Structure) -> bool:
    if part.table not in tables_of(before):
        return True
    if part.kind == "column":
        _, is_needed, default, is_key, _ = part.like
        return not is_key and (not is_needed or default is not None)
    if part.kind == "index":
        return not part.like[0]
    old_columns = {each.name for each in before if each.kind == "column" and each.table == part.table}
    return part.kind == "foreign key" and not old_columns & set(part.name.split(", "))
