"""Private folders for what is not finished: each belongs to the process at work in it, and goes once that is dead."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..files import abandoned, hold_new, make_private_folder
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
    path, descriptor = _made(folder, f"{kind}-{slug}-")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def _clear(folder: Path, prefix: str) -> None:
    for path in folder.iterdir():
        if re.fullmatch(re.escape(prefix) + "[0-9a-f]{8}", path.name):
            with abandoned(path) as is_free:
                if is_free:
                    shutil.rmtree(path, ignore_errors=True)


def _made(folder: Path, prefix: str) -> tuple[Path, int]:
    """Make a folder, and return it with the descriptor by which it is held."""
    while True:
        path = folder / f"{prefix}{secrets.token_hex(4)}"
        make_private_folder(path)
        with suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            if hold_new(path, descriptor):
                return path, descriptor
            os.close(descriptor)
