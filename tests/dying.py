"""Commands that are killed before any one of their changes to files, and looks at what they leave."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from conftest import ROOT
from tenantry import trial
from tenantry.errors import Problem
from tenantry.sources import Sources

#: What Python tells of before it is done: every change of a file's or folder's name goes through one of these.
_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate"}


class TrialHere:
    """Looks at what an edit names in this process, for tests that are about something else, or patch what it would see."""

    def __init__(self, sources: Sources, seconds: float, slugs: Sequence[str] | None = None) -> None:
        self._sources, self._slugs = sources, slugs

    def problems(self) -> list[Problem]:
        return trial._look(self._sources, self._slugs)

    def poll(self) -> bool:
        return True

    def stop(self) -> None:
        """There is nothing to stop."""


class Ended(Exception):
    """A command ended with another status than 0."""


def command(folder: Path, *args: str, killed_at: int = 0, killed_after: float = 0.0) -> int:
    """Run a command in a process of its own, in a folder.

    :param killed_at: the number of the change before which it is killed, as by kill -9; 0 for none.
    :param killed_after: seconds after which it is killed, wherever it is; 0 for never.
    :return: how many changes it has made; -1 if it was killed.
    :raises Ended: if it failed by itself.
    """
    result = in_child(folder, lambda: _run(args, killed_at, killed_after))
    if isinstance(result, str):
        raise Ended(result)
    return -1 if result is None else int(result)


def said(folder: Path, *args: str, typed: str | None = None) -> tuple[int, str]:
    """Run a command in a process of its own, in a folder, and return its status and what it says."""

    def invoke() -> tuple[int, str]:
        from click.testing import CliRunner

        from tenantry.cli import main

        done = CliRunner().invoke(main, list(args), input=typed)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output

    found: tuple[int, str] = in_child(folder, invoke)
    return found


def import_all() -> None:
    """Import here what each of the many processes would import anew."""
    for module in ("alembic.command", "tenantry.cli", "tenantry.schema_versions", "tenantry.mail.transports"):
        import_module(module)
    for path in (ROOT / "blueprints").glob("*/*.py"):
        import_module(f"blueprints.{path.parent.name}.{path.stem}".removesuffix(".__init__"))


def in_child(folder: Path, function: Callable[[], Any]) -> Any:
    """Return what a function returns in a process of its own, in a folder; ``None`` if that was killed."""
    reader, writer = os.pipe()
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        child = (
            os.fork()
        )  # Python 3.12 warns where other threads live, as pytest-xdist's; the child uses none of theirs
    if not child:
        _be_child(folder, function, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return None
    result = pickle.loads(answer)
    if isinstance(result, BaseException):
        raise result
    return result


def _be_child(folder: Path, function: Callable[[], Any], writer: int) -> None:
    try:
        os.chdir(folder)
        sys.path[:0] = [str(folder)]
        result = function()
    except BaseException as error:
        result = AssertionError(repr(error))
    with os.fdopen(writer, "wb") as pipe:
        pickle.dump(result, pipe)
    os._exit(0)


def _run(args: tuple[str, ...], killed_at: int, killed_after: float) -> int | str:
    from click.testing import CliRunner

    from tenantry import novelty
    from tenantry.cli import main

    changes = 0
    here = f"{os.getcwd()}/"

    def count(event: str, values: tuple[Any, ...]) -> None:
        nonlocal changes
        if (event in _CHANGES and str(values[0]).startswith(here)) or (
            event in _CHANGES and not str(values[0]).startswith("/")
        ):
            changes += 1
            if changes == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)

    if killed_after:
        threading.Timer(killed_after, os.kill, (os.getpid(), signal.SIGKILL)).start()
    novelty.Trial = TrialHere  # type: ignore[assignment,misc]  # which imports faster than a process of its own
    sys.addaudithook(count)
    done = CliRunner().invoke(main, list(args))
    return changes if done.exit_code == 0 else f"{done.exit_code}: {done.output}{done.exception!r}"
