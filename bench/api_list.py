"""P5 for the API: its list of 50 tasks against the same list in plain Flask with Flask-SQLAlchemy, by wrk.

As in :mod:`bench.pages`, each round has new servers, which take turns. Beside the rates, the instructions of the
processor are counted, where there is valgrind.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from .api_sites import LISTED, PAGES, Side, check_same, make_sides
from .callgrind import SEED, count_pages
from .common import ratios
from .pages import Taken, measure_round, summarise
from .servers import shipped_settings
from .workers import Worker
from .wrk import wrk_version

#: How often everything is measured; an even number, as the order is reversed every other time.
ROUNDS = 4
#: Slices of load in a round, for each site, page and number of connections.
SLICES = 1
#: Seconds of load in a slice; a hundred of these pages take a busy machine a second.
SECONDS = 2
#: Connections kept open at once.
CONNECTIONS = (1, 32, 100)
#: Requests by which two counts of instructions differ, and requests in a profile.
REQUESTS, PROFILED = 5, 300


def measure(folder: Path, rounds: int, slices: int) -> dict[str, Any]:
    """Measure the lists; rates in requests a second, latencies in milliseconds, instructions a request."""
    sides = make_sides(folder, LISTED)
    taken: Taken = {}
    for number in range(rounds):
        print(f"api, lists: round {number + 1} of {rounds}", flush=True)
        with ExitStack() as stack:
            sites = [stack.enter_context(side.serve(folder)) for side in sides]
            check_same(*sites)
            measure_round(sites, slices, number % 2 == 1, taken, counts=CONNECTIONS, seconds=SECONDS)
    settings = shipped_settings()
    return {
        "server": {name: settings[name] for name in ("workers", "threads", "worker_class", "keepalive")},
        "client": {"wrk": wrk_version(), "slices": slices, "seconds": SECONDS},
        "organizations": LISTED.organizations,
        "projects": len(LISTED.projects),
        "tasks": sum(LISTED.projects),
        "pages": [summarise(page, count, taken) for page in PAGES for count in CONNECTIONS],
        "instructions": _count(folder, sides),
        "profile": _profile(sides[0]),
    }


def _count(folder: Path, sides: Sequence[Side]) -> list[dict[str, Any]]:
    if shutil.which("valgrind") is None:
        print("The instructions of the API's lists are not counted: that needs valgrind.")
        return []
    with ThreadPoolExecutor() as pool:
        found = dict(zip(("tenantry", "plain"), pool.map(partial(_count_side, folder), sides), strict=True))
    if not all(found.values()):
        return []
    pages: list[dict[str, Any]] = [
        {"page": page, **{side: counts[page] for side, counts in found.items()}} for page in PAGES
    ]
    return [{**page, "ratio": ratios(page["tenantry"], page["plain"])} for page in pages]


def _count_side(folder: Path, side: Side) -> dict[str, dict[str, Any]]:
    def start(through: Sequence[str]) -> Worker:
        return _start(side, through)

    return count_pages(start, folder / f"callgrind.{side.variant}", tuple(PAGES), REQUESTS)


def _profile(side: Side) -> dict[str, Any]:
    page = next(iter(PAGES))
    with _start(side) as worker:
        return {page: worker.ask("profile", page=page, requests=PROFILED)}


def _start(side: Side, through: Sequence[str] = ()) -> Worker:
    return Worker("api_worker", side.variant, side.prefix, through=through, environment={**side.config, **SEED})
