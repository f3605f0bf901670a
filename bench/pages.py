"""P5: a live tenant's page against the same page in one plain Flask app, on the same gunicorn settings, by wrk.

Every round starts all servers anew and measures them in turn, a second each, several times over, the next round in the
opposite order: so neither a lucky process nor a slow minute decides. Slices are short: wrk keeps its connections, and
how the two workers happened to share them at the start decides a slice. Ratios are taken within a round.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .common import gaps, load_average, ratios, spread, write
from .servers import shipped_settings
from .sites import PAGES, Measured, Site, serve_sites
from .wrk import Load, require_wrk, wrk_version

#: How often everything is measured; an even number, as the order is reversed every other time.
ROUNDS = 6
#: Slices of load in a round, for each site, page and number of connections.
SLICES = 4
#: Seconds of load in a slice.
SECONDS = 1
#: Connections kept open at once.
CONNECTIONS = (32, 100)
#: What is measured against what.
RATIOS = (("tenantry", "plain"), ("plain_headers", "plain"), ("tenantry", "plain_headers"), ("plain", "bare"))

#: Page, connections and site to what was measured, round by round.
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
                _measure_round(sites, slices, number % 2 == 1, taken)
    settings = shipped_settings()
    result = {
        "load_average_before": load_before,
        "server": {name: settings[name] for name in ("workers", "threads", "worker_class", "keepalive")},
        "client": {
            "wrk": wrk_version(),
            "slices": slices,
            "seconds": SECONDS,
            "where": "the same machine, over loopback",
        },
        "pages": [_summarise(page, count, taken) for page in PAGES for count in CONNECTIONS],
    }
    write("pages", result)
    return result


def _measure_round(sites: dict[str, Site], slices: int, reverse: bool, taken: Taken) -> None:
    for site in sites.values():
        for page in site.pages:
            # With the most connections, as few of them may all come to one worker, and the other would stay cold.
            site.load(page, max(CONNECTIONS), SECONDS)
    for page, connections in product(PAGES, CONNECTIONS):
        names = [name for name, site in sites.items() if page in site.pages]
        found: dict[str, list[Measured]] = {name: [] for name in names}
        for name in (names[::-1] if reverse else names) * slices:
            found[name].append(sites[name].load(page, connections, SECONDS))
        for name in names:
            taken.setdefault((page, connections, name), []).append(Measured.together(found[name]))


def _summarise(page: str, connections: int, taken: Taken) -> dict[str, Any]:
    found = {name: each for (p, c, name), each in taken.items() if (p, c) == (page, connections)}

    def spreads(read: Callable[[Measured], float], digits: int) -> dict[str, Any]:
        return {name: spread([read(one) for one in each], digits) for name, each in found.items()}

    def total(read: Callable[[Load], int]) -> dict[str, int]:
        return {name: sum(read(one.load) for one in each) for name, each in found.items()}

    rates, cpu = spreads(lambda one: one.load.rate, 1), spreads(lambda one: one.cpu, 1)
    return {
        "page": page,
        "connections": connections,
        "requests_per_second": rates,
        "cpu_us_per_answer": cpu,
        "p50_ms": spreads(lambda one: one.load.p50, 2),
        "p99_ms": spreads(lambda one: one.load.p99, 2),
        "answers": total(lambda load: load.requests),
        "bad_answers": total(lambda load: load.bad_answers),
        "socket_errors": total(lambda load: load.socket_errors),
        "ratios": {f"{a}/{b}": ratios(rates[a], rates[b]) for a, b in RATIOS if a in rates and b in rates},
        # What Tenantry costs beside plain Flask, and what of it is the price of the headers that it adds.
        "cpu_gaps_us": {name: gaps(cpu[name], cpu["plain"]) for name in ("tenantry", "plain_headers")},
        # The other way round than the gaps, so that above 1 is better, as with the rates.
        "cpu_ratio": ratios(cpu["plain"], cpu["tenantry"]),
    }


if __name__ == "__main__":
    run()
