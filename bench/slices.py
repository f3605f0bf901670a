"""Slices of load that all workers of a server share.

wrk opens all its connections at once, and often one worker has taken every one of them before another wakes up. Such a
slice says what one worker can do, and whose slice it is, is chance. So the workers are watched: a slice in which one of
them has next to nothing to do is ended, which is soon, and begun anew.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .servers import Server
from .wrk import finish

#: A slice is even if the worker with the least to do used at least this share of what the busiest one used.
EVEN = 0.4
#: The same soon after it began, when chance has more part in it.
EVEN_SOON = 0.25
#: How often a slice is begun until it counts as it is.
ATTEMPTS = 12
#: Processor seconds of all workers together after which it shows.
_ENOUGH = 0.2
#: Seconds for which the workers may come to rest before a slice is begun anew.
_PAUSE = 0.05


@dataclass(frozen=True)
class Slice:
    """One run of wrk.

    :ivar counted: what its script counted.
    :ivar cpu: processor time of the workers, in microseconds an answer.
    :ivar even: whether it went on to its end, with answers, and all workers had their share.
    """

    counted: dict[str, Any]
    cpu: float
    even: bool


def run_evenly(server: Server, start: Callable[[], subprocess.Popen[str]], attempts: int = ATTEMPTS) -> list[Slice]:
    """Run wrk until a slice is even. Return all slices, the one that counts at the end."""
    slices: list[Slice] = []
    while len(slices) < attempts and not (slices and slices[-1].even):
        slices.append(_measure_once(server, start, patient=len(slices) == attempts - 1))
    return slices


def _measure_once(server: Server, start: Callable[[], subprocess.Popen[str]], patient: bool) -> Slice:
    before = server.worker_seconds()
    time.sleep(_PAUSE)
    process = start()
    hopeful = patient or _begins_evenly(server, before, process)
    if not hopeful:
        process.send_signal(signal.SIGINT)  # it ends within a tenth of a second, and says what it has counted
    counted = finish(process)
    used = _used(server, before)
    counts = hopeful and counted["requests"] > 0 and _is_even(used)
    return Slice(counted, sum(used) / max(counted["requests"], 1) * 1e6, counts)


def _begins_evenly(server: Server, before: dict[int, float], process: subprocess.Popen[str]) -> bool:
    while process.poll() is None:
        time.sleep(0.05)
        used = _used(server, before)
        if sum(used) >= _ENOUGH:
            return _is_even(used, EVEN_SOON)
    return True


def _used(server: Server, before: dict[int, float]) -> list[float]:
    return [seconds - before.get(pid, 0.0) for pid, seconds in server.worker_seconds().items()]


def _is_even(used: list[float], share: float = EVEN) -> bool:
    return not used or min(used) >= share * max(used)
