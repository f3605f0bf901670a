"""Rows 3, 8, 9 and 13 of the fault matrix: one tenant's database or code is broken, many writers at once, writers that
are killed, and a database that is full.

The client keeps the ledger.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from conftest import Load, Server, wait_until

#: Writes a line into the tenant's database, and what was written as an answer.
LEDGER = """
from flask import Blueprint
from sqlalchemy.orm import Mapped, mapped_column
from tenantry import db

bp = Blueprint("ledger", __name__, url_prefix="/ledger")


class Line(db.Model):
    __tablename__ = "ledger_line"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


@bp.post("/<text>")
def write(text):
    db.session.add(Line(text=text))
    return text
"""
MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "ledger_0001", None, ("ledger",), None


def upgrade():
    op.create_table("ledger_line", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("text", sa.Text()))
"""
TOML = '[platform]\nblueprints = "ledger_set"\n[tenants.acme]\npath = "/acme"\n[tenants.globex]\npath = "/globex"\n'


@pytest.fixture
def server(tmp_path: Path, serve: Callable[..., Server]) -> Server:
    package = tmp_path / "ledger_set" / "ledger"
    (package / "migrations").mkdir(parents=True)
    (tmp_path / "ledger_set" / "__init__.py").touch()
    (package / "__init__.py").write_text(LEDGER)
    (package / "migrations" / "ledger_0001.py").write_text(MIGRATION)
    (tmp_path / "tenants.toml").write_text(TOML)
    started = serve(tmp_path, workers=3)
    assert started.get("/acme/ledger/first", "localhost", "Content-Length: 0", method="POST").status == 200
    return started


