"""Closing one tenant while its files are moved or replaced, by a command that is resumed where it was cut short.

A note in the state folder says what is being done. While it is there the tenant answers 503 and no process opens its
database, also after the command was killed: what is half done is never served. The same command, run again, goes on
from the note. Processes that serve look for notes several times a second (``following.py``).
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .errors import Held, StateError, TenantClosed
from .files import locked, make_private_folder, write_state_file
from .holding import held
from .registry import Settings, Tenant

#: Seconds that processes have to give up a database: as long as gunicorn lets a request take.
PATIENCE = 30.0
#: Seconds that they have to let go of a file that is no database any more, of which nobody can tell who has it.
_SETTLING = 3.0
#: The notes of this process's own commands, which may use what they have closed.
_OURS: set[Path] = set()


@dataclass(frozen=True, slots=True)
class Note:
    """What is being done to a tenant: the command, what it was asked for, and how far it has come.

    :ivar since: when it began, as Unix time, also where it was resumed.
    :ivar pid: the last process at work on it.
    """

    task: str
    details: dict[str, Any] = field(default_factory=dict)
    since: float = field(default_factory=time.time)
    pid: int = field(default_factory=os.getpid)


class Task:
    """A command at work on one tenant, and alone in that.

    :ivar note: what it was asked for; that of before where a run was cut short.
    :ivar resumed: whether a run that was cut short is gone on with.
    """

    def __init__(self, path: Path, slug: str, note: Note, resumed: bool) -> None:
        self.slug = slug
        self.note = note
        self.resumed = resumed
        self.keep = resumed
        self._path = path

    @property
    def details(self) -> dict[str, Any]:
        """What it was asked for, and how far it has come."""
        return self.note.details

    def reach(self, **details: Any) -> None:
        """Note how far the work has come. From now on an error leaves the tenant closed until it is finished."""
        self.note = Note(self.note.task, {**self.note.details, **details}, self.note.since)
        self.keep = True
        write_state_file(self._path, _as_bytes(self.note))


@contextmanager
def closing(settings: Settings, slug: str, task: str, **details: Any) -> Iterator[Task]:
    """Close a tenant for as long as the block lasts; for good where it fails after :meth:`Task.reach`.

    :param task: the command, e.g. ``restore``.
    :param details: what it was asked for, to be found again by the next run.
    :raises StateError: if another command is at work on the tenant.
    :raises TenantClosed: if another command was cut short, and has to be finished first.
    """
    folder = _folder(settings)
    make_private_folder(folder)
    with _alone(settings, slug):
        before = note_of(settings, slug)
        if before and before.task != task:
            raise TenantClosed(slug, before.task)
        for draft in folder.glob(f".{slug}.*"):  # of a run that was killed while it wrote its note
            draft.unlink(missing_ok=True)
        note = replace(before, pid=os.getpid()) if before else Note(task, details)
        work = Task(folder / slug, slug, note, before is not None)
        write_state_file(folder / slug, _as_bytes(work.note))
        _OURS.add(folder / slug)
        try:
            yield work
            work.keep = False
        finally:
            _OURS.discard(folder / slug)
            if not work.keep:
                (folder / slug).unlink(missing_ok=True)


def check_nobody_at_work(settings: Settings, slug: str) -> None:
    """Look whether another command is at work on a tenant just now.

    :raises StateError: if one is.
    """
    if (settings.state_dir / "locks" / slug).exists():
        with _alone(settings, slug, seconds=0):
            pass


@contextmanager
def _alone(settings: Settings, slug: str, seconds: float = 5.0) -> Iterator[None]:
    make_private_folder(settings.state_dir / "locks")
    with ExitStack() as held:
        try:
            held.enter_context(locked(settings.state_dir / "locks" / slug, seconds))
        except Held:
            note = note_of(settings, slug)
            command = f"'tenantry {note.task}'" if note else "Another command"
            raise Held(
                f"{command} is at work on '{slug}' just now. Wait for its end, and run this again then."
            ) from None
        yield


def note_of(settings: Settings, slug: str) -> Note | None:
    """Return what is being done to a tenant, or was when the command was cut short; ``None`` if nothing is."""
    try:
        return Note(**json.loads((_folder(settings) / slug).read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise StateError(f"The note {_folder(settings) / slug} cannot be read ({error}). Remove it by hand.") from None


def closed_slugs(settings: Settings) -> frozenset[str]:
    """Return the tenants that are closed just now."""
    try:
        return frozenset(name for name in os.listdir(_folder(settings)) if not name.startswith("."))
    except OSError:
        return frozenset()


def check_open(settings: Settings, slug: str) -> None:
    """Look whether a tenant may be used by this process.

    :raises TenantClosed: if a command of another process has closed it.
    """
    path = _folder(settings) / slug
    if path.exists() and path not in _OURS:
        note = note_of(settings, slug)
        raise TenantClosed(slug, note.task if note else "")


@contextmanager
def held_open(tenant: Tenant) -> Iterator[None]:
    """Hold a tenant that this process may use, while the block runs.

    It is looked at before, so that nothing is made of one that is closed and nobody waits for it; and once it is held,
    as it may have been closed meanwhile.

    :raises TenantClosed: if a command of another process has closed it.
    :raises StateError: if another process holds it for longer than some seconds.
    """
    check_open(tenant.settings, tenant.slug)
    with held(tenant):
        check_open(tenant.settings, tenant.slug)
        yield


@contextmanager
def nobody_in(tenant: Tenant) -> Iterator[None]:
    """Hold a tenant that was closed, and its database if there is one, so that no process uses, makes or updates it.

    The tenant is held first and its database then, as by whoever else holds both.

    :raises StateError: if another process does not give it up.
    """
    with ExitStack() as stack:
        stack.enter_context(held(tenant, PATIENCE))
        if tenant.database_file.exists():
            try:
                stack.enter_context(alone_with(tenant.database_file, tenant.slug))
            except sqlite3.DatabaseError:  # it is damaged
                time.sleep(_SETTLING)
        yield


@contextmanager
def alone_with(file: Path, slug: str, seconds: float = PATIENCE) -> Iterator[sqlite3.Connection]:
    """Hold a database that no other process has open, whole in its one file, for as long as the block lasts.

    SQLite leaves WAL mode only if nobody else has the database open, and then its log is written back and removed. To
    move or replace a database that is open would let others write the old one's log into the new one
    (sqlite.org/howtocorrupt.html, section 2). Where the file is still at its place afterwards it is in WAL mode again.

    :param seconds: how long the others have to give it up.
    :raises StateError: if they do not.
    """
    connection = _take_over(file, slug, time.monotonic() + seconds)
    try:
        yield connection
    finally:
        connection.close()
        if file.exists():
            back_to_wal(file)


def back_to_wal(file: Path) -> None:
    """Let a database have a write-ahead log again. Where somebody holds it, the next who opens its app does so."""
    with suppress(sqlite3.Error):
        connection = _open(file)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()


def _take_over(file: Path, slug: str, deadline: float) -> sqlite3.Connection:
    while True:
        connection = _open(file)
        try:
            if _has_alone(connection):
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        if time.monotonic() > deadline:
            raise StateError(
                f"Another process has the database of '{slug}' open, and does not give it up. Look for a shell, a "
                "backup or another command at work on it, end that, and run this again."
            )
        time.sleep(0.05)


def _has_alone(connection: sqlite3.Connection) -> bool:
    """Whether nobody else has the database open, by taking it."""
    try:
        if connection.execute("PRAGMA journal_mode = DELETE").fetchone() != ("delete",):
            return False
        connection.execute("BEGIN EXCLUSIVE")
        # Somebody may have set it back in between.
        return bool(connection.execute("PRAGMA journal_mode").fetchone() == ("delete",))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return False
        raise


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(file))}?mode=rw", uri=True, isolation_level=None, timeout=0)


def _folder(settings: Settings) -> Path:
    return settings.state_dir / "closed"


def _as_bytes(note: Note) -> bytes:
    return json.dumps(asdict(note), ensure_ascii=False, indent=1).encode()
