"""The worker: runs jobs in threads until it is told to stop, and sweeps for mails whose wake-up was lost."""

from __future__ import annotations

import logging
import signal
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from huey.consumer import Consumer

from .explaining import explain
from .following import Follower
from .imports import import_module
from .jobs.marking import push
from .jobs.storages import LEASE
from .mail.sweep import Sweeper

if TYPE_CHECKING:
    from .app import Platform
    from .jobs.queue import JobQueue

log = logging.getLogger("tenantry")

#: Seconds that running jobs have to come to an end, once the worker is to stop.
GRACE = 10
#: Seconds between two sweeps.
SWEEP_EVERY = 60.0
#: Seconds of the longest pause between two looks at an empty queue.
_LONGEST_LOOK = 1.0


class _QuietConsumer(Consumer):  # type: ignore[misc]  # huey ships no types
    def _set_signal_handlers(self) -> None:
        """Not huey's, which takes SIGTERM for an order to leave its jobs unfinished."""


class Worker:
    """Runs the jobs of a platform.

    :param platform: the platform.
    :param threads: how many jobs run at once.
    :raises StateError: if the queue cannot be opened.
    """

    def __init__(self, platform: Platform, threads: int) -> None:
        self._platform = platform
        self._queue: JobQueue = platform.queue
        self._follower = Follower(platform, "jobs")
        self._stop = threading.Event()
        # An Event would not do for a signal's handler, as the thread that it interrupts may hold the Event's lock.
        self._signals: SimpleQueue[int] = SimpleQueue()
        self._consumer = _QuietConsumer(
            self._queue, workers=threads, periodic=False, max_delay=_LONGEST_LOOK, shutdown_timeout=GRACE
        )

    def run(self) -> bool:
        """Run jobs until SIGTERM or SIGINT. Return whether all that were running came to an end."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda number, frame: self._signals.put(number))
        self._work()
        self._consumer.stop(graceful=True)
        return not any(thread.is_alive() for _, thread in self._consumer.worker_threads)

    def run_beside(self) -> None:
        """Run jobs in the background for as long as this process does something else, as the development server."""
        threading.Thread(target=self._work, name="worker", daemon=True).start()

    def _work(self) -> None:
        self._queue.look = self._follower.look
        self._follower.start()
        import_jobs(self._platform)
        self._consumer.start()
        threading.Thread(target=self._sweep, name="sweeper", daemon=True).start()
        renewed = time.monotonic()
        while not self._is_told_to_stop(_LONGEST_LOOK):  # no longer, as a signal just before a wait does not end it
            if time.monotonic() > renewed + LEASE / 4:
                renewed = time.monotonic()
                self._queue.renew()
                self._consumer.check_worker_health()
        self._stop.set()

    def _is_told_to_stop(self, seconds: float) -> bool:
        with suppress(Empty):
            self._signals.get(timeout=seconds)
            return True
        return False

    def _sweep(self) -> None:
        sweeper = Sweeper(push)
        while True:
            try:
                sweeper.sweep(self._platform)
            except Exception as error:
                log.error("The outboxes could not be swept (%s). It is tried again.", explain(error).rstrip("."))
            if self._stop.wait(SWEEP_EVERY):
                return


def import_jobs(platform: Platform) -> None:
    """Import the blueprint set, whose modules mark their jobs. A broken one takes down only its tenants."""
    try:
        modules = platform.blueprints.modules()
    except Exception as error:
        log.error("%s", explain(error))
        return
    for module in modules:
        try:
            import_module(module)
        except Exception as error:
            log.error("%s. Jobs of tenants that have it wait until that is mended.", explain(error).rstrip("."))
