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
from ..files import Stamp, stamp_of
from ..registry import Registry

if TYPE_CHECKING:
    from ..app import Platform

log = logging.getLogger("tenantry")

#: Seconds for which the files are taken to be what they were.
_SURE = 1.0
#: Seconds for which files have to have stood still: what is being written may be half of it, and valid all the same.
SETTLED = 2.0
#: How many tenants the log names that came, or went.
_NAMED = 8
#: The files as they were.
_Stamps = tuple[tuple[Path, Stamp | None], ...]


class Watch:
    """Holds the platform of the present configuration. A file that was broken leaves the last good one in force.

    :param platform: the one to begin with.
    :ivar platform: the one in force.
    """

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self._looking = threading.Lock()
        self._next_look = 0.0
        self._main: Stamp | None = None
        self._included: list[str] = []
        self._seen: _Stamps | None = None

    def look(self, at_once: bool = False) -> None:
        """Take up what has changed in the files since the last look, once they have stood still for a moment.

        It looks again after a second at the earliest.

        :param at_once: look however short that is ago.
        """
        with self._looking:  # those who wait here need what is found
            if not at_once and time.monotonic() < self._next_look:
                return
            self._next_look = time.monotonic() + _SURE
            stamps = tuple(self._stamps(self.platform.registry.settings.file))
            if stamps != self._seen and _have_settled(stamps):
                self._seen = stamps
                self._take_up()

    def _stamps(self, file: Path) -> Iterator[tuple[Path, Stamp | None]]:
        if (main := stamp_of(file)) != self._main:
            self._main, patterns = main, _patterns_in(file)
            self._included = self._included if patterns is None else patterns
        yield file, main
        for pattern in self._included:
            yield from ((path, stamp_of(path)) for path in _found(file.parent, pattern))

    def _take_up(self) -> None:
        old = self.platform
        try:
            new = Registry.from_file(old.registry.settings.file)
            if new != old.registry:
                self.platform = _renewed(old, new)
        except TenantryError as error:
            log.error("%s\nThe worker goes on with the configuration of before.", error)


def _renewed(old: Platform, registry: Registry) -> Platform:
    """Return the platform of a new configuration, with what of the old one it leaves as it was."""
    before, after = old.registry.settings, registry.settings
    if (before.state_dir, before.redis) != (after.state_dir, after.redis):
        log.error("[platform] state_dir or redis has changed. Restart the worker, as it still uses those of before.")
        return old
    new = type(old)(registry, old.keys)
    new.queue, new.redis, new.cache = old.queue, old.redis, old.cache
    new.floor_plan, new.template_code = old.floor_plan, old.template_code
    _move_apps(old, new)
    old.databases.close_idle()
    log.info("The configuration has changed; there are %d tenants now%s.", len(registry), _news(old.registry, registry))
    return new


def _move_apps(old: Platform, new: Platform) -> None:
    """Let tenants that an edit has left alone keep their apps; where [platform] has changed, it has left none alone."""
    for app in old.live.apps():
        tenant = new.registry.get(app.tenant.slug)
        if tenant is not None and tenant == app.source:
            app.source, app.platform = tenant, new
            new.live.adopt(tenant, app)


def _news(old: Registry, new: Registry) -> str:
    """Return the tenants that came and those that went, as the end of a sentence."""
    parts = []
    for what, slugs in (("new", new.keys() - old.keys()), ("gone", old.keys() - new.keys())):
        if slugs:
            parts.append(f"; {what}: {', '.join(sorted(slugs)[:_NAMED])}{', …' if len(slugs) > _NAMED else ''}")
    return "".join(parts)


def _have_settled(stamps: _Stamps) -> bool:
    """Whether no file was changed just now. One whose time lies far ahead has a wrong time, and counts as it is."""
    now = time.time_ns()
    return all(stamp is None or abs(now - stamp[0]) >= SETTLED * 1e9 for _, stamp in stamps)


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
