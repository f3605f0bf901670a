"""Memory of forked workers: tenants' apps built in each worker on first use, or in the master before it forks.

A deployment with the shipped files and their hooks, each tenant live in every worker. What the master built, its
workers share with it until they write to it. Measured from ``/proc`` when each worker has answered once, and again when
each has answered many requests, for all tenants in random order; every answer is looked at. The cases take turns.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tenantry.errors import ConfigError
from tenantry.registry import Registry

from .client import connect_to_each
from .common import load_average, spread, write
from .deployment import Deployment, deployed
from .processes import Memory, memory
from .tenants import Door, make_doors, provision, write_config
from .tours import tour

#: Numbers of tenants and of requests to each worker.
TENANTS, REQUESTS = 500, 5_000
#: Numbers of workers.
WORKERS = (2, 4)
#: How often every case is measured.
ROUNDS = 3
#: The page that is asked for.
PAGE = "template"
#: Where the apps are built, to what the [platform] table says for it.
BUILT = {"on first use": (), "before the fork": ('warm = "all"',)}

#: Where the apps are built and the number of workers, to what was measured, round by round.
Taken = dict[tuple[str, int], list[dict[str, Any]]]


def run(
    tenants: int = TENANTS, requests: int = REQUESTS, workers: tuple[int, ...] = WORKERS, rounds: int = ROUNDS
) -> dict[str, Any]:
    """Measure all cases and keep the result; memory in KiB, starts in seconds."""
    load_before = load_average()
    with TemporaryDirectory() as name:
        folder, doors = Path(name), make_doors(tenants)
        print(f"memory: databases of {tenants:,} tenants", flush=True)
        provision(write_config(folder, doors))
        refused = {built: problem for built, lines in BUILT.items() if (problem := _refusal(folder, doors, lines))}
        taken: Taken = {(built, count): [] for count in workers for built in BUILT if built not in refused}
        for number in range(rounds):
            print(f"memory: round {number + 1} of {rounds}", flush=True)
            for (built, count), found in taken.items():
                write_config(folder, doors, *BUILT[built])
                found.append(_measure(folder, doors, count, requests // tenants))
    result = {
        "load_average_before": load_before,
        "tenants": tenants,
        "requests": requests // tenants * tenants,
        "page": PAGE,
        "rounds": rounds,
        "refused": refused,
        "cases": [_summarise(*case, found) for case, found in taken.items()],
    }
    write("memory", result)
    return result


def _refusal(folder: Path, doors: list[Door], lines: tuple[str, ...]) -> str:
    """Return why the configuration is refused, if it is: an older Tenantry does not know all of it."""
    try:
        Registry.from_file(write_config(folder, doors, *lines))
    except ConfigError as error:
        return str(error)
    return ""


def _measure(folder: Path, doors: list[Door], workers: int, turns: int) -> dict[str, Any]:
    with deployed(folder, doors[0], workers) as deployment:
        for connection in connect_to_each(deployment.server.port, doors[0], deployment.workers()).values():
            connection.close()
        started = _look(deployment)
        visits = tour(deployment.server.port, deployment.workers(), doors, (PAGE,), turns)[PAGE]
        served = _look(deployment)
        return {"seconds": deployment.seconds, "started": started, "served": served, "visits": visits}


def _look(deployment: Deployment) -> list[Memory]:
    """Return the memory of the master, and of each worker."""
    return [memory(pid) for pid in (deployment.server.pid, *deployment.workers())]


def _summarise(built: str, workers: int, found: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "built": built,
        "workers": workers,
        "first_answer_seconds": spread([each["seconds"] for each in found]),
        "started": _summarise_memory([each["started"] for each in found]),
        "served": _summarise_memory([each["served"] for each in found]),
        "right_answers": sum(each["visits"].right for each in found),
        "wrong_answers": sum(each["visits"].wrong for each in found),
    }


def _summarise_memory(looks: list[list[Memory]]) -> dict[str, Any]:
    workers = [one for look in looks for one in look[1:]]
    return {
        "worker_private_kib": spread([one.private for one in workers], 0),
        "worker_share_kib": spread([one.share for one in workers], 0),
        "worker_resident_kib": spread([one.resident for one in workers], 0),
        "master_private_kib": spread([look[0].private for look in looks], 0),
        "all_share_kib": spread([sum(one.share for one in look) for look in looks], 0),
    }


if __name__ == "__main__":
    run()
