"""SQLite tenants: a file each, one engine for all of them, and a bounded table of open connections.

One engine, so that SQL is compiled once for all tenants. A connection is opened for one file, lent to one unit of work
at a time, and kept open for the next. It is never given to another file.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import quote

from sqlalchemy import Connection, Engine, NullPool, create_engine

from .errors import DatabaseReplaced
from .files import give_to_owner_of
from .scope_guard import GUARDED
from .sqlite_dialect import BUSY_TIMEOUT, URL
from .turns import Queue, Turn

#: How many files SQLite has open for one connection: the database, its log, and the index of that.
FILES_OF_A_DATABASE = 3
#: Name of the copy of the deed, beside the database.
DEED_FILE = "deed"
#: Names that the tenant had before, the last one first: one in a line.
FORMER_FILE = "former"
#: MiB to which a database may grow while a command is at work on it.
ANY_SIZE = 1024 * 1024
_PAGE = 4096  # bytes; SQLite's default page size since 3.12.0


class DatabaseFile(NamedTuple):
    """One tenant's database as it was found: a file, and not only a name that another file may get.

    :ivar path: where it is.
    :ivar stamp: which file that was. Its inode alone would not do, as the system gives the number of a removed file to
        the next one; so the deed beside it, which is written once, lends its time.
    :ivar pages: the largest size to which it may grow, in pages of 4 KiB.
    """

    path: str
    stamp: tuple[int, int]
    pages: int

    @classmethod
    def at(cls, path: Path, megabytes: int) -> DatabaseFile:
        """Return the file that is at ``path`` now, which may grow to so many MiB.

        :raises FileNotFoundError: if there is none.
        """
        return cls(str(path), _stamp(str(path)), megabytes * 1024 * 1024 // _PAGE)

    def is_there(self) -> bool:
        """Whether this very file is still at its place."""
        try:
            return _stamp(self.path) == self.stamp
        except OSError:
            return False


def _stamp(path: str) -> tuple[int, int]:
    try:
        deed = os.stat(os.path.join(os.path.dirname(path), DEED_FILE)).st_mtime_ns
    except OSError:
        deed = 0
    return os.stat(path).st_ino, deed


class SqliteDatabases:
    """The connections of all SQLite tenants of one platform.

    No lock is taken, as each request lends and gives back. Whoever takes a connection out of ``_idle``, in the one step
    that this is, has it: to lend it, or to close it.

    :param idle: how many connections without work are kept open; the least recently used ones go first.
    """

    def __init__(self, idle: int) -> None:
        self.limit = idle
        self._opening = threading.local()
        self._lent: set[int] = set()
        self._idle: OrderedDict[Connection, DatabaseFile] = OrderedDict()
        self._by_file: dict[DatabaseFile, list[Connection]] = {}
        self._writers: weakref.WeakValueDictionary[str, Queue] = weakref.WeakValueDictionary()
        self.engine: Engine = create_engine(URL, creator=self._open, poolclass=NullPool, hide_parameters=True)
        _TABLES.add(self)

    @property
    def lent(self) -> int:
        """How many connections are lent just now."""
        return len(self._lent)

    def lend(self, file: DatabaseFile) -> Connection:
        """Return a connection to a file, for one unit of work.

        :raises DatabaseReplaced: if another file is at its place, or none. None is ever made here.
        :raises sqlalchemy.exc.DatabaseError: if it cannot be opened, or is no database.
        """
        connection = self._take_idle(file) or self._connect(file)
        self._lent.add(id(connection))
        return connection

    def take_back(self, file: DatabaseFile, connection: Connection) -> None:
        """Keep a lent connection for the next unit of work, or close it if it broke or too many are open."""
        self._lent.discard(id(connection))
        if connection.closed or connection.invalidated or connection.in_transaction():
            self._forget(file, connection)
            connection.close()
            return
        self._idle[connection] = file
        self._by_file.setdefault(file, []).append(connection)
        while len(self._idle) > self.limit:
            self._close_oldest()

    @contextmanager
    def reading(self, file: DatabaseFile) -> Iterator[Connection]:
        """Lend a connection for reading, for as long as a block lasts."""
        connection = self.lend(file)
        connection.info.update({"mode": "read", GUARDED: False})
        try:
            yield connection
        finally:
            try:
                connection.rollback()
            finally:
                self.take_back(file, connection)

    @contextmanager
    def direct(self, file: DatabaseFile, mode: str, *, enforce: bool = True) -> Iterator[Connection]:
        """Open a connection past the table, for one piece of work, and close it after.

        :param enforce: whether foreign keys are enforced; a migration must not have it so.
        """
        connection = self._connect(file)
        connection.info["mode"] = mode
        if not enforce:
            cast(Any, connection.connection.dbapi_connection).execute("PRAGMA foreign_keys = OFF")
        try:
            yield connection
        finally:
            connection.close()

    def idle_files(self) -> list[DatabaseFile]:
        """Return the files to which connections are open that nobody has."""
        return list(self._by_file)

    def close_idle(self, file: DatabaseFile | None = None) -> None:
        """Close the connections that nobody has: those of one file, or all."""
        while file is None and self._idle:
            self._close_oldest()
        while file is not None and (connection := self._take_idle(file)):
            self._forget(file, connection)
            connection.close()

    def _take_idle(self, file: DatabaseFile) -> Connection | None:
        """Take the connection of a file that was used last, if there is one."""
        kept = self._by_file.get(file)
        while kept:
            with suppress(IndexError):  # another thread was faster
                connection = kept.pop()
                if self._idle.pop(connection, None) is not None:
                    return connection
        return None

    def _close_oldest(self) -> None:
        try:
            connection, file = self._idle.popitem(last=False)
        except KeyError:  # another thread has closed the last one
            return
        self._forget(file, connection)
        connection.close()

    def _forget(self, file: DatabaseFile, connection: Connection) -> None:
        kept = self._by_file.get(file, [])
        with suppress(ValueError):  # another thread looked at it, and left it to us
            kept.remove(connection)
        if not kept:
            # What another thread puts there at this moment is found no more, and is closed in its turn.
            self._by_file.pop(file, None)

    def _connect(self, file: DatabaseFile) -> Connection:
        self._opening.file = file
        try:
            connection = self.engine.connect()  # it calls _open at once, in this thread
        finally:
            del self._opening.file
        connection.info.update({"turn": self._turn(file), "file": file})
        if not file.is_there():
            connection.close()
            raise DatabaseReplaced()
        return connection

    def _turn(self, file: DatabaseFile) -> Turn:
        # A queue lives as long as a connection to the file. Two threads may make two, and meet at SQLite's lock then.
        return Turn(self._writers.setdefault(file.path, Queue()))

    def _open(self) -> sqlite3.Connection:
        file: DatabaseFile = self._opening.file
        # mode=rw refuses a missing file, where SQLite would otherwise make an empty one and hide the loss.
        uri = f"file:{quote(file.path)}?mode=rw"
        try:
            connection = sqlite3.connect(
                uri, uri=True, isolation_level=None, check_same_thread=False, cached_statements=64
            )
        except sqlite3.OperationalError:
            if not file.is_there():
                raise DatabaseReplaced() from None
            raise
        try:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT}")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA max_page_count = {file.pages}")
            connection.create_function("lower", 1, _lower, deterministic=True)  # SQLite's own knows ASCII alone
        except BaseException:
            connection.close()
            raise
        return connection


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def side_files(path: Path) -> tuple[Path, Path]:
    """Return the two files that SQLite keeps beside a database; left behind, they would be taken for the next one's."""
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def create_file(path: Path) -> None:
    """Make an empty database file in WAL mode (readers and the writer do not wait for each other), mode 0600."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    give_to_owner_of(path.parent, descriptor)
    os.close(descriptor)
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


#: All tables of connections in this process, to be emptied before it forks.
_TABLES: weakref.WeakSet[SqliteDatabases] = weakref.WeakSet()


def _close_before_fork() -> None:
    """SQLite connections must not cross a fork (sqlite.org/howtocorrupt.html, 2.6): close the idle ones before it."""
    for databases in list(_TABLES):
        databases.close_idle()


os.register_at_fork(before=_close_before_fork)
