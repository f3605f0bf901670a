"""Watching the configuration while jobs run: a job of a tenant that was added a moment ago is that tenant's."""

from __future__ import annotations

import logging
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import TenantryError
from ..registry import Registry

if TYPE_CHECKING:
    from ..app import Platform

log = logging.getLogger("tenantry")

#: Seconds for which the files are taken to be what they were.
_SURE = 1.0
#: A file as it was: path, time of change, size, inode.
_Stamp = tuple[str, int, int, int]


class Watch:
    """Holds the platform of the present configuration. A file that was broken leaves the last good one in force.

    :param platform: the one to begin with.
    :ivar platform: the one in force.
    """

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self._looking = threading.Lock()
        self._next_look = 0.0
        self._main: _Stamp | None = None
        self._included: list[str] = []
        self._seen: tuple[_Stamp, ...] | None = None

    def look(self, at_once: bool = False) -> None:
        """Take up what has changed in the files since the last look, which is at least a second ago.

        :param at_once: look however short that is ago.
        """
        with self._looking:  # those who wait here need what is found
            if not at_once and time.monotonic() < self._next_look:
                return
            self._next_look = time.monotonic() + _SURE
            stamps = tuple(self._stamps(self.platform.registry.settings.file))
            if stamps != self._seen:
                self._seen = stamps
                self._take_up()

    def _stamps(self, file: Path) -> Iterator[_Stamp]:
        if (main := _stamp(file)) != self._main:
            self._main, patterns = main, _patterns_in(file)
            self._included = self._included if patterns is None else patterns
        yield main
        for pattern in self._included:
            yield from map(_stamp, _found(file.parent, pattern))

    def _take_up(self) -> None:
        old = self.platform
        try:
            new = Registry.from_file(old.registry.settings.file)
            if new != old.registry:
                self.platform = _renewed(old, new)
                log.info("The configuration has changed; there are %d tenants now.", len(new))
        except TenantryError as error:
            log.error("%s\nThe worker goes on with the configuration of before.", error)


def _renewed(old: Platform, registry: Registry) -> Platform:
    before, after = old.registry.settings, registry.settings
    if (before.state_dir, before.redis) != (after.state_dir, after.redis):
        log.error("[platform] state_dir or redis has changed. Restart the worker, as it still uses those of before.")
        return old
    new = type(old)(registry, old.keys)
    new.queue = old.queue
    old.databases.close_idle()
    return new


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError:
        return str(path), 0, 0, 0
    return str(path), status.st_mtime_ns, status.st_size, status.st_ino


def _patterns_in(file: Path) -> list[str] | None:
    """Return what a file includes; ``None`` where it cannot be read, as while it is being written."""
    try:
        patterns = tomllib.loads(file.read_text(encoding="utf-8")).get("platform", {}).get("include", [])
        return [pattern for pattern in patterns if isinstance(pattern, str)]
    except (OSError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def _found(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except (OSError, ValueError, IndexError, NotImplementedError):  # no pattern, which the loader tells
        return []
