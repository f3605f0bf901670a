"""The plain side of the database pages: Flask-SQLAlchemy as its documentation shows it, on a SQLite file.

Its connections have the settings of Tenantry's, and no others: WAL, foreign keys, busy timeout, synchronous.
"""

from __future__ import annotations

import json
import os
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, event
from sqlalchemy.orm import DeclarativeBase

from .apps import CANARY
from .database_views import CounterColumns, DatabasePages, RowColumns, first_content

#: Names the environment variables with the SQLite file, and with the settings of its connections as JSON.
DATABASE, SETTINGS = "BENCH_DATABASE", "BENCH_DATABASE_SETTINGS"


class Base(DeclarativeBase):
    """Base of the plain side's models."""


db = SQLAlchemy(model_class=Base)


class Row(RowColumns, db.Model):  # type: ignore[misc,name-defined]  # Flask-SQLAlchemy makes its base at run time
    """A row to read."""


class Counter(CounterColumns, db.Model):  # type: ignore[misc,name-defined]  # as above
    """A number that each writing request makes larger by one."""


def make_app() -> Flask:
    """Return an app with the database pages, on the file and with the settings that the environment names."""
    app = Flask("bench")
    app.config["CANARY"] = CANARY
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{os.environ[DATABASE]}"
    db.init_app(app)
    app.register_blueprint(DatabasePages(db.session, Row, Counter, commit=db.session.commit).make_blueprint())
    with app.app_context():
        set_up(db.engine, json.loads(os.environ[SETTINGS]))
    return app


def fill(app: Flask) -> None:
    """Make the tables and their first content, once, before the app is served."""
    with app.app_context():
        db.create_all()
        db.session.add_all(first_content(Row, Counter))
        db.session.commit()


def set_up(engine: Engine, settings: dict[str, Any]) -> None:
    """Give each new connection these settings."""

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, record: object) -> None:
        for name, value in settings.items():
            connection.execute(f"PRAGMA {name} = {value}")


if __name__ == "__main__":
    fill(make_app())
