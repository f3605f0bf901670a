"""The tenant's database, for blueprints: ``from tenantry import db``, then ``db.session`` and ``db.Model``.

A unit of work belongs to an app context: opened by the first use of ``db.session``, committed before the response
leaves or when the context ends, rolled back on an error, and always closed. Contexts inside one another have units of
their own, except where the same tenant is entered again: two writers of one file in one thread would wait for each
other for ever, so the inner context joins the outer unit.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, Request, Response, has_app_context, has_request_context, request
from flask.ctx import AppContext
from flask.globals import app_ctx
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase, Session
from werkzeug.local import LocalProxy

from .consequences import Consequences
from .context import current_tenant_app
from .errors import BegunTooLate, DatabaseReplaced, TenantReadOnly
from .filtered_session import FilteredSession
from .gate import SAFE_METHODS
from .scope_guard import FLUSHING, GUARDED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .tenant_app import TenantApp

#: Marks the environ of a request that nobody sent: the frame of one tenant's work inside another's request.
INTERNAL = "tenantry.internal"

#: Constraints need names that are the same everywhere, or a migration could not change them.
_NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Model(DeclarativeBase):
    """Base of all models. They share one ``MetaData``, which holds no tenant's data."""

    metadata = MetaData(naming_convention=_NAMING)


class UnitOfWork:
    """One session on one lent connection, in one of three modes.

    ``read`` refuses writes; ``write`` takes the tenant's write lock at its first statement; ``deferred`` reads, and
    takes the lock only when something is written.
    """

    __slots__ = ("_connection", "_consequences", "_databases", "_turn", "database", "mode", "session")

    def __init__(self, app: TenantApp, mode: str) -> None:
        self.mode = mode
        self.database = app.database
        self._databases = app.platform.databases
        self._connection = self._databases.lend(app.database)
        self._connection.info.update({"mode": mode, GUARDED: True, FLUSHING: False})
        self._turn = self._connection.info["turn"]
        self._consequences: Consequences | None = None
        self.session = FilteredSession(self._connection)

    def begin(self, mode: str) -> None:
        """Go on in another mode: what was read is forgotten, and read again when it is used.

        :raises BegunTooLate: if something was written already, which would be lost.
        """
        if mode == self.mode:
            return
        self.check_unwritten()
        self.session.rollback()
        self.mode = self._connection.info["mode"] = mode

    def check_unwritten(self) -> None:
        """Look whether the unit could begin anew.

        :raises BegunTooLate: if something was written, or asked for, that would be lost.
        """
        asked = self._consequences is not None and self._consequences.are_waiting
        if asked or self._is_dirty() or self._has_written() or self.session.in_nested_transaction():
            raise BegunTooLate()

    def commit(self) -> None:
        """Keep what was done since the last time, if anything was; what was only read ends when the unit is closed.

        :raises DatabaseReplaced: if it was written, and would be kept in a file that is no longer the tenant's.
        :raises ReadOnlyUnit: if a unit that reads was to write.
        """
        if self.mode != "read":
            if self.session.in_transaction():
                self._make_sure()
                self.session.commit()
        elif self._is_dirty() or self._consequences is not None:
            self.session.commit()
        self.follow()

    @property
    def consequences(self) -> Consequences:
        """What follows once its work is kept, or undone."""
        if self._consequences is None:
            self._consequences = Consequences(self.session)
        return self._consequences

    def follow(self) -> None:
        """Do what follows from the work that is kept."""
        if self._consequences is not None:
            self._consequences.follow()

    def _is_dirty(self) -> bool:
        """Whether there is something that was not sent to the database yet."""
        session = self.session
        return bool(session.new or session.deleted or session.dirty)

    def _make_sure(self) -> None:
        """Before something is kept, look whether the file is still the tenant's: SQLite writes into a removed one."""
        if self.mode == "write" and not self.database.is_there():
            raise DatabaseReplaced()

    def _has_written(self) -> bool:
        """Whether the transaction that is open has changed rows."""
        if self.mode == "read" or not self._connection.in_transaction():
            return False
        changes = cast(Any, self._connection.connection.dbapi_connection).total_changes
        return bool(changes != self._connection.info["changes"])

    def close(self) -> None:
        """Give the connection back; what was not committed is rolled back."""
        try:
            self.session.close()
        finally:
            self._turn.give_up()  # done already, unless the connection broke
            self._databases.take_back(self.database, self._connection)


def init_app(app: Flask) -> None:
    """Make ``app`` commit before its responses leave, and close what a context opened."""
    app.after_request(_commit_before_response)
    app.teardown_appcontext(_end_unit)


