"""Load that comes to many tenants at once: uniformly, or as Zipf found it for words, most of it to a few."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from .common import ratios, spread
from .servers import Server
from .slices import Slice, run_evenly
from .tenants import PAGES, Door
from .wrk import read_load, start

#: Seconds of load in a slice, and connections kept open.
SECONDS, CONNECTIONS = 1, 100
#: Addresses in a list; wrk begins somewhere in it, so that no two slices ask for the same ones.
LENGTH = 50_000
#: Distribution of the requests to the exponent of its weights: the n-th tenant gets n to the power of it.
DISTRIBUTIONS = {"uniform": 0.0, "Zipf": -1.0}
_SCRIPT = Path(__file__).with_name("wrk_tenants.lua")


@dataclass(frozen=True)
class Crowd:
    """Visitors of one server.

    :ivar tenants: how many tenants the server has; 0 for a plain app.
    :ivar distribution: how the requests are shared out among them.
    :ivar server: where they go.
    :ivar addresses: page to the file with the addresses that they ask for, one in a line.
    :ivar name: what all answers must hold, where there is only one app.
    """

    tenants: int
    distribution: str
    server: Server
    addresses: dict[str, Path]
    name: str = ""

    def load(self, page: str, random: Random) -> Visit:
        """Measure one page, each answer looked at."""

        def begin() -> subprocess.Popen[str]:
            arguments = [str(self.addresses[page]), str(random.randrange(LENGTH)), *([self.name] if self.name else [])]
            address = f"http://127.0.0.1:{self.server.port}/"
            return start(address, CONNECTIONS, SECONDS, arguments, script=_SCRIPT)

        return Visit(run_evenly(self.server, begin))


class Visit:
    """What the client counted, and the workers' processor time in microseconds an answer.

    :ivar wrong: answers of another status than 200, or with a name that does not go with their door.
    :ivar repeated: slices that were thrown away, since a worker had next to nothing to do.
    """

    def __init__(self, slices: list[Slice]) -> None:
        self.load = read_load(slices[-1].counted)
        self.cpu = slices[-1].cpu
        self.repeated = len(slices) - 1
        # What went wrong in those that do not count otherwise counts, too.
        self.wrong, self.socket_errors = (sum(each.counted[key] for each in slices) for key in ("wrong", "socket"))


def write_addresses(folder: Path, doors: Sequence[Door], distribution: str) -> dict[str, Path]:
    """Write a list of addresses for each page; return the files. Which tenant is how popular is a matter of chance."""
    random = Random(len(doors))
    ranked = random.sample(doors, len(doors))
    weights = [rank ** DISTRIBUTIONS[distribution] for rank in range(1, len(doors) + 1)]
    chosen = random.choices(ranked, weights, k=LENGTH)
    files = {}
    for page in PAGES:
        files[page] = folder / f"{distribution}-{page.replace(' ', '-')}.txt"
        files[page].write_text("".join(f"{door.address(page)}\n" for door in chosen), encoding="utf-8")
    return files


def measure(crowds: list[Crowd], rounds: int) -> list[dict[str, Any]]:
    """Let each crowd ask for each page, round after round; the first crowd is what the others are compared with."""
    random = Random(rounds)
    taken: list[dict[str, list[Visit]]] = [{page: [] for page in PAGES} for _ in crowds]
    for number in range(rounds):
        print(f"crowds: round {number + 1} of {rounds}", flush=True)
        for page in PAGES:
            for crowd, visits in list(zip(crowds, taken, strict=True))[:: -1 if number % 2 else 1]:
                visits[page].append(crowd.load(page, random))
    return [
        _summarise(page, crowd, visits[page], taken[0][page])
        for page in PAGES
        for crowd, visits in zip(crowds, taken, strict=True)
    ]


def _summarise(page: str, crowd: Crowd, visits: list[Visit], of_one: list[Visit]) -> dict[str, Any]:
    """Return what was measured, and its ratios to what a single tenant has, round by round."""

    def spreads(read: Callable[[Visit], float]) -> tuple[dict[str, Any], dict[str, Any]]:
        ours, theirs = (spread([read(visit) for visit in each], 1) for each in (visits, of_one))
        return ours, ratios(ours, theirs)

    rate, rate_ratio = spreads(lambda visit: visit.load.rate)
    cpu, cpu_ratio = spreads(lambda visit: visit.cpu)
    return {
        "page": page,
        "tenants": crowd.tenants,
        "distribution": crowd.distribution,
        "requests_per_second": rate,
        "cpu_us_per_answer": cpu,
        "rate_ratio": rate_ratio,
        "cpu_ratio": cpu_ratio,
        "p50_ms": spread([visit.load.p50 for visit in visits], 2),
        "p99_ms": spread([visit.load.p99 for visit in visits], 2),
        "answers": sum(visit.load.requests for visit in visits),
        "wrong_answers": sum(visit.wrong for visit in visits),
        "socket_errors": sum(visit.socket_errors for visit in visits),
        "repeated_slices": sum(visit.repeated for visit in visits),
    }
