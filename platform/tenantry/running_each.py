"""Running a program for each of many tenants, several at once, with their output line by line."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

#: Seconds that programs have to end once they are told to.
_GRACE = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one run.

    :ivar status: the program's exit status, negative if a signal ended it; ``None`` if it was not run.
    :ivar reason: why it failed, in words.
    """

    slug: str
    status: int | None = None
    reason: str = ""


class Crew:
    """Runs a program for tenants.

    :param command: the program with its arguments, in which ``{}`` stands for the slug.
    :param jobs: how many run at once.
    :param say: gets each line of output, with the slug in front; never two at once.
    :param advance: called each time that one has ended.
    :ivar was_stopped: whether somebody stopped it, by Ctrl-C or SIGTERM, before all had run.
    """

    def __init__(
        self, command: Sequence[str], jobs: int, say: Callable[[str], None], advance: Callable[[], None] = lambda: None
    ) -> None:
        self.was_stopped = False
        self._command = command
        self._jobs = jobs
        self._say = say
        self._advance = advance
        self._speaking = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()

    def run(self, slugs: Sequence[str]) -> list[Outcome]:
        """Run it for each one, and return what became of that, in the same order."""
        width = max(map(len, slugs), default=0)
        with ThreadPoolExecutor(self._jobs) as pool, self._told_to_stop():
            waiting = [pool.submit(self._run_one, slug, width) for slug in slugs]
            return [future.result() for future in waiting]

    @contextmanager
    def _told_to_stop(self) -> Iterator[None]:
        """While the block lasts, let signals stop what runs, and begin nothing new."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: Any) -> None:
        """Tell all that run to end; who asks twice does not wait."""
        how = signal.SIGKILL if self.was_stopped else signal.SIGTERM
        self.was_stopped = True
        for process in list(self._running):
            _signal(process, how)
            last = threading.Timer(_GRACE, _signal, (process, signal.SIGKILL))
            last.daemon = True  # there is nothing to wait for where it has ended by then
            last.start()

    def _run_one(self, slug: str, width: int) -> Outcome:
        if self.was_stopped:
            return Outcome(slug)
        try:
            process = self._start(slug)
        except OSError as error:
            return Outcome(slug, 127, f"it cannot be started ({error.strerror})")
        self._running.add(process)
        if self.was_stopped:  # between the last look and now
            _signal(process, signal.SIGTERM)
        with process:
            for line in process.stdout or ():
                self._tell(slug.ljust(width), line)
        self._running.discard(process)
        self._advance()
        return Outcome(slug, process.returncode, _in_words(process.returncode))

    def _start(self, slug: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603  # the operator's own command, as in any shell
            [part.replace("{}", slug) for part in self._command],
            env={**os.environ, "TENANTRY_TENANT": slug},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # one stream, or nobody could tell what came first
            start_new_session=True,  # so that Ctrl-C reaches it by us, and all that it starts too
        )

    def _tell(self, name: str, line: bytes) -> None:
        with self._speaking:
            self._say(f"{name}  {line.decode(errors='replace').rstrip()}")


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def _in_words(status: int) -> str:
    if status >= 0:
        return f"status {status}" if status else ""
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"
