"""The generations of a configuration: each one that was accepted, numbered and kept in the state folder.

Whoever serves reads the configuration from here and never from tenants.toml itself, so all workers have the same one,
one that is good, and so has a worker that starts while the file is broken. One process at a time turns the files into
the next generation (``accepting.py``).
"""

from __future__ import annotations

import gzip
import json
import re
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .errors import Problem, StateError
from .files import locked, make_private_folder, write_state_file
from .sources import Sources, Stored
from .tables import cut

#: How many generations are kept, to look at and to go back to.
KEPT_GENERATIONS = 50
#: Seconds for which one process may be at work on the next generation: a reload checks all that is imported, too.
PATIENCE = 90.0


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation: its number, when it came into force (Unix time), by what its files are told from others, and the
    tenants that it keeps although its files do not have them."""

    number: int
    since: float
    digest: str
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejection:
    """Files that were refused: by what they are told, when (Unix time), the mistakes, and when those were mended."""

    digest: str
    at: float
    problems: tuple[Problem, ...]
    mended: float | None = None


class Generations:
    """The generations in a state folder.

    :param state_dir: the state folder.
    :param file: the tenants.toml.
    """

    def __init__(self, state_dir: Path, file: Path) -> None:
        self.file = file
        self.folder = state_dir / "registry"
        #: What is looked at to see whether there is another one.
        self.pointer = self.folder / "current.json"

    def current(self) -> Generation | None:
        """Return the generation in force; ``None`` before the first one, or where its note is damaged."""
        found = _read_json(self.pointer)
        try:
            return Generation(**{**found, "kept": tuple(found["kept"])}) if found else None
        except (TypeError, KeyError):
            return None

    def sources(self, number: int) -> Sources:
        """Return the files of a generation, as they were.

        :raises StateError: if it is not there any more.
        """
        try:
            stored = json.loads(gzip.decompress(self._file(number).read_bytes()))
            return Sources(self.file, Stored(**stored))
        except (OSError, ValueError, TypeError, EOFError) as error:
            numbers = self.numbers()
            known = f"those from {numbers[0]} to {numbers[-1]}" if numbers else "none"
            broken = "is damaged" if number in numbers else "is not there"
            raise StateError(
                f"There is no generation {number} to be read: it {broken} ({type(error).__name__}). There are {known}."
            ) from None

    def since(self, number: int) -> float:
        """Return when a generation was made, in Unix time."""
        return self._file(number).stat().st_mtime

    def numbers(self) -> list[int]:
        """Return the generations that are there, oldest first."""
        return sorted(int(path.stem) for path in self.folder.glob("*.gen") if path.stem.isdigit())

    def publish(self, sources: Sources, kept: tuple[str, ...] = ()) -> Generation:
        """Put what was read into force, as the next generation. Only with :meth:`deciding`.

        :raises StateError: if it cannot be written.
        """
        last = max([*self.numbers(), getattr(self.current(), "number", 0)], default=0)
        generation = Generation(last + 1, time.time(), sources.digest, kept)
        packed = gzip.compress(json.dumps(asdict(sources.to_store())).encode("utf-8", "surrogatepass"), 1, mtime=0)
        write_state_file(self._file(generation.number), packed)
        write_state_file(self.pointer, json.dumps(asdict(generation)).encode())
        for number in self.numbers()[:-KEPT_GENERATIONS]:
            self._file(number).unlink(missing_ok=True)
        return generation

    def reject(self, digest: str, problems: tuple[Problem, ...]) -> Rejection:
        """Note that files were refused, and why. Only with :meth:`deciding`."""
        rejection = Rejection(digest, time.time(), problems)
        self._note(rejection)
        return rejection

    def mend(self) -> None:
        """Note that what was refused last is mended. Only with :meth:`deciding`."""
        if (last := self.rejection()) is not None and last.mended is None:
            self._note(replace(last, mended=time.time()))

    def _note(self, rejection: Rejection) -> None:
        write_state_file(self._rejected, json.dumps(asdict(rejection)).encode("utf-8", "backslashreplace"))

    def rejection(self) -> Rejection | None:
        """Return the last refusal, whether it was mended since or not; ``None`` if there never was one."""
        found = _read_json(self._rejected)
        try:
            problems = tuple(Problem(**each) for each in found["problems"]) if found else ()
            return Rejection(found["digest"], found["at"], problems, found["mended"]) if found else None
        except (TypeError, KeyError):
            return None

    def is_refused(self, digest: str) -> bool:
        """Whether these files were the last to be refused, and nothing was accepted since."""
        last = self.rejection()
        return last is not None and last.mended is None and last.digest == digest

    @contextmanager
    def deciding(self, seconds: float = PATIENCE) -> Iterator[None]:
        """Be the only process that turns files into a generation, for as long as the block lasts.

        :raises Held: if another one is at it for longer than so many seconds.
        """
        make_private_folder(self.folder)
        with locked(self.folder / "lock", seconds):
            yield

    @property
    def _rejected(self) -> Path:
        return self.folder / "rejected.json"

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:08}.gen"


def _read_json(path: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        found = json.loads(path.read_bytes())
        return found if isinstance(found, dict) else None
    return None


def state_dir_of(file: Path) -> Path:
    """Return the state folder that a tenants.toml names, also where the file is broken further down.

    The folder has what is served instead, so it is looked for in a text that is no TOML any more.
    """
    try:
        text = file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        text = ""
    parts = cut(text)
    try:
        named = tomllib.loads(parts.head if parts else text).get("platform", {}).get("state_dir", "var")
    except (ValueError, AttributeError, RecursionError):
        found = _STATE_DIR.search(text)
        named = found[2] if found else "var"
    return file.parent / named if isinstance(named, str) else file.parent / "var"


_STATE_DIR = re.compile(r"""^[ \t]*state_dir[ \t]*=[ \t]*(["'])([^"'\r\n]+)\1""", re.MULTILINE)
