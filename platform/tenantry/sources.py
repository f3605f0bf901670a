"""The files of a configuration, as they were at one moment: tenants.toml, what it includes, and what is kept beside.

Whoever loads a configuration reads it through this, so that the same code loads what is on the disk now and what was
there when an earlier generation was made.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .files import Stamp, stamp_of

#: Largest file that is read, in bytes. 100,000 tenants of four lines take about 12 MiB.
MAX_BYTES = 64 * 1024 * 1024
#: Name of the text with the tables of tenants that have gone from the files, and are served all the same.
KEPT = "tenants that are kept"


class Unreadable(Exception):
    """A file that cannot be read, or is no text. ``line`` is where, if that is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Stored:
    """What was read at an earlier moment: texts by name, the names that each pattern found, and what was kept."""

    files: Mapping[str, str]
    patterns: Mapping[str, list[str]]
    kept: str = ""


class Sources:
    """Reads the files of a configuration, and remembers what it has read.

    :param main: tenants.toml.
    :param stored: what to read instead of the disk.
    :param draft: a file to read in the place of tenants.toml, as if it were that.
    :ivar texts: what was read, by name.
    :ivar patterns: the names that each pattern of ``include`` has found.
    :ivar kept: TOML with the tables of tenants that the files have lost.
    """

    def __init__(self, main: Path, stored: Stored | None = None, draft: Path | None = None) -> None:
        self.main = main
        self.root = main.parent
        self.texts: dict[str, str] = dict(stored.files) if stored else {}
        self.patterns: dict[str, list[str]] = dict(stored.patterns) if stored else {}
        self.kept = stored.kept if stored else ""
        self._stored = stored
        self._draft = draft

    def read(self, name: str) -> str:
        """Return a file's text.

        :raises Unreadable: if that cannot be had.
        """
        if name == KEPT:
            return self.kept
        if self._stored is None:
            drafted = self._draft is not None and name == self.main.name
            self.texts[name] = read_text(self._draft if drafted else self.root / name)  # type: ignore[arg-type]  # not None
        elif name not in self.texts:
            raise Unreadable("is not among the files that were stored")
        return self.texts[name]

    def found(self, pattern: str) -> list[str]:
        """Return the names of the files that a pattern finds.

        :raises ValueError: if it is no pattern; so does whatever else the system has against it.
        """
        if self._stored is None:
            self.patterns[pattern] = sorted(path.relative_to(self.root).as_posix() for path in self.root.glob(pattern))
        return self.patterns.get(pattern, [])

    @property
    def digest(self) -> str:
        """By what was read can be told from something else. What is kept beside it does not count."""
        told = hashlib.sha256()
        for name, text in sorted(self.texts.items()):
            told.update(f"{name}\0{len(text)}\0{text}".encode("utf-8", "surrogatepass"))
        return told.hexdigest()

    def is_as_read(self) -> bool:
        """Whether the files on the disk are still what was read."""
        try:
            return all(read_text(self.root / name) == text for name, text in self.texts.items())
        except Unreadable:
            return False

    def to_store(self) -> Stored:
        """Return what was read, to be read again later."""
        return Stored(dict(self.texts), dict(self.patterns), self.kept)


def stamps(root: Path, main: str, patterns: Mapping[str, list[str]]) -> tuple[tuple[str, Stamp | None], ...]:
    """Return by what a change of the files shows, also where a pattern finds another one."""
    names = {main: None}
    for pattern in patterns:
        try:
            names |= dict.fromkeys(sorted(path.relative_to(root).as_posix() for path in root.glob(pattern)))
        except (OSError, ValueError, IndexError, NotImplementedError):  # no pattern, which the loader tells
            continue
    return tuple((name, stamp_of(root / name)) for name in names)


def read_text(path: Path) -> str:
    """Return the text of a file, line ends as they are.

    :raises Unreadable: if that cannot be had.
    """
    try:
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # a pipe would wait for ever
            raise Unreadable("is a device or a pipe; expected a TOML file")
        if status.st_size > MAX_BYTES:
            raise Unreadable(
                f"the file has {status.st_size:,} bytes; expected at most {MAX_BYTES:,}. Part it with 'include'"
            )
        raw = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"{path} cannot be read ({error.strerror}); expected a TOML file") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8", line) from None
