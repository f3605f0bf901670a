"""P6 and P10: the same pages at 1, 100, 1,000 and 10,000 tenants, and how soon the first of them is answered.

One deployment for each size, all of them running, and one plain Flask app with the same pages. Each worker is first
asked for every page of every tenant once, which builds all apps, and every answer is looked at. Then wrk asks: for
every page, all sizes in turn, a second each, the next round in the opposite order. Ratios are taken within a round.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .apps import CANARY
from .common import load_average, spread, write
from .crowds import CONNECTIONS, DISTRIBUTIONS, SECONDS, Crowd, measure, write_addresses
from .deployment import Deployment, deployed
from .processes import memory
from .servers import ask, serving, shipped_settings
from .sites import plain_database
from .tenants import PAGES, Door, make_doors, provision, write_config
from .tours import Tour, tour
from .wrk import require_wrk, wrk_version

#: Numbers of tenants; the first is what the others are compared with.
SIZES = (1, 100, 1_000, 10_000)
#: Starts of each size until the first answer.
STARTS = 5
#: How often the load is measured; an even number, as the order is reversed every other time.
ROUNDS = 4


@dataclass(frozen=True)
class Ground:
    """A folder with a ``tenants.toml`` and its tenants' databases, and the seconds that making those took."""

    folder: Path
    doors: list[Door]
    provisioned: float


def run(sizes: tuple[int, ...] = SIZES, rounds: int = ROUNDS, starts: int = STARTS) -> dict[str, Any]:
    """Measure all sizes and keep the result: seconds of starts, milliseconds of first visits, requests a second."""
    require_wrk()
    load_before = load_average()
    with TemporaryDirectory() as name:
        grounds = [_prepare(Path(name) / str(size), size) for size in sizes]
        first_answers = _measure_starts(grounds, starts)
        with _deploy(grounds) as deployments:
            pairs = list(zip(grounds, deployments, strict=True))
            found = [_warm(*pair) for pair in pairs]
            with _crowds(Path(name), grounds, deployments) as crowds:
                load = measure(crowds, rounds)
            found = [{**size, **_look(*pair)} for size, pair in zip(found, pairs, strict=True)]
    settings = shipped_settings()
    result = {
        "load_average_before": load_before,
        "server": {key: settings[key] for key in ("workers", "threads", "worker_class")},
        "client": {"wrk": wrk_version(), "seconds": SECONDS, "connections": CONNECTIONS, "rounds": rounds},
        "sizes": [{**size, "first_answer_seconds": each} for size, each in zip(found, first_answers, strict=True)],
        "load": load,
    }
    write("scale", result)
    return result


def _prepare(folder: Path, size: int) -> Ground:
    print(f"scale: databases of {size:,} tenants", flush=True)
    doors = make_doors(size)
    return Ground(folder, doors, provision(write_config(folder, doors)))


def _measure_starts(grounds: list[Ground], starts: int) -> list[dict[str, Any]]:
    """Return the seconds from start to first answer, for each size, one size after the other."""
    print(f"scale: {starts} starts of each size", flush=True)
    found: list[list[float]] = [[] for _ in grounds]
    for _ in range(starts):
        for ground, seconds in zip(grounds, found, strict=True):
            with deployed(ground.folder, ground.doors[-1]) as deployment:
                seconds.append(deployment.seconds)
    return [spread(seconds) for seconds in found]


@contextmanager
def _deploy(grounds: list[Ground]) -> Iterator[list[Deployment]]:
    with ExitStack() as stack:
        yield [stack.enter_context(deployed(ground.folder, ground.doors[0])) for ground in grounds]


def _warm(ground: Ground, deployment: Deployment) -> dict[str, Any]:
    """Ask for every page for the first time."""
    print(f"scale: first visits to {len(ground.doors):,} tenants", flush=True)
    return {
        "tenants": len(ground.doors),
        "provision_seconds": round(ground.provisioned, 1),
        "first_visits": {page: found.summary() for page, found in _visit(ground, deployment, tuple(PAGES)).items()},
    }


def _look(ground: Ground, deployment: Deployment) -> dict[str, Any]:
    """Ask for a page once more, and see what memory the workers have by now, in KiB."""
    visits = _visit(ground, deployment, ("name",))["name"].summary()
    used = [memory(worker) for worker in deployment.workers()]
    return {
        "last_visits": visits,
        "worker_private_kib": spread([each.private for each in used], 0),
        "worker_resident_kib": spread([each.resident for each in used], 0),
    }


def _visit(ground: Ground, deployment: Deployment, pages: tuple[str, ...]) -> dict[str, Tour]:
    return tour(deployment.server.port, deployment.workers(), ground.doors, pages)


@contextmanager
def _crowds(folder: Path, grounds: list[Ground], deployments: list[Deployment]) -> Iterator[list[Crowd]]:
    """Return the visitors of every size in every distribution, and those of the plain app, which is served here."""
    crowds = []
    for ground, deployment in zip(grounds, deployments, strict=True):
        count = len(ground.doors)
        for distribution in DISTRIBUTIONS if count > 1 else ("uniform",):  # to one tenant they are the same
            files = write_addresses(ground.folder, ground.doors, distribution)
            crowds.append(Crowd(count, distribution, deployment.server, files))
    place = folder / "plain"
    place.mkdir()
    settings = ask(deployments[0].server.port, f"{grounds[0].doors[0].path}/database/settings").body
    with serving("bench.apps:plain_everything()", place, plain_database(place, settings)) as server:
        files = write_addresses(place, [Door("", CANARY)], "uniform")
        yield [*crowds, Crowd(0, "uniform", server, files, CANARY)]


if __name__ == "__main__":
    run()
