"""Following the configuration: a thread in each process that serves, which takes up each new generation.

One of these processes, whichever comes first, also watches the files and turns what they say into the next generation.
Files have to have stood still for a moment: what is being written may be half of it, and valid all the same.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import suspension
from .accepting import Accepted, decide
from .changes import Changes, some
from .closing import closed_slugs
from .errors import ConfigError, Held
from .explaining import explain
from .files import Stamp, close_lock, make_private_folder, note_lock, stamp_of
from .generations import Generation, Generations, Rejection
from .novelty import BeingTried, Novelty
from .presence import Presence
from .registry import Registry
from .sources import Sources, stamps

if TYPE_CHECKING:
    from .app import Platform

log = logging.getLogger("tenantry")

#: Seconds between two looks at the least; twenty times what a look takes of a processor, where that is more.
EVERY = 0.1
#: Seconds for which files have to have stood still.
SETTLED = 0.3
#: Seconds between two reports of a process, where nothing changes.
REPORTED = 1.0
#: How a file is opened that is only locked. A link is not followed.
_LOCK_FILE = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Follower:
    """Keeps one process's platform at the generation in force.

    :param platform: the platform.
    :param kind: what the process does: ``web`` or ``jobs``.
    :param is_leaving: whether it only ends what it has begun. A process with the code of now then watches instead.
    :raises StateError: if the state folder cannot be used.
    """

    def __init__(self, platform: Platform, kind: str, is_leaving: Callable[[], bool] = lambda: False) -> None:
        settings = platform.registry.settings
        self.platform = platform
        self._is_leaving = is_leaving
        self._generations = Generations(settings.state_dir, settings.file)
        self._presence = Presence(settings, kind)
        self._watcher = Watcher(self._generations, platform)
        self._looking = threading.Lock()
        self._pointer: Stamp | None = None
        self._closed: frozenset[str] = frozenset()
        self._pending: tuple[str, ...] = ()
        self._reported = self._retry = 0.0
        self._said = self._tries = ""

    def start(self) -> None:
        """Catch up with what is in force, then follow it in a thread for as long as the process lives."""
        self.look()
        threading.Thread(target=self._run, name="follower", daemon=True).start()

    def look(self) -> bool:
        """Take up what is new; return whether there was anything. What is wrong is logged, and changes nothing."""
        with self._looking:
            before = self.platform.generation
            # Each by itself: where the generation in force is damaged, the files make the next one.
            wrong = [
                words
                for step in (self._follow, self._close, self._end_log_ins, self._watch)
                if (words := _failure_of(step))
            ]
            self._say(" ".join(wrong))
            changed = self.platform.generation != before
            self._report(at_once=changed or self._watcher.tries != self._tries)
            return changed

    def _run(self) -> None:
        pause = EVERY
        while True:
            time.sleep(pause)
            began = time.thread_time()
            # A look at ten thousand files takes its time, and must not take the worker's.
            pause = EVERY if self.look() else max(EVERY, 20 * (time.thread_time() - began))

    def _follow(self) -> None:
        stamp = stamp_of(self._generations.pointer)
        if stamp == self._pointer:
            return
        current = self._generations.current()
        if current is not None and current.number != self.platform.generation:
            registry = Registry.load(self._generations.sources(current.number), self.platform.memory)
            self._take_up(registry, current)
        self._pointer = stamp

    def _take_up(self, registry: Registry, generation: Generation) -> None:
        before = self.platform.registry
        self._pending = tuple(registry.lasting_changes(before))
        self.platform.take_up(registry, generation.number, self._since(generation))
        if self._watcher.watches:  # one of all is enough
            self._tell(Changes.between(before, registry), generation)

    def _since(self, generation: Generation) -> float:
        """Return when a state may have changed at the earliest: this process may have missed generations."""
        try:
            return min(generation.since, self._generations.since(self.platform.generation + 1))
        except OSError:  # it is not kept any more
            return 0.0

    def _tell(self, changes: Changes, generation: Generation) -> None:
        log.info("Generation %d is in force: %s.", generation.number, changes)
        if generation.kept:
            log.error("%s", kept_in_words(generation.kept))
        if self._pending:
            log.warning("%s", pending_in_words(self._pending))

    def _close(self) -> None:
        """Give up the tenants that a command is at work on, again and again, as requests that are inside end."""
        closed = closed_slugs(self.platform.registry.settings)
        if closed:
            self.platform.close(closed)
        self.platform.reopen(self._closed - closed)
        self._closed = closed

    def _end_log_ins(self) -> None:
        """Try again what failed when a tenant was suspended, or resumed: less often where that takes its time."""
        if self.platform.unended and time.monotonic() > self._retry:
            began = time.monotonic()
            suspension.end_noted(self.platform)
            self._retry = time.monotonic() + max(REPORTED, 20 * (time.monotonic() - began))

    def _watch(self) -> None:
        if self._is_leaving():
            self._watcher.resign()
            return
        found = self._watcher.look() if self._watcher.has_come() else None
        if isinstance(found, Rejection):
            log.error("%s\nThe configuration of before goes on being served.", ConfigError(found.problems))
        elif found is not None and found.generation.number != self.platform.generation:
            self._take_up(found.registry, found.generation)

    def _report(self, at_once: bool) -> None:
        if not at_once and time.monotonic() < self._reported + REPORTED:
            return
        self._reported, self._tries = time.monotonic(), self._watcher.tries
        try:
            generation, live = self.platform.generation, len(self.platform.live)
            self._presence.write(generation, live, self._watcher.watches, self._pending, self._tries)
        except OSError as error:
            log.error("This process cannot be seen in 'tenantry status' (%s).", error.strerror)

    def _say(self, words: str) -> None:
        """Log what is wrong, once, as it is tried again ten times a second."""
        if words and words != self._said:
            log.error("The configuration cannot be followed: %s It is tried again and again.", words)
        self._said = words


def _failure_of(step: Callable[[], None]) -> str:
    """Take a step; return in words what was wrong with it."""
    try:
        step()
    except Exception as error:
        return explain(error)
    return ""


def kept_in_words(slugs: tuple[str, ...]) -> str:
    """Say which tenants are served although the files have lost them, and what to do."""
    return (
        f"Gone from the file without having been archived, and served as before: {some(slugs)}. Put each table back; "
        "to take a tenant away, archive it first: tenantry archive SLUG."
    )


def pending_in_words(keys: tuple[str, ...]) -> str:
    """Say which settings wait for a reload."""
    names = " and ".join(keys)
    return f"[platform] {names} has changed, which only new processes take up: reload gunicorn (kill -HUP)."


class Watcher:
    """Watches the files, in the one process that may.

    :param generations: where what they say becomes a generation.
    :param platform: whose code has to fit.
    """

    def __init__(self, generations: Generations, platform: Platform) -> None:
        self.watches = False
        self._generations = generations
        self._platform = platform
        self._novelty = Novelty(platform)
        self._lock = -1
        self._patterns: dict[str, list[str]] = {}
        self._seen: object = None
        self._since = 0.0
        self._decided: object = None

    def has_come(self) -> bool:
        """Whether this process watches: the first one does, and another one once that is gone."""
        if not self.watches:
            if self._lock < 0:
                make_private_folder(self._generations.folder)
                self._lock = os.open(self._generations.folder / "watcher", _LOCK_FILE, 0o600)
                note_lock(self._lock)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self.watches = True
            if (current := self._generations.current()) is not None:
                self._patterns = self._generations.sources(current.number).patterns
        return True

    @property
    def tries(self) -> str:
        """For whom new code is being imported by another process, before an edit is decided."""
        return self._novelty.whose

    def resign(self) -> None:
        """Let another process watch."""
        self._novelty.forget()
        if self._lock >= 0:
            close_lock(self._lock)
        self._lock, self.watches = -1, False

    def look(self) -> Accepted | Rejection | None:
        """Return what becomes of the files where they have changed, and have stood still since."""
        file = self._generations.file
        now = stamps(file.parent, file.name, self._patterns)
        if now != self._seen:
            self._seen, self._since = now, time.monotonic()
            self._novelty.forget()
        if now == self._decided or time.monotonic() < self._since + SETTLED or self._novelty.is_tried():
            return None
        sources = Sources(file)
        try:
            found = self._decide(sources)
        except (Held, BeingTried):  # by a reload, a command or a trial; this thread has other things to do meanwhile
            return None
        self._novelty.forget()
        self._patterns = sources.patterns
        self._decided = now if stamps(file.parent, file.name, self._patterns) == now else None
        return found

    def _decide(self, sources: Sources) -> Accepted | Rejection | None:
        refused = self._generations.rejection()
        memory, base = self._platform.memory, (self._platform.generation, self._platform.registry)
        found = decide(self._generations, sources, memory, self._novelty.problems, base, patience=0)
        if isinstance(found, Rejection) and refused is not None and refused.mended is None:
            return None if (found.digest, found.problems) == (refused.digest, refused.problems) else found
        return found
