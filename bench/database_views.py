"""The database pages, written once for both sides: the columns, the first content and the views.

Each side brings its own session and base of models, and its own way of committing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request
from sqlalchemy import String, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column, scoped_session

#: How many rows there are; the page lists the second half.
ROWS = 20
#: SQLite's settings that must be the same on both sides for a fair comparison.
PRAGMAS = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")

AnySession = Session | scoped_session[Any]


class RowColumns:
    """A row to read."""

    __tablename__ = "bench_row"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200))


class CounterColumns:
    """A number that each writing request makes larger by one."""

    __tablename__ = "bench_counter"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int]


def first_content(row: type[Any], counter: type[Any]) -> Iterator[object]:
    """Return what a new database holds; the rows' titles bear the name of the app, which a page must show."""
    canary = current_app.config["CANARY"]
    yield from (row(id=number, title=f"{canary}, row {number}") for number in range(1, ROWS + 1))
    yield counter(id=1, value=0)


class DatabasePages:
    """The pages, on one side's session and models.

    :param commit: what a view has to call at its end to keep what it wrote.
    """

    def __init__(
        self,
        session: AnySession,
        row: type[RowColumns],
        counter: type[CounterColumns],
        commit: Callable[[], object],
    ) -> None:
        self.session, self.row, self.counter, self.commit = session, row, counter, commit

    def make_blueprint(self) -> Blueprint:
        """Return the pages as a blueprint."""
        bp = Blueprint("database", __name__, url_prefix="/database")
        bp.add_url_rule("/read", view_func=self.read)
        bp.add_url_rule("/write", view_func=self.write, methods=["POST"])
        bp.add_url_rule("/count", view_func=self.count)
        bp.add_url_rule("/settings", view_func=self.settings)
        return bp

    def read(self) -> Response:
        """Read one row by its key, then a list of ten."""
        one = self.session.get_one(self.row, 1)
        ten = select(self.row).where(self.row.id > ROWS // 2).order_by(self.row.id).limit(10)
        lines = [f"{request.script_root} is {one.title}", *(each.title for each in self.session.scalars(ten))]
        return Response("\n".join(lines), mimetype="text/plain")

    def write(self) -> Response:
        """Count one up, in the database, so that two at once cannot lose one."""
        counter = self.counter
        self.session.execute(update(counter).where(counter.id == 1).values(value=counter.value + 1))
        self.commit()
        return Response("Counted", mimetype="text/plain")

    def count(self) -> Response:
        """Answer how often it was counted up."""
        return Response(str(self.session.get_one(self.counter, 1).value), mimetype="text/plain")

    def settings(self) -> Response:
        """Answer the settings of the connection that a page gets."""
        return jsonify({name: self.session.scalar(text(f"PRAGMA {name}")) for name in PRAGMAS})
