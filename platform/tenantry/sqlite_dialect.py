"""SQLAlchemy's SQLite, with transactions that begin as the unit of work asks, and errors in words of our own.

Writers of one file queue in this process before they ask SQLite for its lock, for which they would have to sleep and
ask again: so only as many contend there as there are processes.

A dialect and not listeners: with an engine's events, SQLAlchemy looks for listeners at every step of every statement.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from .errors import DatabaseBusy, DatabaseFull, DatabaseReplaced, ReadOnlyUnit
from .scope_guard import check
from .turns import Turn

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ExecutionContext

#: Milliseconds that a writer waits for another one of the same tenant before it gives up; in this process, and then in
#: others.
BUSY_TIMEOUT = 1000
#: The address of an engine of this dialect, whose connections a creator opens.
URL = "sqlite+tenantry://"
#: Mode of a unit of work to the statement that begins it: writers take the lock at once.
_BEGIN = {"read": "BEGIN", "write": "BEGIN IMMEDIATE", "deferred": "BEGIN"}
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class TenantDialect(SQLiteDialect_pysqlite):
    """pysqlite's. A connection's ``info`` holds its ``mode`` (``read``, ``write`` or ``deferred``), the ``turn`` that
    its writers wait for, and its ``file``."""

    supports_statement_cache = True

    def do_begin(self, dbapi_connection: Any) -> None:
        info, raw = dbapi_connection.info, dbapi_connection.dbapi_connection
        mode = info.get("mode", "write")
        query_only = mode == "read"  # readers may not write at all
        if mode == "write":
            _take(info["turn"])
        try:
            if info.get("query_only", False) is not query_only:
                raw.execute(f"PRAGMA query_only = {int(query_only)}")
                info["query_only"] = query_only
            raw.execute(_BEGIN[mode])
            info["changes"] = raw.total_changes
        except sqlite3.OperationalError as error:
            info["turn"].give_up()
            _raise(error)
        if mode == "write" and not info["file"].is_there():
            # Only now that it is locked nobody replaces it any more; its journal would be taken for the new one's.
            self.do_rollback(dbapi_connection)
            raise DatabaseReplaced()

    def do_commit(self, dbapi_connection: Any) -> None:
        try:
            dbapi_connection.commit()
        except sqlite3.OperationalError as error:
            _raise(error)  # the transaction is still open, and rolled back next
        _give_up(dbapi_connection)

    def do_rollback(self, dbapi_connection: Any) -> None:
        try:
            dbapi_connection.rollback()
        finally:
            _give_up(dbapi_connection)

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: ExecutionContext | None = None) -> None:
        _guard(statement, context)
        try:
            cursor.execute(statement, parameters)
        except sqlite3.OperationalError as error:
            _raise(error, context)

    def do_execute_no_params(self, cursor: Any, statement: str, context: ExecutionContext | None = None) -> None:
        _guard(statement, context)
        try:
            cursor.execute(statement)
        except sqlite3.OperationalError as error:
            _raise(error, context)

    def do_executemany(
        self, cursor: Any, statement: str, parameters: Any, context: ExecutionContext | None = None
    ) -> None:
        _guard(statement, context)
        try:
            cursor.executemany(statement, parameters)
        except sqlite3.OperationalError as error:
            _raise(error, context)


def _guard(statement: str, context: ExecutionContext | None) -> None:
    if context is not None:
        check(statement, context.execution_options, context.root_connection.info)


def _take(turn: Turn) -> None:
    if not turn.take(BUSY_TIMEOUT / 1000):
        raise DatabaseBusy()


def _give_up(dbapi_connection: Any) -> None:
    try:
        turn = dbapi_connection.info.get("turn")
    except NotImplementedError:  # the first connection of an engine, by which SQLAlchemy gets to know SQLite
        return
    if turn is not None:
        turn.give_up()


def _raise(error: sqlite3.OperationalError, context: ExecutionContext | None = None) -> NoReturn:
    """Say in our own words what SQLite's two commonest errors mean here."""
    if error.sqlite_errorcode & 0xFF in _BUSY:
        raise DatabaseBusy() from error
    if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
        raise DatabaseFull() from error
    reading = context is not None and context.root_connection.info.get("mode") == "read"
    if reading and error.sqlite_errorcode == sqlite3.SQLITE_READONLY:
        raise ReadOnlyUnit() from error
    raise error


registry.register("sqlite.tenantry", __name__, TenantDialect.__name__)
