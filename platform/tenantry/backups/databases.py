"""A tenant's database as one file: copied while it is written to, and looked at before it is trusted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import quote
from uuid import UUID

from sqlalchemy import StaticPool, create_engine

from ..files import give_to_owner_of
from ..sqlite import ANY_SIZE, DatabaseFile
from ..times import now
from .refusals import BadArchive

if TYPE_CHECKING:
    from ..app import Platform
    from ..schema_versions import SchemaVersions

#: Pages that are copied in one step, in which nothing else of this process's thread runs: 4 MiB.
_PAGES = 1024
#: Why the mails of a restored tenant are given up.
_GIVEN_UP = "it waited when the tenant was backed up, and may have been sent since; --retry sends it"
_GIVE_UP = """
UPDATE tenantry_outbox SET failed_at = ?, due_at = NULL, claimed_until = NULL, error = ?
WHERE sent_at IS NULL AND failed_at IS NULL
"""
_KEPT = """
SELECT 1 FROM tenantry_outbox WHERE sent_at IS NULL AND failed_at IS NULL
UNION ALL SELECT 1 FROM tenantry_login LIMIT 1
"""
#: Tables of Tenantry's own that are read or emptied here.
_OURS = ("alembic_version", "tenantry_deed", "tenantry_login", "tenantry_outbox", "tenantry_upload")
#: What is plain: it holds rows, and does nothing. The text is looked at, as SQLite goes by it and not by the type.
_PLAIN = ("CREATE TABLE ", "CREATE INDEX ", "CREATE UNIQUE INDEX ")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a database says of itself: its deed, the versions of its tables, and the ids of its uploads."""

    deed: str
    schema: tuple[str, ...]
    uploads: tuple[str, ...]


def copy_database(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment, while others go on writing to it. The copy is whole in its one file.

    The moment is when the copying begins: a reader's view of a database in WAL mode stays as it is, so the copying
    need not begin anew with each write (sqlite.org/isolation.html; sqlite.org/backup.html).
    """
    with _open(source, "rw") as reader, _open(target, "rwc") as copy:
        with target.open("rb") as file:
            give_to_owner_of(target.parent, file.fileno())
        target.chmod(0o600)
        reader.execute("PRAGMA query_only = ON")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        reader.backup(copy, pages=_PAGES)
        copy.execute("PRAGMA journal_mode = DELETE")


def facts_of(file: Path) -> Facts:
    """Return what a database says of itself.

    :raises BadArchive: if it is no tenant's database.
    """
    try:
        with _open(file, "ro") as connection:
            _check_plain(connection)
            (deed,) = connection.execute("SELECT id FROM tenantry_deed").fetchone()
            schema = connection.execute("SELECT version_num FROM alembic_version ORDER BY version_num").fetchall()
            uploads = connection.execute("SELECT id FROM tenantry_upload ORDER BY id").fetchall()
        return Facts(UUID(deed).hex, tuple(row[0] for row in schema), tuple(row[0] for row in uploads))
    except (sqlite3.Error, TypeError, ValueError, AttributeError) as error:
        raise BadArchive(f"its database is damaged, or no tenant's ({error})") from None


def check_database(file: Path) -> Facts:
    """Look whether a database is sound from end to end, and return what it says of itself.

    :raises BadArchive: if it is not.
    """
    try:
        with _open(file, "ro") as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as error:
        raise BadArchive(f"its database is damaged ({error})") from None
    if found != "ok":
        raise BadArchive(f"its database is damaged: {found}")
    if broken:
        raise BadArchive(f"its database has rows of '{broken[0]}' that refer to none in '{broken[2]}'")
    return facts_of(file)


def bring_up_to_date(platform: Platform, file: Path) -> bool:
    """Give a copy of a database, that nobody else has open, the newest tables. Return whether it had older ones.

    :raises StateError: if it has revisions that there are none of here.
    """
    with platform.databases.direct(DatabaseFile.at(file, ANY_SIZE), "write", enforce=False) as connection:
        is_current = platform.schema.state(connection) in ("current", "newer")
        connection.rollback()  # the upgrade begins by itself
        if not is_current:
            platform.schema.upgrade(connection)
    return not is_current


def let_nothing_out(file: Path) -> None:
    """Give up the mails that wait in a copy of a database, as they may be sent by now, and end its log-ins.

    A log-in that was ended since would be valid again otherwise.

    :raises BadArchive: if something in the database keeps them.
    """
    try:
        with _open(file, "rw") as connection:
            connection.execute(_GIVE_UP, (str(now()), _GIVEN_UP))
            connection.execute("DELETE FROM tenantry_login")
            kept = connection.execute(_KEPT).fetchone()
    except sqlite3.Error as error:
        raise BadArchive(f"the log-ins and mails in its database cannot be ended ({error})") from None
    if kept:
        raise BadArchive("something in its database keeps log-ins and mails that are to be ended")


def check_programs(file: Path, schema: SchemaVersions) -> None:
    """Look whether a database does nothing by itself but what the revisions of this code let it do.

    A trigger could keep log-ins that are ended, or make new ones; a view or a virtual table could show what is not
    there.

    :raises BadArchive: if it has a trigger, a view or a virtual table that none of them makes.
    """
    try:
        with _open(file, "ro") as connection:
            unknown = _programs_in(connection) - _programs_of(schema)
    except sqlite3.Error as error:
        raise BadArchive(f"its database is damaged ({error})") from None
    for name, text in sorted(unknown):
        raise BadArchive(f"its database has '{name[:80]}', which no migration here makes: {text[:80]}")


def _programs_of(schema: SchemaVersions) -> frozenset[tuple[str, str]]:
    """Return what the revisions make, on the way to the newest one too, as an archive may be older."""
    engine, found = create_engine("sqlite://", poolclass=StaticPool), set[tuple[str, str]]()
    with engine.connect() as connection, connection.begin():
        raw = cast(sqlite3.Connection, connection.connection.dbapi_connection)
        schema.run(connection, lambda revision: found.update(_programs_in(raw)))
    engine.dispose()
    return frozenset(found)


def _programs_in(connection: sqlite3.Connection) -> frozenset[tuple[str, str]]:
    """Return the names and texts of what is not plain."""
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    texts = [(str(name), " ".join(str(sql).split())) for name, sql in rows]
    return frozenset((name, text) for name, text in texts if not text.upper().startswith(_PLAIN))


def _check_plain(connection: sqlite3.Connection) -> None:
    for name, text in _programs_in(connection):
        if name.lower() in _OURS:
            raise BadArchive(f"'{name}' in its database is no plain table: {text[:80]}")


@contextmanager
def _open(file: Path, mode: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"file:{quote(str(file))}?mode={mode}", uri=True, isolation_level=None, timeout=10)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        yield connection
    finally:
        connection.close()