class Writers:
    """Threads that write lines, each once, and note how each was answered."""

    def __init__(self, server: Server, count: int, lines: int | None = None) -> None:
        self.server = server
        self.sent: list[str] = []
        self.answered: dict[str, int] = {}
        self.stop = threading.Event()
        numbers = itertools.count() if lines is None else iter(range(lines))
        self.names = (f"line-{number}" for number in numbers)
        self._lock = threading.Lock()
        self.threads = [threading.Thread(target=self._write) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _write(self) -> None:
        while not self.stop.is_set():
            with self._lock:
                name = next(self.names, None)
                if name is None:
                    return
                self.sent.append(name)
            try:
                answer = self.server.get(f"/acme/ledger/{name}", "localhost", "Content-Length: 0", method="POST")
                self.answered[name] = answer.status if answer.text == name else 0
            except OSError:
                self.answered[name] = 0  # the worker that had it was killed

    def __enter__(self) -> Writers:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop.set()
        self.join()

    def join(self) -> None:
        for thread in self.threads:
            thread.join()


def kept(server: Server) -> Counter[str]:
    """Return how often each line is in the tenant's database, once it is found to be whole."""
    connection = sqlite3.connect(server.folder / "var" / "tenants" / "acme" / "tenant.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return Counter(text for (text,) in connection.execute("SELECT text FROM ledger_line"))
    finally:
        connection.close()


def _missing(folder: Path) -> None:
    (folder / "var" / "tenants" / "acme" / "tenant.db").unlink()


def _corrupt(folder: Path) -> None:
    for name in ("tenant.db-wal", "tenant.db-shm"):
        (folder / "var" / "tenants" / "acme" / name).unlink(missing_ok=True)
    (folder / "var" / "tenants" / "acme" / "tenant.db").write_bytes(b"no database" * 1000)


def _overlay(folder: Path) -> None:
    """Of a first start: what is named later is not taken up at all."""
    shutil.rmtree(folder / "var" / "registry")
    views = folder / "tenants" / "acme" / "views.py"
    views.parent.mkdir(parents=True)
    views.write_text("raise RuntimeError('a secret of acme')")
    text = (folder / "tenants.toml").read_text()
    (folder / "tenants.toml").write_text(
        text.replace(
            "[tenants.acme]\n", "[tenants.acme]\noverrides = { 'ledger.write' = 'tenants.acme.views:write' }\n"
        )
    )


@pytest.mark.parametrize("damage", [_missing, _corrupt, _overlay], ids=["missing", "corrupt", "overlay"])
def test_row_3_what_is_broken_takes_its_tenant_down_and_no_other(
    tmp_path: Path, server: Server, serve: Callable[..., Server], damage: Callable[[Path], None]
) -> None:
    server.stop()
    damage(tmp_path)
    again = serve(tmp_path)
    post = {"method": "POST"}
    with Load(again, "/globex/") as load:
        answers = [again.get("/acme/ledger/x", "localhost", "Content-Length: 0", **post) for _ in range(12)]
        own = [again.get("/globex/ledger/x", "localhost", "Content-Length: 0", **post).status for _ in range(12)]
    assert {answer.status for answer in answers} == {503}
    assert all(int(answer.header("Retry-After")[0]) >= 1 for answer in answers)
    assert not any("secret" in answer.text for answer in answers)
    assert set(own) == {200}
    assert set(load.answers) == {404}, "its address, where nothing is: no error"


def test_row_3_a_database_that_is_locked_is_503_within_two_seconds_for_writers_alone(
    tmp_path: Path, server: Server
) -> None:
    held = sqlite3.connect(tmp_path / "var" / "tenants" / "acme" / "tenant.db", isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    try:
        answer = server.get("/acme/ledger/x", "localhost", "Content-Length: 0", method="POST")
        assert (answer.status, answer.header("Retry-After")) == (503, ["1"])
        assert server.get("/globex/ledger/x", "localhost", "Content-Length: 0", method="POST").status == 200
    finally:
        held.close()
    assert server.get("/acme/ledger/x", "localhost", "Content-Length: 0", method="POST").status == 200
    assert "Traceback" not in server.output()


def test_row_8_eight_writers_of_one_tenant(server: Server) -> None:
    with Writers(server, 8, lines=400) as writers:
        writers.join()
    assert Counter(writers.answered.values()) == {200: 400}
    assert kept(server) == Counter(["first", *writers.sent])
    assert "locked" not in server.output()


def test_row_9_writers_that_are_killed_a_hundred_times(server: Server) -> None:
    killed = 0
    with Writers(server, 4) as writers:
        while killed < 100:
            done = len(writers.answered)
            for pid in server.workers()[:1]:
                with suppress(ProcessLookupError):  # it was listed, and has ended
                    os.kill(pid, signal.SIGKILL)
                    killed += 1
            wait_until(lambda: len(writers.answered) > done + 5)  # noqa: B023  # it is called before the next round
    found = kept(server)
    acknowledged = {name for name, status in writers.answered.items() if status == 200}
    assert len(acknowledged) > 300
    assert {name for name in acknowledged if found[name] != 1} == set(), "an acknowledged line is there, once"
    assert max(found.values()) == 1
    assert set(found) <= {"first", *writers.sent}
    assert {writers.answered[name] for name in writers.sent} <= {200, 0}


def test_row_13_a_database_that_is_full_is_507_for_its_tenant_alone(tmp_path: Path, server: Server) -> None:
    toml = TOML.replace("[tenants.acme]\n", "[tenants.acme]\nlimits = { database_mb = 1 }\n")
    (tmp_path / "tenants.toml").write_text(toml)
    line = "/ledger/" + "x" * 4000
    answers = Counter[int]()

    def is_full() -> bool:
        status = server.get("/acme" + line, "localhost", "Content-Length: 0", method="POST").status
        answers[status] += 1
        return status == 507

    wait_until(is_full)
    assert set(answers) == {200, 507}
    assert server.get("/globex" + line, "localhost", "Content-Length: 0", method="POST").status == 200
    assert sum(kept(server).values()) == 1 + answers[200]
    assert server.get("/acme/nothing").status == 404
    assert "Traceback" not in server.output()
