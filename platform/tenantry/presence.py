"""Who serves: a note of each process in the state folder, which it holds locked for as long as it lives.

The lock says whether the process is there, and the number of a process that was killed may be another's by now.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from .files import close_lock, give_to_owner_of, make_private_folder, note_lock
from .registry import Settings

#: Bytes of a note: it is written over in one piece, and what is shorter is filled up.
_SIZE = 1024


@dataclass(slots=True)
class Report:
    """What a process says of itself.

    :ivar kind: ``web`` or ``jobs``.
    :ivar since: when it began, in Unix time.
    :ivar memory: bytes that it has in memory, what it shares with others included.
    :ivar live: how many tenants' apps it has built.
    :ivar watches: whether it is the one that watches the files.
    :ivar pending: settings that have changed, and that it takes up only when it is started anew.
    :ivar tries: for whom the file names new code, which is imported by another process first, as long as that takes.
    """

    pid: int
    kind: str
    since: float
    generation: int
    memory: int
    live: int
    watches: bool
    pending: tuple[str, ...] = ()
    tries: str = ""

    def __post_init__(self) -> None:
        self.pending = tuple(self.pending)  # JSON has made a list of it


class Presence:
    """The note of this process.

    :param kind: ``web`` or ``jobs``.
    :raises StateError: if the state folder cannot be written to.
    """

    def __init__(self, settings: Settings, kind: str) -> None:
        self.kind = kind
        self.since = time.time()
        folder = _folder(settings)
        make_private_folder(folder)
        # Two processes of one number may serve from one state folder, each in a container of its own.
        self._path = folder / f"{os.getpid()}-{secrets.token_hex(4)}.json"
        self._file = self._open()

    def _open(self) -> int:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        give_to_owner_of(self._path.parent, file)
        note_lock(file)
        fcntl.flock(file, fcntl.LOCK_EX)  # whoever looks holds it for a moment
        return file

    def write(self, generation: int, live: int, watches: bool, pending: tuple[str, ...], tries: str) -> None:
        """Say how things are."""
        if not os.fstat(self._file).st_nlink:  # taken for one that is gone, before it was locked
            close_lock(self._file)
            self._file = self._open()
        report = Report(os.getpid(), self.kind, self.since, generation, _memory(), live, watches, pending, tries)
        os.pwrite(self._file, json.dumps(asdict(report)).encode().ljust(_SIZE), 0)


def reports(settings: Settings) -> list[Report]:
    """Return what each process says that is there. Notes of those that are gone are removed."""
    return sorted(_reports(_folder(settings)), key=lambda report: (report.kind != "web", report.since, report.pid))


def _reports(folder: Path) -> Iterator[Report]:
    for path in folder.glob("*.json"):
        with suppress(OSError, ValueError, TypeError):  # it ends just now, or has not said anything yet
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                if _is_held(descriptor):
                    report = Report(**json.loads(os.pread(descriptor, _SIZE, 0)))
                    yield report
                else:
                    path.unlink(missing_ok=True)
            finally:
                os.close(descriptor)


def _is_held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _folder(settings: Settings) -> Path:
    return settings.state_dir / "processes"


def _memory() -> int:
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
