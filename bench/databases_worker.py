"""Serves database pages in a process of its own, for :mod:`bench.databases`, without a server around them."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import sys
import tracemalloc
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.orm import Session
from werkzeug.test import create_environ

from .database_views import PRAGMAS
from .footprint import private_bytes, traced_bytes
from .one_row import NOTHING, ROW, PlainApp, PlainRow
from .tenants import Door
from .workers import Answers, answer_questions

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

#: What must be the same on all sides.
SETTINGS = (*PRAGMAS, "max_page_count")
#: What of it each connection has to be told; the journal's mode is the file's, and the rest is as SQLite has it.
_PER_CONNECTION = ("foreign_keys", "busy_timeout", "max_page_count")
#: So many are asked beforehand, the last that come in turn: more than there are open connections, unless all are.
_LAST = 100


class Side(ABC):
    """One way of serving the tenants' databases.

    :param folder: in which tenants.toml is, and what belongs to it.
    """

    app: WSGIApplication

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.doors = [Door(*each) for each in json.loads((folder / "doors.json").read_text())]

    def file_of(self, door: Door) -> Path:
        """Return the SQLite file of a tenant."""
        return self.folder / "var" / "tenants" / door.canary / "tenant.db"

    @abstractmethod
    def close_connections(self) -> None:
        """Close the connections that wait for a next request."""

    @abstractmethod
    def settings(self) -> Answers:
        """Return the settings of the connections that the pages get."""

    def visit(self) -> Answers:
        """Ask all tenants for both pages once, so that their apps are there."""
        for door in self.doors:
            self._ask(door, NOTHING)
            self._ask(door)
        return {}

    def measure(self, tenants: int, calls: int, path: str = ROW) -> Answers:
        """Ask for a page of so many tenants in turn: microseconds a request."""
        chosen = self.doors[:tenants]
        for door in chosen[-_LAST:]:
            self._ask(door, path)
        asked = [chosen[call % tenants] for call in range(calls)]
        environs = [create_environ(door.path + path) for door in asked]
        started = perf_counter()
        bodies = [_answer(self.app, environ) for environ in environs]
        taken = perf_counter() - started
        for door, body in zip(asked, bodies, strict=True):
            _check(door, path, body)
        return {"us": taken / calls * 1e6}

    def footprint(self, tenants: int, traced: bool) -> Answers:
        """Ask so many for their rows, one after the other: bytes that one more takes, and the most descriptors.

        The second half counts, as the first one fills what is bounded. All have answered a page without a database
        before, so their apps are there already. Once all connections are closed, all of them count.
        """
        measure = traced_bytes if traced else private_bytes
        doors, half = self.doors[:tenants], tenants // 2
        for door in doors:
            self._ask(door, NOTHING)
        self._ask(doors[0])  # with it comes what all share
        self.close_connections()
        if traced:
            tracemalloc.start()
        descriptors, before = _count_descriptors(), measure()
        peaks = [self._ask_and_count(door) for door in doors[:half]]
        at_half = measure()
        peaks += [self._ask_and_count(door) for door in doors[half:]]
        one_more = (measure() - at_half) / (tenants - half)
        self.close_connections()
        return {
            "tenants": tenants,
            "one_more_bytes": one_more,
            "closed_bytes": (measure() - before) / tenants,
            "descriptors": max(peaks) - descriptors,
        }

    def _ask_and_count(self, door: Door) -> int:
        self._ask(door)
        return _count_descriptors()

    def _ask(self, door: Door, path: str = ROW) -> None:
        body = _answer(self.app, create_environ(door.path + path))
        _check(door, path, body)


class Tenantry(Side):
    """The platform, with the open connections that its tenants.toml allows.

    :param file: the tenants.toml.
    """

    def __init__(self, folder: Path, file: str) -> None:
        from tenantry import Platform

        super().__init__(folder)
        self.app = self.platform = Platform.from_file(folder / file)

    def close_connections(self) -> None:
        self.platform.databases.close_idle()

    def settings(self) -> Answers:
        from tenantry import db

        with self.platform.tenant(self.doors[0].canary):
            return _settings(lambda pragma: db.session.scalar(text(pragma)))


class Plain(Side):
    """One plain Flask app, with an engine for each tenant.

    :param settings: of each connection, as JSON.
    :param keep: ``keep`` if a tenant's engine keeps its connection open.
    """

    def __init__(self, folder: Path, settings: str, keep: str) -> None:
        super().__init__(folder)
        files = {door.path[1:]: str(self.file_of(door)) for door in self.doors}
        found = json.loads(settings)
        pragmas = [f"PRAGMA {name} = {found[name]}" for name in _PER_CONNECTION]
        self.app = self.flask = PlainApp(files.__getitem__, pragmas, keep == "keep")

    def close_connections(self) -> None:
        for engine in self.flask.engines.values():
            engine.dispose()

    def settings(self) -> Answers:
        with self.flask.engine(self.doors[0].path[1:]).connect() as connection:
            return _settings(lambda pragma: connection.scalar(text(pragma)))

    def query(self, calls: int) -> Answers:
        """Read one row without Flask around it, on one tenant: microseconds by SQLAlchemy, and by ``sqlite3`` alone."""
        door = self.doors[0]
        engine = self.flask.engine(door.path[1:])

        def by_sqlalchemy() -> str:
            with Session(engine) as session:
                return session.get_one(PlainRow, 1).title

        with closing(sqlite3.connect(self.file_of(door))) as connection:

            def by_sqlite3() -> str:
                title: str = connection.execute("SELECT id, title FROM bench_row WHERE id = ?", (1,)).fetchone()[1]
                return title

            return {"sqlalchemy_us": _time(by_sqlalchemy, calls), "sqlite3_us": _time(by_sqlite3, calls)}


def _time(work: Callable[[], str], calls: int) -> float:
    started = perf_counter()
    titles = [work() for _ in range(calls)]
    taken = perf_counter() - started
    assert all(title.endswith(", row 1") for title in titles), f"{titles[0]!r} was read; expected the first row"
    return taken / calls * 1e6


def _settings(read: Callable[[str], object]) -> Answers:
    return {name: read(f"PRAGMA {name}") for name in SETTINGS}


def _answer(app: WSGIApplication, environ: dict[str, Any]) -> bytes:
    """Do what a server does with a request: read the whole answer, then close it, which ends the unit of work."""
    answer: Iterable[bytes] = app(environ, _start_response)
    body = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    return body


def _start_response(status: str, headers: object, exc_info: object = None) -> Callable[[bytes], object]:
    assert status == "200 OK", f"a page answered {status}; expected 200 OK"
    return lambda data: None


def _check(door: Door, path: str, body: bytes) -> None:
    expected = f"{door.canary}, row 1".encode() if path == ROW else b"Nothing"
    assert body == expected, f"{door.path} answers {body!r}; expected {expected!r}"


def _count_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _raise_limit() -> None:
    """Allow as many open files as the system lets this process have: a connection takes three."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main(kind: str, folder: str, *arguments: str) -> None:
    """Answer questions on one side: ``Tenantry`` or ``Plain``."""
    _raise_limit()
    side: Any = {"Tenantry": Tenantry, "Plain": Plain}[kind](Path(folder), *arguments)
    tasks = ("visit", "measure", "footprint", "settings", "query")
    answer_questions({name: getattr(side, name) for name in tasks if hasattr(side, name)})


if __name__ == "__main__":
    main(*sys.argv[1:])
