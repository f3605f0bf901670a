"""Private folders for what is not finished: each belongs to the process at work in it, and goes once that is dead."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..files import make_private_folder
from ..registry import Settings


@contextmanager
def draft(settings: Settings, kind: str, slug: str) -> Iterator[Path]:
    """Make a folder for one piece of work, and remove it afterwards, unless it was moved away.

    What others left, who were killed at the same kind of work on the same tenant, is removed too.

    :param kind: what is done, e.g. ``backup``.
    """
    folder = settings.state_dir / "drafts"
    make_private_folder(folder)
    _clear(folder, f"{kind}-{slug}-")
    path = folder / f"{kind}-{slug}-{secrets.token_hex(4)}"
    make_private_folder(path)
    with _held(path):
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def _clear(folder: Path, prefix: str) -> None:
    for path in folder.iterdir():
        if re.fullmatch(re.escape(prefix) + "[0-9a-f]{8}", path.name):
            with suppress(OSError), _held(path):
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Hold a lock on a folder, which the system drops if the process dies.

    :raises OSError: if somebody else has it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
