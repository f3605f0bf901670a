"""A look at a configuration and at all that it names, in a process of its own.

What is imported stays imported for as long as a process lives, and an import may hang, exit or crash. So whoever serves
lets another process import first, and ends it where it does not come to its end.
"""

from __future__ import annotations

import faulthandler
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from .changes import some
from .checking import problems_of
from .errors import ConfigError, Problem
from .explaining import explain, is_theirs
from .registry import Registry
from .sources import Sources, Stored

#: Seconds after which a process is killed that should have ended itself; what it takes to start is among them.
_GRACE = 10.0
#: A line of what Python writes of a process that it ends: a file, and where in it.
_FRAME = re.compile(r'^  File "(.+)", line (\d+) in ', re.MULTILINE)


class Look:
    """A look at all that files name, in another process. It ends with an answer, or by itself in time.

    :param file: the tenants.toml, to which what is wrong with the whole is put down.
    :param seconds: how long it may take.
    :param slugs: the tenants that are looked at, for messages; none where it is all.
    """

    def __init__(self, file: Path, seconds: float, slugs: Sequence[str] = ()) -> None:
        self.seconds = seconds
        self._file = file
        self._slugs = slugs
        self._deadline = time.monotonic() + seconds + _GRACE
        self._is_overdue = False
        self._problems: list[Problem] | None = None
        # Not a pipe, which would be held open by what an import starts.
        self._answer = tempfile.TemporaryFile()  # noqa: SIM115  # closed once it is read, or by stop()
        self._process = self._begin()

    def _begin(self) -> subprocess.Popen[bytes] | _Forked:
        """Start the process, which leads a group of its own, and writes into the answer."""
        raise NotImplementedError

    def poll(self) -> bool:
        """Return whether it has ended. What should have by now is killed."""
        if self._process.returncode is None:
            # Not waited for yet, so that its number still is that of those that it has started, which end with it.
            has_ended = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
            self._is_overdue = not has_ended and time.monotonic() > self._deadline
            if has_ended or self._is_overdue:
                self._kill()
        return self._process.returncode is not None

    def problems(self) -> list[Problem]:
        """Wait for the end; return what is wrong, be it that there is no answer."""
        while not self.poll():
            time.sleep(0.05)
        if self._problems is None:
            with self._answer as answer:
                answer.seek(0)
                self._problems = self._read(answer.read().decode(errors="replace"))
        return self._problems

    def stop(self) -> None:
        """End it, wherever it is."""
        if self._process.returncode is None:
            self._kill()
        self._answer.close()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _read(self, text: str) -> list[Problem]:
        try:
            return [Problem(**each) for each in json.loads(text)]
        except (ValueError, TypeError):
            whose = f" for {some(self._slugs)}" if self._slugs else ""
            return [Problem(self._file.name, "", f"what it names{whose} was imported, and that {self._end(text)}")]

    def _end(self, text: str) -> str:
        """Say how it ended without an answer. The main thread, where the imports are, is the last that Python tells."""
        frames = _FRAME.findall(text.rpartition("hread 0x")[2])
        place = next((f" ({file}, line {line})" for file, line in frames if is_theirs(file)), "")
        if self._is_overdue or text.startswith("Timeout"):
            return f"did not come to an end within {self.seconds:.0f} seconds{place}"
        if self._process.returncode == -signal.SIGKILL:
            return "was ended by the system (SIGKILL), as where memory is short"
        how = "crashes" if text.startswith("Fatal") else "exits"
        return f"ended the process, as if something in it {how}{place}"


class Trial(Look):
    """A look by a new process, which has imported nothing yet.

    :param sources: the files, as they were read.
    :param seconds: how long it may take.
    :param slugs: the tenants to look at; all, and the platform too, where it is left out.
    """

    def __init__(self, sources: Sources, seconds: float, slugs: Sequence[str] | None = None) -> None:
        self._question = json.dumps([str(sources.main), asdict(sources.to_store()), seconds, slugs]).encode()
        super().__init__(sources.main, seconds, slugs or ())

    def _begin(self) -> subprocess.Popen[bytes]:
        with tempfile.TemporaryFile() as question:
            question.write(self._question)
            question.seek(0)
            return subprocess.Popen(  # noqa: S603  # ours
                [sys.executable, "-m", __name__],
                # It looks for modules where this process does, whatever wsgi.py has added.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=question,
                stdout=self._answer,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )


class Fork(Look):
    """A look by a copy of this process, which has no other threads: what is loaded here need not be loaded again.

    :param file: the tenants.toml.
    :param seconds: how long it may take.
    :param look: what the copy does; it returns what is wrong.
    """

    def __init__(self, file: Path, seconds: float, look: Callable[[], list[Problem]]) -> None:
        self._look = look
        super().__init__(file, seconds)

    def _begin(self) -> _Forked:
        pid = os.fork()
        if pid == 0:
            os.setsid()
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            _answer(self._answer.fileno(), self.seconds, self._look)
        return _Forked(pid)


class _Forked:
    """Of a process that was forked what :class:`Look` asks of one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def wait(self) -> int:
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


def main() -> None:
    """Answer the question in the standard input."""
    file, stored, seconds, slugs = json.loads(sys.stdin.buffer.read())
    answer = os.dup(1)
    os.dup2(2, 1)  # what an import prints is no part of it
    _answer(answer, seconds, lambda: _look(Sources(Path(file), Stored(**stored)), slugs))


def _answer(file: int, seconds: float, look: Callable[[], list[Problem]]) -> NoReturn:
    """Write what is wrong, as JSON, or where Python was when it had to end; and end."""
    faulthandler.enable(file, all_threads=False)
    faulthandler.dump_traceback_later(seconds, exit=True, file=file)
    try:
        problems = look()
    except BaseException:  # as KeyboardInterrupt, which an import may raise
        os._exit(1)
    faulthandler.cancel_dump_traceback_later()
    with open(file, "w", encoding="utf-8", closefd=False) as written:
        json.dump([problem.to_json() for problem in problems], written)
    os._exit(0)  # threads that an import has begun may never end


def _look(sources: Sources, slugs: Sequence[str] | None) -> list[Problem]:
    try:
        return problems_of(Registry.load(sources), sources, slugs)
    except ConfigError as error:
        return list(error.problems)
    except Exception as error:
        return [Problem(sources.main.name, "", explain(error))]


if __name__ == "__main__":
    main()
