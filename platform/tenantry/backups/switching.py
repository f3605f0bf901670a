"""The exchange of a tenant's files for those that were made ready, in steps that can be taken again.

The note of ``closing`` is there from before the first step until after the last, so nobody is served what is half done.
Each file or folder is moved aside, and then the new one to its place: whether that was done shows by where they are.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ..closing import Task, closing, nobody_in, note_of
from ..errors import StateError
from ..files import bring_all_to_disk, make_private_folder, remove_folder
from ..registry import Tenant
from ..sqlite import DEED_FILE, side_files
from .contents import copy_files, is_same
from .manifest import STATE_FOLDERS

#: The command, as the note names it.
TASK = "restore"
#: Where what was replaced is kept: its tenant, and when in UTC.
REPLACED = re.compile(r"(.+)-(\d{8}T\d{6})\.\d{6}Z")
_PARTS = ("tenant.db", DEED_FILE, *STATE_FOLDERS)


def switch(tenant: Tenant, work: Path) -> Path | None:
    """Exchange a tenant's files for those in a folder, which is used up.

    :param work: with ``state/``, which has each part, and ``overlay/``, which may be missing.
    :return: where is what was there before; ``None`` if nothing was.
    :raises StateError: if another process does not give up its database, or another command is at work on it.
    """
    ready = _ready(tenant)
    bring_all_to_disk(work)
    make_private_folder(ready.parent)
    with closing(tenant.settings, tenant.slug, TASK) as task, nobody_in(tenant):
        _stage_overlay(tenant, work / "overlay")
        task.reach(replaced=f"{tenant.slug}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
        work.rename(ready)
        return _exchange(tenant, task)


def finish(tenant: Tenant) -> bool:
    """Finish an exchange that was cut short; open the tenant again where nothing had been exchanged yet.

    :return: whether there was anything to finish.
    """
    note = note_of(tenant.settings, tenant.slug)
    if note is None or note.task != TASK:
        return False
    with closing(tenant.settings, tenant.slug, TASK) as task, nobody_in(tenant):
        was_begun = _ready(tenant).exists()
        if was_begun:
            _exchange(tenant, task)
    return was_begun


def _exchange(tenant: Tenant, task: Task) -> Path | None:
    ready, replaced = _ready(tenant), tenant.settings.state_dir / "replaced" / task.details["replaced"]
    make_private_folder(replaced)
    if (ready / "state" / "tenant.db").exists():
        for path in side_files(tenant.database_file):  # of a database that could not be opened
            if path.exists():
                path.replace(replaced / path.name)
    for name in _PARTS:
        _move(ready / "state" / name, tenant.state / name, replaced / name)
    _exchange_overlay(tenant, replaced)
    if not any(replaced.iterdir()):
        replaced.rmdir()
    shutil.rmtree(ready)
    return replaced if replaced.exists() else None


def _move(new: Path, place: Path, aside: Path) -> None:
    """Put the new one in its place, and what stood there aside. What is no longer among the new ones is done."""
    if not new.exists():
        return
    if place.exists() and not aside.exists():
        place.rename(aside)
    new.rename(place)


def _stage_overlay(tenant: Tenant, overlay: Path) -> None:
    """Copy the archive's overlay beside the present one, if it is another."""
    staged = _beside(tenant, "new")
    with _explained(tenant):
        remove_folder(staged)
        if overlay.is_dir() and not is_same(overlay, tenant.folder):
            copy_files(overlay, staged, mode=0o755)
            bring_all_to_disk(staged)


def _exchange_overlay(tenant: Tenant, replaced: Path) -> None:
    """Exchange the overlay, which may be on another disk than the state folder, so that the old one is copied aside.

    It may be a symbolic link: then the link goes, and what it leads to stays.
    """
    staged, old, aside = _beside(tenant, "new"), _beside(tenant, "old"), replaced / "overlay"
    with _explained(tenant):
        if staged.exists():
            if os.path.lexists(tenant.folder):
                remove_folder(old)
                remove_folder(aside)
                copy_files(tenant.folder, aside, mode=0o700)
                bring_all_to_disk(aside)
                tenant.folder.rename(old)
            staged.rename(tenant.folder)
        remove_folder(old)


@contextmanager
def _explained(tenant: Tenant) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateError(
            f"The folder {tenant.folder} cannot be replaced ({error.strerror or error}). Run this as somebody who may "
            f"write to {tenant.folder.parent}."
        ) from None


def _beside(tenant: Tenant, what: str) -> Path:
    return tenant.folder.with_name(f".{tenant.slug}.{what}")


def _ready(tenant: Tenant) -> Path:
    return tenant.settings.state_dir / "switching" / tenant.slug
