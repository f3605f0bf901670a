"""The plan of a migration: what each revision does to the tables, found out once on a database in memory.

A revision that only adds can be applied while older code serves the tenant, as that code does not notice. Of any other,
older code must keep its hands off.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from alembic.script import Script
from sqlalchemy import Connection, StaticPool, create_engine

from .revision_notes import RevisionNote
from .structure import Structure, read_structure, tables_of, what_breaks_older_code

if TYPE_CHECKING:
    from .schema_versions import SchemaVersions


@dataclass(frozen=True, slots=True)
class Step:
    """What one revision does.

    :ivar follows: the revisions that it needs.
    :ivar breaks: in words, what of it is no mere addition; empty where older code can go on.
    :ivar file: where it stands.
    :ivar made: names of the tables that it made.
    """

    revision: str
    follows: tuple[str, ...]
    breaks: tuple[str, ...]
    file: Path
    made: frozenset[str]

    @property
    def additive(self) -> bool:
        """Whether it only adds to the tables."""
        return not self.breaks

    @property
    def note(self) -> RevisionNote:
        """What a database is to note of it."""
        return RevisionNote(self.follows, self.additive)


class MigrationPlan(NamedTuple):
    """What all revisions do.

    :ivar steps: by name, in the order in which they were run.
    :ivar structure: the tables of a new database, once all have run.
    """

    steps: Mapping[str, Step]
    structure: Structure


@contextmanager
def new_database() -> Iterator[Connection]:
    """Open an empty database in memory, in a transaction; it is gone once the block ends."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    finally:
        engine.dispose()  # or the pool would keep the database until it is collected, which Python 3.13 warns of


def make_plan(schema: SchemaVersions) -> MigrationPlan:
    """Run all revisions on a database in memory, and find out what each does."""
    scripts = {script.revision: script for script in schema.scripts()}
    steps: dict[str, Step] = {}
    with new_database() as connection:
        raw = cast(sqlite3.Connection, connection.connection.dbapi_connection)
        watch = _Watch(raw)

        def note(name: str) -> None:
            script, before, after = scripts[name], watch.before, read_structure(raw)
            breaks = (*_said(script), *what_breaks_older_code(before, after), *watch.changed_rows())
            made = tables_of(after) - tables_of(before)
            steps[name] = Step(name, _follows(schema, script), breaks, Path(script.path), made)
            watch.begin(after)

        schema.run(connection, note)
    return MigrationPlan(steps, watch.before)


def _said(script: Script) -> list[str]:
    """Return what the author says: rows that are changed in Python are not seen in an empty database."""
    return ["its file says so"] if getattr(script.module, "additive", True) is False else []


def _follows(schema: SchemaVersions, script: Script) -> tuple[str, ...]:
    found: list[str] = []
    for names in (script.down_revision, script.dependencies):
        for name in (names,) if isinstance(names, str) else names or ():
            found += [each.revision for each in schema.script.get_revisions(name) if each]
    return tuple(dict.fromkeys(found))


class _Watch:
    """Sees which columns of old tables are written, as what they hold may mean something to older code."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.begin(frozenset())
        raw.set_authorizer(self._look)

    def begin(self, structure: Structure) -> None:
        self.before = structure
        self._written: set[tuple[str, str]] = set()
        self._dropped = ""

    def _look(self, action: int, first: Any, second: Any, *_: Any) -> int:
        if action == sqlite3.SQLITE_DROP_TABLE:
            self._dropped = first  # next SQLite asks whether its rows may be deleted
        elif action == sqlite3.SQLITE_DELETE and first == self._dropped:
            self._dropped = ""
        elif action in (sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE):
            self._written.add((first, second or ""))
        return sqlite3.SQLITE_OK

    def changed_rows(self) -> list[str]:
        """Return in words which old rows were changed."""
        tables = tables_of(self.before)
        columns = {(part.table, part.name) for part in self.before if part.kind == "column"}
        changed = {f"rows of {table} are changed" for table, name in self._written if (table, name) in columns}
        deleted = {f"rows of {table} are deleted" for table, name in self._written if not name and table in tables}
        return sorted(changed | deleted)
