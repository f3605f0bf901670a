"""A blank database, with tables and nothing in them, of which each new tenant gets a copy.

To run all revisions takes a hundred times as long as to copy what they make, and Alembic need not even be imported. The
blank one belongs to the very files of the revisions: where one of them changes, another is made.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path

from .errors import StateError
from .files import give_to_owner_of, make_private_folder

#: Tenantry's own revisions.
HOME = Path(__file__).parent / "migrations" / "versions"
#: Seconds after which a blank database of other code is removed.
_OLD = 24 * 60 * 60


class Blank:
    """The blank database of one set of revisions.

    :param folder: where it is kept.
    :param revisions: the folders of the blueprints' revisions.
    """

    def __init__(self, folder: Path, revisions: Iterable[Path]) -> None:
        self._folder = folder
        self._revisions = (HOME, *revisions)

    @cached_property
    def _file(self) -> Path:
        told = hashlib.sha256()
        for folder in self._revisions:
            for path in sorted(folder.glob("*.py")):
                content = path.read_bytes()
                told.update(f"{path.name}\0{len(content)}\0".encode() + content)
        return self._folder / f"{told.hexdigest()[:32]}.db"

    @cached_property
    def versions(self) -> frozenset[str]:
        """The newest revisions, as Alembic notes them; none where there is no blank database yet."""
        try:
            with closing(sqlite3.connect(f"{self._file.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
                return frozenset(row[0] for row in connection.execute("SELECT version_num FROM alembic_version"))
        except sqlite3.Error:
            return frozenset()

    def copy_to(self, path: Path) -> bool:
        """Make a new database. Return whether there was a blank one to copy; nothing is at its place otherwise."""
        if not self.versions:
            return False
        try:
            _copy(self._file, path)
        except FileNotFoundError:  # it was removed since we looked into it
            path.unlink(missing_ok=True)
            self._forget()
            return False
        return True

    def keep(self, path: Path) -> None:
        """Take a database that has just got its tables, and that nobody has open, for the blank one of now.

        Without one all is as before, only slower; so nothing is raised where it cannot be kept. Those of other code go
        once they are old, as processes that run it still may want them.
        """
        with suppress(OSError, StateError):
            make_private_folder(self._folder)
            draft = self._folder / f".{secrets.token_hex(4)}.db"
            try:
                _copy(path, draft)
                for old in self._folder.iterdir():
                    if old != draft and old.stat().st_mtime < time.time() - _OLD:
                        old.unlink(missing_ok=True)
                draft.replace(self._file)
            finally:
                draft.unlink(missing_ok=True)
        self._forget()

    def _forget(self) -> None:
        self.__dict__.pop("versions", None)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as file:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as copy:
            give_to_owner_of(target.parent, descriptor)
            shutil.copyfileobj(file, copy)
            copy.flush()
            os.fsync(descriptor)
