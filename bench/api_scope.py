"""What the security context costs a page that has nothing to do with organizations: one row by its key, a list of ten.

In process, the page as it is served and the same page in SQLAlchemy's own session, and without the look at the
finished SQL as well, take turns. Instructions are counted where there is valgrind; processor times are paired.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .callgrind import SEED, count_pages
from .common import ratios, spread
from .scope_worker import BOOK
from .tenants import Door, write_config
from .workers import Worker

#: Requests by which two counts of instructions differ.
REQUESTS = 20
#: Requests of which the time is taken at once, and how often.
TIMED, TURNS = 100, 16
_DOOR = Door("/bench", "bench")


def measure(folder: Path, turns: int = TURNS) -> dict[str, Any]:
    """Measure the page in its three ways; instructions and microseconds a request."""
    config = {"TENANTRY_CONFIG": str(write_config(folder, [_DOOR])), "TENANTRY_ENV": "production", **SEED}
    print("api, security context: times", flush=True)
    times = _time(config, turns)
    counts = _count(folder, config)
    served = next(iter(BOOK))
    return {
        "us": times,
        "instructions": counts,
        "time_ratios": {way: ratios(times[served], times[way]) for way in list(BOOK)[1:]},
        "ratios": {way: ratios(counts[served], counts[way]) for way in list(BOOK)[1:]} if counts else {},
    }


def _time(config: dict[str, str], turns: int) -> dict[str, dict[str, Any]]:
    taken: dict[str, list[float]] = {way: [] for way in BOOK}
    with _start(config) as worker:
        for number in range(turns):
            for way in list(BOOK)[:: 1 if number % 2 else -1]:
                taken[way].append(worker.ask("time", page=way, requests=TIMED)["us"])
    return {way: spread(each, 1) for way, each in taken.items()}


def _count(folder: Path, config: dict[str, str]) -> dict[str, dict[str, Any]]:
    if shutil.which("valgrind") is None:
        return {}

    def start(through: Sequence[str]) -> Worker:
        return _start(config, through)

    return count_pages(start, folder / "callgrind.scope", tuple(BOOK), REQUESTS)


def _start(config: dict[str, str], through: Sequence[str] = ()) -> Worker:
    return Worker("scope_worker", "tenantry", _DOOR.path, through=through, environment=config)
