"""The page of the database benchmark: one row by its key, and a page without a database, for Tenantry and its peers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, Response, g
from sqlalchemy import Engine, NullPool, QueuePool, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Session

from tenantry import db

from .blueprints.database.models import Row
from .database_views import RowColumns

#: Paths within a tenant.
ROW, NOTHING = "/one-row/", "/one-row/nothing"

bp = Blueprint("one_row", __name__, url_prefix="/one-row")


@bp.get("/")
def show_row() -> Response:
    """Answer one row, which bears the tenant's name."""
    return Response(db.session.get_one(Row, 1).title, mimetype="text/plain")


@bp.get("/nothing")
def show_nothing() -> Response:
    """Answer without a look at the database."""
    return Response("Nothing", mimetype="text/plain")


class Base(DeclarativeBase):
    """Base of the plain side's model."""


class PlainRow(RowColumns, Base):
    """The same row, without Tenantry."""


class PlainApp(Flask):
    """One plain Flask app for all tenants, whose first segment of the path names the file; a session for each request.

    :param file_of: tenant's name in the path to the SQLite file.
    :param pragmas: settings of each connection, as SQL.
    :param keep: whether each tenant's engine keeps its connection open for the next request.
    :ivar engines: tenant's name in the path to its engine, made when it is first asked for.
    """

    def __init__(self, file_of: Callable[[str], str], pragmas: list[str], keep: bool) -> None:
        super().__init__("bench")
        self.engines: dict[str, Engine] = {}
        self._file_of, self._pragmas, self._pool = file_of, pragmas, QueuePool if keep else NullPool
        self.add_url_rule(f"/<tenant>{ROW}", view_func=self._show_row)
        self.add_url_rule(f"/<tenant>{NOTHING}", view_func=lambda tenant: show_nothing(), endpoint="nothing")
        self.teardown_appcontext(_close_session)

    def engine(self, tenant: str) -> Engine:
        """Return the tenant's engine."""
        if tenant not in self.engines:
            made = create_engine(f"sqlite:///{self._file_of(tenant)}", poolclass=self._pool)
            event.listen(made, "connect", self._set_pragmas)
            self.engines[tenant] = made
        return self.engines[tenant]

    def _show_row(self, tenant: str) -> Response:
        g.session = Session(self.engine(tenant))
        return Response(g.session.get_one(PlainRow, 1).title, mimetype="text/plain")

    def _set_pragmas(self, connection: Any, record: object) -> None:
        for pragma in self._pragmas:
            connection.execute(pragma)


def _close_session(error: BaseException | None) -> None:
    session: Session | None = g.pop("session", None)
    if session is not None:
        session.close()
