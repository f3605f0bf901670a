"""One TOML file: read within bounds, its mistakes as problems, its keys with their lines."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from typing import Any

from .errors import Problem
from .sources import Sources, Unreadable

_HEADER = re.compile(r"\s*\[\[?([^\]]+)\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*((?:\"[^\"]*\"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:\"[^\"]*\"|'[^']*'|[\w-]+))*)\s*=")
_PART = re.compile(r"\"([^\"]*)\"|'([^']*)'|([\w-]+)")
_LONG = 2000  # characters; no line that is longer is looked through for its key
_AT_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)")


class TomlFile:
    """A TOML file as read once: ``data``, or the ``problem`` for which there is none.

    :param sources: reads it.
    :param name: the file, relative to the folder of tenants.toml.
    """

    def __init__(self, sources: Sources, name: str) -> None:
        self.name = name
        self.data: dict[str, Any] = {}
        self.problem: Problem | None = None
        self.text = ""
        self._lines: dict[tuple[str, ...], int] | None = None
        try:
            self.text = sources.read(name)
            self.data = tomllib.loads(self.text)
        except Unreadable as error:
            self.problem = Problem(self.name, "", str(error), error.line)
        except RecursionError:
            self.problem = Problem(self.name, "", "nested too deeply; expected tables at most three deep")
        except ValueError as error:  # TOMLDecodeError, and integers beyond Python's limit of digits
            self.problem = self._syntax_problem(str(error))

    def _syntax_problem(self, message: str) -> Problem:
        found = _AT_LINE.search(message)
        line = int(found[1]) if found else self.text.count("\n") + 1 if "end of document" in message else None
        message = _AT_LINE.sub("", message).replace(" (at end of document)", ", at the end of the file")
        return Problem(self.name, "", f"not valid TOML: {message[:300]}", line)

    def line_of(self, *keys: str) -> int | None:
        """Return the line of the deepest of ``keys`` that can be found, e.g. ``("tenants", "acme", "path")``."""
        if self._lines is None:
            self._lines = _find_lines(self.text.splitlines())
        for depth in range(len(keys), 0, -1):
            if line := self._lines.get(keys[:depth]):
                return line
        return None

    def has(self, *keys: str) -> bool:
        """Whether a key is there, e.g. ``("tenants", "acme", "path")``."""
        found: Any = self.data
        for key in keys:
            if not isinstance(found, dict) or key not in found:
                return False
            found = found[key]
        return True

    def problem_at(self, keys: Iterable[str], message: str) -> Problem:
        """Return a problem with this file's name and, where it can be had, the line of the key."""
        path = tuple(keys)
        return Problem(self.name, ".".join(path), message, self.line_of(*path))


def _find_lines(lines: list[str]) -> dict[tuple[str, ...], int]:
    """Map each table header and each key to its line. A scan, not a parser: keys inside inline tables are missed."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(lines, 1):
        if len(line) > _LONG:
            continue
        if header := _HEADER.match(line):
            table = _parts(header[1])
            for depth in range(1, min(len(table), 4) + 1):
                found.setdefault(table[:depth], number)
        elif key := _KEY.match(line):
            found.setdefault(table + _parts(key[1]), number)
    return found


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(a or b or c for a, b, c in _PART.findall(dotted))
