"""The ledger of migrations: each run, and what became of each tenant in it. ``migrations.db`` in the state folder.

What is still to be done is never read from here, but from the tenants' own databases, so the ledger can be removed at
any time, and nothing but the memory of past runs is lost.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import StateError
from ..files import give_to_owner_of, locked, make_private_folder
from ..times import now

#: So many runs are remembered.
_KEPT = 100
_TABLES = """
CREATE TABLE IF NOT EXISTS run (
    id INTEGER PRIMARY KEY AUTOINCREMENT, pid INTEGER NOT NULL, began TEXT NOT NULL, ended TEXT,
    outcome TEXT NOT NULL, chosen INTEGER NOT NULL, behind INTEGER NOT NULL, heads TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS result (
    run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE, slug TEXT NOT NULL, outcome TEXT NOT NULL,
    versions_before TEXT NOT NULL, versions_after TEXT NOT NULL, seconds REAL NOT NULL, reason TEXT NOT NULL,
    at TEXT NOT NULL, PRIMARY KEY (run_id, slug)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS result_slug ON result (slug, run_id);
"""
_FAILURES = """
SELECT slug, reason, at FROM result AS r WHERE outcome = 'failed'
AND run_id = (SELECT max(run_id) FROM result WHERE slug = r.slug) ORDER BY slug
"""
_RUNS = """
SELECT id, pid, began, ended, outcome, chosen, behind,
    (SELECT count(*) FROM result WHERE run_id = run.id AND result.outcome = 'migrated'),
    (SELECT count(*) FROM result WHERE run_id = run.id AND result.outcome = 'failed')
FROM run ORDER BY id DESC LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of ``tenantry migrate``. Times are UTC, as ISO 8601.

    :ivar outcome: ``running``, ``finished``, ``stopped`` (after its canaries, or by Ctrl-C) or ``killed``.
    :ivar chosen: how many tenants it was for; of those, ``behind`` were to be migrated.
    """

    id: int
    pid: int
    began: str
    ended: str | None
    outcome: str
    chosen: int
    behind: int
    migrated: int
    failed: int


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one tenant: ``migrated``, ``current`` (another process was faster) or ``failed``."""

    slug: str
    outcome: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    seconds: float
    reason: str = ""


class Ledger:
    """The ledger of one deployment.

    :param state: the state folder.
    """

    def __init__(self, state: Path) -> None:
        self._file = state / "migrations.db"
        self._lock = state / "migrations.lock"

    @contextmanager
    def writing(self, chosen: int, behind: int, heads: frozenset[str]) -> Iterator[Entry]:
        """Begin a run and note how it ends.

        :raises StateError: if the ledger cannot be written.
        """
        make_private_folder(self._file.parent)
        with closing(self._open()) as connection:
            connection.execute("UPDATE run SET outcome = 'killed' WHERE outcome = 'running'")  # as we hold the lock
            connection.execute("DELETE FROM run WHERE id <= (SELECT max(id) FROM run) - ?", (_KEPT,))
            cursor = connection.execute(
                "INSERT INTO run (pid, began, outcome, chosen, behind, heads) VALUES (?, ?, 'running', ?, ?, ?)",
                (os.getpid(), _now(), chosen, behind, " ".join(sorted(heads))),
            )
            entry = Entry(connection, cursor.lastrowid or 0)
            try:
                yield entry
            except BaseException:
                entry.end("stopped")
                raise
            entry.end("finished")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only run of this deployment while the block lasts.

        :raises StateError: if another one is under way.
        """
        make_private_folder(self._file.parent)
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self._lock, 0.2))
            except StateError:
                if not self._lock.exists():  # the folder cannot be written to
                    raise
                raise StateError(self._who()) from None
            yield

    def runs(self, count: int = 5) -> list[Run]:
        """Return the last runs, the newest first."""
        if not self._file.exists():
            return []
        with closing(self._open()) as connection:
            found = [Run(*row) for row in connection.execute(_RUNS, (count,))]
        is_under_way = bool(found) and found[0].outcome == "running" and self._is_held()
        return [
            replace(run, outcome="killed") if run.outcome == "running" and not is_under_way else run for run in found
        ]

    def failures(self) -> dict[str, tuple[str, str]]:
        """Return the tenants whose last migration failed, each with the reason and the time of that."""
        if not self._file.exists():
            return {}
        with closing(self._open()) as connection:
            return {slug: (reason, at) for slug, reason, at in connection.execute(_FAILURES)}

    def _is_held(self) -> bool:
        try:
            with locked(self._lock, 0.0):
                return False
        except StateError:
            return True

    def _who(self) -> str:
        run = next((run for run in self.runs(1) if run.outcome == "running"), None)
        whom = "Another process is migrating, or writing a revision"
        if run:
            whom = f"Process {run.pid} has been migrating since {run.began} UTC"
        return f"{whom}, and two at once would be in each other's way. Wait for it: tenantry migrate --report"

    def _open(self) -> sqlite3.Connection:
        try:
            if not self._file.exists():
                descriptor = os.open(self._file, os.O_CREAT | os.O_WRONLY, 0o600)
                give_to_owner_of(self._file.parent, descriptor)
                os.close(descriptor)
            return _prepared(sqlite3.connect(self._file, isolation_level=None))
        except (OSError, sqlite3.Error) as error:
            raise StateError(
                f"The ledger of migrations {self._file} cannot be used ({error}). It only remembers past runs: where "
                "it is damaged, remove it."
            ) from None


class Entry:
    """A run that is under way."""

    def __init__(self, connection: sqlite3.Connection, number: int) -> None:
        self.number = number
        self._connection = connection
        self._outcome = ""

    def note(self, result: Result) -> None:
        """Note what became of a tenant, at once, as this process may be killed next."""
        self._connection.execute(
            "INSERT OR REPLACE INTO result VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.number,
                result.slug,
                result.outcome,
                " ".join(result.before),
                " ".join(result.after),
                round(result.seconds, 4),
                result.reason,
                _now(),
            ),
        )

    def end(self, outcome: str) -> None:
        """Note how the run ended; what is noted first holds."""
        self._connection.execute(
            "UPDATE run SET ended = ?, outcome = ? WHERE id = ? AND outcome = 'running'", (_now(), outcome, self.number)
        )


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_TABLES)
    except BaseException:
        connection.close()
        raise
    return connection


def _now() -> str:
    return now().isoformat(sep=" ", timespec="seconds")
