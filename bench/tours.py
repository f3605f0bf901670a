"""Tours: each worker is asked for a page of every tenant once, and every answer is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from time import perf_counter
from typing import Any

from .client import Connection, connect_to_each
from .tenants import Door


@dataclass(frozen=True)
class Tour:
    """What came of a tour, over all workers.

    :ivar right: answers with the status 200 that held the canary of the tenant that was asked, and no other's.
    :ivar wrong: all others.
    :ivar milliseconds: from each question to the end of its answer, the smallest first.
    """

    right: int
    wrong: int
    milliseconds: list[float]

    @classmethod
    def together(cls, parts: Sequence[Tour]) -> Tour:
        """Return several tours as one."""
        times = sorted(time for part in parts for time in part.milliseconds)
        return cls(sum(part.right for part in parts), sum(part.wrong for part in parts), times)

    def summary(self) -> dict[str, Any]:
        """Return the counts, and the median and the 99th percentile of the times, in milliseconds."""
        return {"right": self.right, "wrong": self.wrong, "p50_ms": self._at(0.5), "p99_ms": self._at(0.99)}

    def _at(self, share: float) -> float | None:
        times = self.milliseconds
        return round(times[int(share * (len(times) - 1))], 3) if times else None


def tour(port: int, workers: list[int], doors: Sequence[Door], pages: Sequence[str], turns: int = 1) -> dict[str, Tour]:
    """Ask every worker for each page of every tenant, in random order, all workers at once.

    The first door is also asked who the workers are, so it is warm before.

    :param turns: how often each page of each tenant is asked for.
    :raises RuntimeError: if a worker takes no connection.
    """
    connections = connect_to_each(port, doors[0], workers)
    try:
        with ThreadPoolExecutor(len(connections)) as threads:
            # Each goes through all pages without waiting for the others, as the server closes a connection that rests.
            asked = [threads.submit(_ask, each, doors, pages, turns, Random(pid)) for pid, each in connections.items()]
            found = [each.result() for each in asked]
    finally:
        for connection in connections.values():
            connection.close()
    return {page: Tour.together([each[page] for each in found]) for page in pages}


def _ask(
    connection: Connection, doors: Sequence[Door], pages: Sequence[str], turns: int, random: Random
) -> dict[str, Tour]:
    return {page: _ask_for(page, connection, doors, turns, random) for page in pages}


def _ask_for(page: str, connection: Connection, doors: Sequence[Door], turns: int, random: Random) -> Tour:
    right, times = 0, []
    for _ in range(turns):
        for door in random.sample(doors, len(doors)):
            started = perf_counter()
            status, body = connection.get(door.address(page))
            times.append((perf_counter() - started) * 1000)
            right += status == 200 and door.is_in(body)
    return Tour(right, len(times) - right, times)
