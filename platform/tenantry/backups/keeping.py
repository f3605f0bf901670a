"""Where backups are kept: ``<folder>/<slug>/<slug>-<time>.tar.gz``, with ``.age`` after it where it is encrypted."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from ..errors import StateError
from ..files import abandoned, bring_to_disk, give_to_owner_of, hold_new, make_private_folder
from ..registry import Settings
from ..times import IN_NAMES
from .archive import read_manifest
from .encryption import is_encrypted
from .refusals import BadArchive

_NAME = re.compile(r"([a-z0-9][a-z0-9-]*)-(\d{8}T\d{6}Z)\.tar\.gz(\.age)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Backup:
    """An archive that is kept.

    :ivar created_at: the moment that it shows, in UTC. ``size`` is in bytes.
    """

    slug: str
    path: Path
    created_at: datetime
    size: int
    is_encrypted: bool


def default_folder(settings: Settings) -> Path:
    """Return the folder of backups, where no other is named."""
    return settings.state_dir / "backups"


def place_for(folder: Path, slug: str, moment: datetime, is_encrypted: bool) -> Path:
    """Return where a new archive belongs: the second one of a second is named after the next."""
    while True:
        path = folder / slug / f"{slug}-{moment.strftime(IN_NAMES)}.tar.gz{'.age' if is_encrypted else ''}"
        if not path.exists() and not any(path.parent.glob(f".{path.name}.*")):
            return path
        moment += timedelta(seconds=1)


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Open a private file that is at its place only once it is complete, and on the disk.

    It can be read as well, to be looked at before that.

    :raises StateError: if there is one already.
    """
    draft, descriptor = _draft_of(path)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            give_to_owner_of(path.parent, descriptor)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if path.exists():
                raise StateError(f"There is {path} already; nothing was changed. Name another file, or try again.")
            draft.replace(path)  # while it is held still
        bring_to_disk(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _draft_of(path: Path) -> tuple[Path, int]:
    """Make a draft, and return it with the descriptor by which it is held."""
    while True:
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        if hold_new(draft, descriptor):
            return draft, descriptor
        os.close(descriptor)


def prepare_folder(folder: Path, slug: str) -> None:
    """Make the folder of a tenant's backups, and clear away what a run that was killed has left in it.

    :raises StateError: if it cannot be written to.
    """
    try:
        make_private_folder(folder / slug)
    except StateError:
        raise StateError(f"The folder {folder / slug} cannot be written to. Name another one: --to DIR.") from None
    for left in (folder / slug).glob(f".{slug}-*.tar.gz*"):
        if _NAME.fullmatch(left.name[1:].rpartition(".")[0]):
            with abandoned(left) as is_free:
                if is_free:
                    left.unlink(missing_ok=True)


def backups_in(folder: Path, slug: str | None = None) -> list[Backup]:
    """Return the archives in a folder, of one tenant or of all, the newest of each first."""
    folders = [folder / slug] if slug else list(folder.iterdir()) if folder.is_dir() else []
    found = [backup for each in sorted(folders) for path in _files(each) if (backup := _look_at(path))]
    return sorted(found, key=lambda backup: (backup.slug, -backup.created_at.timestamp()))


def thin_out(folder: Path, slug: str, keep: int) -> list[Path]:
    """Remove all but the newest archives of a tenant, and return those removed. Nothing but archives is touched.

    :param keep: how many stay; at least 1.
    """
    removed = []
    for backup in backups_in(folder, slug)[max(keep, 1) :]:
        if _is_ours(backup):
            backup.path.unlink()
            removed.append(backup.path)
    return removed


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if path.is_file() and not path.is_symlink())


def _look_at(path: Path) -> Backup | None:
    named = _NAME.fullmatch(path.name)
    if named is None or named[1] != path.parent.name:
        return None
    moment = datetime.strptime(named[2], IN_NAMES).replace(tzinfo=UTC)
    return Backup(named[1], path, moment, path.stat().st_size, bool(named[3]))


def _is_ours(backup: Backup) -> bool:
    """Whether a file is what its name says, as far as that can be told without a key."""
    with backup.path.open("rb") as file:
        if backup.is_encrypted:
            return is_encrypted(file)
        try:
            return read_manifest(file).slug == backup.slug
        except BadArchive:
            return False
