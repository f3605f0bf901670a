"""The arrival of a generation: waiting until every process that serves has taken it up, and saying which has."""

from __future__ import annotations

import time
from dataclasses import dataclass

from .generations import Generation
from .presence import Report, reports
from .registry import Settings

#: Seconds that processes have to take a generation up. They look several times a second.
PATIENCE = 5.0
_EVERY = 0.02


@dataclass(frozen=True, slots=True)
class Arrival:
    """Which processes have a generation, or a newer one, and which have not."""

    generation: int
    there: tuple[Report, ...]
    behind: tuple[Report, ...]

    def __str__(self) -> str:
        """Say it in one line."""
        if self.behind:
            names = ", ".join(f"{each.pid} ({each.kind}, with generation {each.generation})" for each in self.behind)
            return (
                f"Generation {self.generation} is not in force in the processes {names}. 'tenantry status' shows them; "
                "the log of each says why."
            )
        if not self.there:
            return f"No process serves just now. Generation {self.generation} is in force from the next start on."
        many = f"{len(self.there)} processes" if len(self.there) > 1 else "1 process"
        return f"Generation {self.generation} is in force in {many}."


def wait_for(settings: Settings, generation: Generation, seconds: float = PATIENCE) -> Arrival:
    """Wait until every process that serves has a generation, or a newer one.

    :param seconds: how long at most.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = reports(settings)
        there = tuple(report for report in found if report.generation >= generation.number)
        behind = tuple(report for report in found if report.generation < generation.number)
        if not behind or time.monotonic() > deadline:
            return Arrival(generation.number, there, behind)
        time.sleep(_EVERY)
