"""Fresh Python processes that answer questions: what is measured in one cannot disturb what is measured in another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import IO, Any, cast

from .common import ROOT

Answers = dict[str, Any]


class Worker:
    """A process that runs a module of this package and answers questions, each a line of JSON, in turn.

    :param module: name within this package; it has to call :func:`answer_questions`.
    :param arguments: of the process.
    :param through: a command to run Python through, such as a profiler's.
    :param environment: added to this process's variables.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        through: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [*through, sys.executable, "-m", f"{__package__}.{module}", *arguments],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, task: str, **details: Any) -> Answers:
        """Return the answer to one question.

        :raises RuntimeError: if the process ends instead; what it said is on standard error.
        """
        questions, answers = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)
        questions.write(json.dumps({"task": task, **details}) + "\n")
        questions.flush()
        line = answers.readline()
        if not line:
            raise RuntimeError(f"bench.{self._module} ended with status {self._process.wait()}, and without an answer")
        answer: Answers = json.loads(line)
        return answer

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # it reads the end of its questions, and goes


def ask_once(module: str, task: str, **details: Any) -> Answers:
    """Return the answer of a process that is started for this question alone."""
    with Worker(module) as worker:
        return worker.ask(task, **details)


def answer_questions(tasks: Mapping[str, Callable[..., Answers]]) -> None:
    """Answer, in a worker's process, until there are no more questions.

    :param tasks: name to function; it is given the question's details by name.
    """
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(tasks[question.pop("task")](**question)), flush=True)