def begin(*, write: bool) -> Session:
    """Choose for the current context whether it writes. Needed only where a GET must write, or a POST need not.

    :raises TenantReadOnly: if a request is to write, and the tenant is read-only.
    """
    if write:
        _check_writable()
    unit = _current_unit()
    unit.begin("write" if write else "read")
    return unit.session


def begin_deferred() -> Session:
    """Let the current context read without a lock, and take it at the first write, as an interactive shell should.

    :raises TenantReadOnly: as :func:`begin`.
    """
    _check_writable()
    unit = _current_unit()
    unit.begin("deferred")
    return unit.session


def rollback() -> None:
    """Undo what the current context has not committed, if it has opened a session at all."""
    if (unit := _opened()) is not None:
        unit.session.rollback()


def after_commit(function: Callable[[], None]) -> None:
    """Call ``function`` once what the current context writes is kept, and never if it is undone.

    For what the database cannot take back, as to tell another process. It may use ``db.session``. If it raises, that is
    logged, as what was written is kept. Where this process is killed in between, it is not called.
    """
    _current_unit().consequences.add(function)


def after_rollback(function: Callable[[], None]) -> None:
    """Call ``function`` if what the current context writes is undone, as by an error, and never if it is kept.

    For what was done beside the database, as a file that was written. It must not use ``db.session``.
    """
    _current_unit().consequences.add(function, when_undone=True)


def commit_now() -> None:
    """Keep what the current context has written so far, and give up the write lock, before something slow is done.

    :raises BegunTooLate: inside a block that is to be undone as a whole.
    """
    unit = _current_unit()
    if unit.session.in_nested_transaction():
        raise BegunTooLate()
    unit.session.commit()


@contextmanager
def inside(outer: AppContext | None) -> Iterator[None]:
    """Let the context just entered find the unit of the same tenant in those around it.

    Where there is one, the block is a part of it that is undone by itself if it raises.
    """
    app_ctx._tenantry_outer = outer  # type: ignore[attr-defined]  # ours, and not in g, which is the application's
    app = current_tenant_app("db.session")
    if outer is not None and outer.app is app:
        app_ctx._tenantry_language = getattr(outer, "_tenantry_language", None)  # type: ignore[attr-defined]  # as above
        app_ctx._tenantry_timezone = getattr(outer, "_tenantry_timezone", None)  # type: ignore[attr-defined]  # as above
        if getattr(outer, "_tenantry_unit", None) is None and not _is_reading(app):
            outer._tenantry_unit = UnitOfWork(app, "write")  # type: ignore[attr-defined]  # as above
    unit = _outer_unit(app)
    with unit.session.begin_nested() if unit else nullcontext():
        yield


def _current_unit() -> UnitOfWork:
    app = current_tenant_app("db.session")
    unit = _opened() or _outer_unit(app)
    if unit is None:
        unit = UnitOfWork(app, "read" if _is_reading(app) else "write")
        _context()._tenantry_unit = unit  # type: ignore[attr-defined]  # as above
    return unit


def _check_writable() -> None:
    if has_request_context() and current_tenant_app("db.session").tenant.status == "read-only":
        raise TenantReadOnly()


def _is_reading(app: TenantApp) -> bool:
    if not has_request_context():
        return False
    asked: Request = request._get_current_object()  # type: ignore[attr-defined]  # as above
    by_method = asked.method in SAFE_METHODS and INTERNAL not in asked.environ
    return by_method or app.tenant.status == "read-only"


def _opened() -> UnitOfWork | None:
    """Return the unit that the current context has opened, if it has."""
    return getattr(_context(), "_tenantry_unit", None)


def _context() -> AppContext:
    # Not through the proxy each time, as every page asks several times.
    return cast(AppContext, app_ctx._get_current_object())  # type: ignore[attr-defined]  # a LocalProxy


def _outer_unit(app: TenantApp) -> UnitOfWork | None:
    context = getattr(_context(), "_tenantry_outer", None)
    while context is not None:
        unit: UnitOfWork | None = getattr(context, "_tenantry_unit", None)
        if unit is not None and unit.database == app.database:
            return unit
        context = getattr(context, "_tenantry_outer", None)
    return None


def _commit_before_response(response: Response) -> Response:
    if (unit := _opened()) is not None:
        unit.commit()
    return response


def _end_unit(error: BaseException | None) -> None:
    unit = _opened()
    if unit is None:
        return
    try:
        if error is None:
            unit.commit()
        else:
            unit.session.rollback()
            unit.follow()  # from what was kept before the error
    finally:
        _context()._tenantry_unit = None  # type: ignore[attr-defined]  # as above
        unit.close()


def _current_session() -> Session:
    unit = _opened() if has_app_context() else None
    return (unit or _current_unit()).session


#: The current tenant's session. Raises ``NoTenantContext`` outside a tenant's context.
session: Session = cast(Session, LocalProxy(_current_session))
