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
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, ExceptionContext, NullPool, create_engine, event

from .errors import DatabaseBusy, ReadOnlyUnit

#: Milliseconds that a statement waits for another writer of the same tenant before it gives up.
BUSY_TIMEOUT = 1000
_PAGE = 4096  # bytes; SQLite's default page size since 3.12.0
_MODES = {"read": "BEGIN", "write": "BEGIN IMMEDIATE", "deferred": "BEGIN"}


class SqliteDatabases:
    """The connections of all SQLite tenants of one platform.

    :param idle: how many connections without work are kept open; the least recently used tenants' go first.
    """

    def __init__(self, idle: int) -> None:
        self.limit = idle
        self.lent = 0
        self._opening = threading.local()
        self._lock = threading.Lock()
        self._idle: OrderedDict[Path, list[Connection]] = OrderedDict()
        self._count = 0
        self.engine: Engine = create_engine("sqlite://", creator=self._open, poolclass=NullPool)
        event.listen(self.engine, "begin", _begin)
        event.listen(self.engine, "handle_error", _translate)
        _close_before_fork(self)

    def lend(self, path: Path, megabytes: int) -> Connection:
        """Return a connection to the file at ``path``, for one unit of work.

        :param path: an existing database file; it is never created here.
        :param megabytes: the largest size to which the file may grow, in MiB.
        :raises sqlalchemy.exc.OperationalError: if the file is not there or is not a database.
        """
        with self._lock:
            self.lent += 1
            kept = self._idle.get(path)
            if kept:
                self._count -= 1
                connection = kept.pop()
                if not kept:
                    del self._idle[path]
                return connection
        try:
            return self._connect(path, megabytes)
        except BaseException:
            self._forget_loan()
            raise

    def take_back(self, path: Path, connection: Connection) -> None:
        """Keep a lent connection for the next unit of work, or close it if it broke or too many are open."""
        sound = not (connection.closed or connection.invalidated or connection.in_transaction())
        surplus = [] if sound else [connection]
        with self._lock:
            self.lent -= 1
            if sound:
                self._idle.setdefault(path, []).append(connection)
                self._idle.move_to_end(path)
                self._count += 1
            while self._count > self.limit:
                surplus.append(self._pop_oldest())
        for each in surplus:
            each.close()

    @contextmanager
    def direct(self, path: Path, megabytes: int, mode: str) -> Iterator[Connection]:
        """Open a connection past the table, for one piece of work, and close it after."""
        connection = self._connect(path, megabytes)
        connection.info["mode"] = mode
        try:
            yield connection
        finally:
            connection.close()

    def close_idle(self, path: Path | None = None) -> None:
        """Close the connections that nobody has: those of one file, or all."""
        with self._lock:
            paths = [path] if path else list(self._idle)
            closing = [connection for each in paths for connection in self._idle.pop(each, ())]
            self._count -= len(closing)
        for connection in closing:
            connection.close()

    def _forget_loan(self) -> None:
        with self._lock:
            self.lent -= 1

    def _pop_oldest(self) -> Connection:
        path, kept = next(iter(self._idle.items()))
        connection = kept.pop(0)
        if not kept:
            del self._idle[path]
        self._count -= 1
        return connection

    def _connect(self, path: Path, megabytes: int) -> Connection:
        self._opening.path, self._opening.pages = path, megabytes * 1024 * 1024 // _PAGE
        try:
            return self.engine.connect()  # it calls _open at once, in this thread
        finally:
            del self._opening.path, self._opening.pages

    def _open(self) -> sqlite3.Connection:
        # mode=rw refuses a missing file, where SQLite would otherwise make an empty one and hide the loss.
        uri = f"file:{quote(str(self._opening.path))}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, cached_statements=64)
        try:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT}")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA max_page_count = {self._opening.pages}")
        except BaseException:
            connection.close()
            raise
        return connection


def create_file(path: Path) -> None:
    """Make an empty database file in WAL mode (readers and the writer do not wait for each other), mode 0600."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def _begin(connection: Connection) -> None:
    """Begin as the unit of work asked for: writers take the lock at once, readers may not write at all."""
    mode = connection.info.get("mode", "write")
    raw: Any = connection.connection.dbapi_connection
    query_only = mode == "read"
    try:
        if connection.info.get("query_only", False) is not query_only:
            raw.execute(f"PRAGMA query_only = {int(query_only)}")
            connection.info["query_only"] = query_only
        raw.execute(_MODES[mode])
    except sqlite3.OperationalError as error:
        if _is_busy(error):
            raise DatabaseBusy() from error
        raise


def _is_busy(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.OperationalError) and (error.sqlite_errorcode & 0xFF) in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    )


def _translate(context: ExceptionContext) -> None:
    """Say in our own words what SQLite's two commonest errors mean here."""
    error = context.original_exception
    if _is_busy(error):
        raise DatabaseBusy() from error
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
        raise ReadOnlyUnit() from error


def _close_before_fork(databases: SqliteDatabases) -> None:
    """SQLite connections must not cross a fork (sqlite.org/howtocorrupt.html, 2.6): close the idle ones before it."""
    reference = weakref.ref(databases)

    def close() -> None:
        if (alive := reference()) is not None:
            alive.close_idle()

    os.register_at_fork(before=close)
