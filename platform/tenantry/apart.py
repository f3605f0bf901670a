"""A look at the configuration and at all that it names, in a process of its own.

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
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .errors import ConfigError, Problem
from .explaining import is_theirs

#: Seconds after which a process is killed that should have ended itself.
_GRACE = 2.0
#: A line of what Python writes of a process that it ends: a file, and where in it.
_FRAME = re.compile(r'^  File "(.+)", line (\d+) in ', re.MULTILINE)


class Trial:
    """A look at a tenants.toml and all that it names, which is begun at once.

    :param file: the tenants.toml.
    :param seconds: how long it may take.
    :param slugs: the tenants to look at; all, and the platform too, where it is left out.
    """

    def __init__(self, file: Path, seconds: float, slugs: Sequence[str] | None = None) -> None:
        self.file = file
        self.seconds = seconds
        self._deadline = time.monotonic() + seconds + _GRACE
        self._problems: list[Problem] | None = None
        # Not a pipe, which would be held open by what an import starts.
        self._answer = tempfile.TemporaryFile()  # noqa: SIM115  # closed once it is read, or by stop()
        with tempfile.TemporaryFile() as question:
            question.write(json.dumps([str(file), seconds, slugs]).encode())
            question.seek(0)
            self._process = subprocess.Popen(  # noqa: S603  # ours
                [sys.executable, "-m", __name__],
                stdin=question,
                stdout=self._answer,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def has_ended(self) -> bool:
        """Whether there is an answer, or will be none."""
        if self._process.poll() is None and time.monotonic() > self._deadline:
            self._kill()
        return self._process.poll() is not None

    def problems(self) -> list[Problem]:
        """Wait for the end; return what is wrong, be it that there is no answer."""
        while not self.has_ended():
            time.sleep(0.05)
        if self._problems is None:
            with self._answer as answer:
                answer.seek(0)
                self._problems = self._read(answer.read().decode(errors="replace"))
        return self._problems

    def stop(self) -> None:
        """End it, wherever it is."""
        if self._process.poll() is None:
            self._kill()
        self._answer.close()

    def _kill(self) -> None:
        """Kill the process, with those that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _read(self, text: str) -> list[Problem]:
        try:
            return [Problem(**each) for each in json.loads(text)]
        except (ValueError, TypeError):
            return [Problem(self.file.name, "", self._without_answer(text))]

    def _without_answer(self, text: str) -> str:
        theirs = ((file, line) for file, line in _FRAME.findall(text) if is_theirs(file))
        place = "".join(f" ({file}, line {line})" for file, line in list(theirs)[:1])
        if text.startswith("Timeout") or self._process.returncode == -signal.SIGKILL:
            return (
                f"what it names was imported, and that did not come to an end within {self.seconds:g} seconds{place}. "
                "Expected modules that can be imported at once"
            )
        how = "crashes" if text.startswith("Fatal") else "exits"
        return f"what it names was imported, and that ended the process, as if something in it {how}{place}"


def main() -> None:
    """Answer the question in the standard input, as JSON, or with where Python was when it had to end."""
    file, seconds, slugs = json.loads(sys.stdin.buffer.read())
    answer = os.dup(1)
    os.dup2(2, 1)  # what an import prints is no part of it
    faulthandler.enable(answer)
    faulthandler.dump_traceback_later(seconds, exit=True, file=answer)
    problems = _look(Path(file), slugs)
    with open(answer, "w", encoding="utf-8") as written:
        json.dump([problem.to_json() for problem in problems], written)
    os._exit(0)  # threads that an import has begun may never end


def _look(file: Path, slugs: Sequence[str] | None) -> list[Problem]:
    from .checking import problems_of, problems_of_tenants
    from .registry import Registry

    try:
        registry = Registry.from_file(file)
        return problems_of(registry) if slugs is None else problems_of_tenants(registry, slugs)
    except ConfigError as error:
        return list(error.problems)


if __name__ == "__main__":
    main()
