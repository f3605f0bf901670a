"""P5: a live tenant's page against the same page in one plain Flask app, on the same gunicorn settings, by wrk.

Every round starts all servers anew and measures them in turn, a second each, several times over, the next round in the
opposite order: so neither a lucky process nor a slow minute decides. Only slices that all workers had a share in count.
Ratios are taken within a round.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .common import gaps, load_average, ratios, spread, write
from .servers import shipped_settings
from .sites import serve_sites
from .visits import PAGES, Measured, Site
from .wrk import require_wrk, wrk_version

#: How often everything is measured; an even number, as the order is reversed every other time.
ROUNDS = 4
#: Slices of load in a round, for each site, page and number of connections.
SLICES = 2
#: Seconds of load in a slice.
SECONDS = 1
#: Connections kept open at once.
CONNECTIONS = (32, 100)
#: What is measured against what.
RATIOS = (("tenantry", "plain"), ("plain_headers", "plain"), ("tenantry", "plain_headers"), ("plain", "bare"))

#: Page, connections and variant to what was measured, round by round.
Taken = dict[tuple[str, int, str], list[Measured]]


def run(rounds: int = ROUNDS, slices: int = SLICES) -> dict[str, Any]:
    """Measure all pages and keep the result; rates in requests a second, latencies in milliseconds."""
    require_wrk()
    load_before = load_average()
    taken: Taken = {}
    with TemporaryDirectory() as name:
        for number in range(rounds):
            print(f"pages: round {number + 1} of {rounds}", flush=True)
            with serve_sites(Path(name)) as sites:
                measure_round(sites, slices, number % 2 == 1, taken)
                database = json.loads(sites[0].database_settings())
    settings = shipped_settings()
    result = {
        "load_average_before": load_before,
        "server": {name: settings[name] for name in ("workers", "threads", "worker_class", "keepalive")},
        "database": database,
        "client": {
            "wrk": wrk_version(),
            "slices": slices,
            "seconds": SECONDS,
            "where": "the same machine, over loopback",
        },
        "pages": [summarise(page, count, taken) for page in PAGES for count in CONNECTIONS],
    }
    write("pages", result)
    return result


def measure_round(
    sites: list[Site],
    slices: int,
    reverse: bool,
    taken: Taken,
    *,
    counts: tuple[int, ...] = CONNECTIONS,
    seconds: int = SECONDS,
) -> None:
    """Measure all pages of all sites, and add to ``taken`` what was measured.

    :param reverse: whether the sites' order is the other way round.
    :param counts: numbers of connections.
    :param seconds: of load in a slice.
    """
    for site in sites:
        for page in site.pages:
            # With the most connections, as few of them may all come to one worker, and the other would stay cold.
            site.load(page, max(counts), seconds)
    for page, connections in product(sites[0].pages, counts):
        having = [site for site in sites if page in site.pages]
        found: dict[str, list[Measured]] = {site.variant: [] for site in having}
        for site in (having[::-1] if reverse else having) * slices:
            found[site.variant].append(site.load(page, connections, seconds))
        for variant, each in found.items():
            taken.setdefault((page, connections, variant), []).append(Measured.together(each))


def summarise(page: str, connections: int, taken: Taken) -> dict[str, Any]:
    """Return the spreads of what was measured of a page, by side, and the ratios and gaps between the sides."""
    found = {name: each for (p, c, name), each in taken.items() if (p, c) == (page, connections)}
    rates, cpu = _spreads(found, lambda one: one.load.rate, 1), _spreads(found, lambda one: one.cpu, 1)
    return {
        "page": page,
        "connections": connections,
        "requests_per_second": rates,
        "cpu_us_per_answer": cpu,
        "p50_ms": _spreads(found, lambda one: one.load.p50, 2),
        "p99_ms": _spreads(found, lambda one: one.load.p99, 2),
        **{name: {side: sum(map(read, each)) for side, each in found.items()} for name, read in _COUNTS.items()},
        "ratios": {f"{a}/{b}": ratios(rates[a], rates[b]) for a, b in RATIOS if a in rates and b in rates},
        # What Tenantry costs beside plain Flask, and what of it is the price of the headers that it adds.
        "cpu_gaps_us": {name: gaps(cpu[name], cpu["plain"]) for name in ("tenantry", "plain_headers") if name in cpu},
        # The other way round than the gaps, so that above 1 is better, as with the rates.
        "cpu_ratio": ratios(cpu["plain"], cpu["tenantry"]),
    }


def _spreads(
    found: dict[str, list[Measured]], read: Callable[[Measured], float], digits: int
) -> dict[str, dict[str, Any]]:
    return {name: spread([read(one) for one in each], digits) for name, each in found.items()}


#: What is counted over all rounds.
_COUNTS: dict[str, Callable[[Measured], int]] = {
    "answers": lambda one: one.load.requests,
    "bad_answers": lambda one: one.load.bad_answers,
    "socket_errors": lambda one: one.load.socket_errors,
    "repeated_slices": lambda one: one.repeated,
    "lost_writes": lambda one: one.lost,
    "unasked_writes": lambda one: one.unasked,
}


if __name__ == "__main__":
    run()
