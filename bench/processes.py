"""How much processor time the workers of a server have used: read from ``/proc``, so on Linux only."""

from __future__ import annotations

import os
from pathlib import Path


def children_cpu_seconds(parent: int) -> float:
    """Return the processor seconds that the children of a process have used so far; 0 where there is no ``/proc``."""
    found = (_fields(stat) for stat in Path("/proc").glob("[0-9]*/stat"))
    # Counted from the third on, as proc(5) does: field 4 is the parent, 14 and 15 are utime and stime in clock ticks.
    ticks = sum(int(fields[11]) + int(fields[12]) for fields in found if fields and int(fields[1]) == parent)
    return ticks / os.sysconf("SC_CLK_TCK")


def _fields(stat: Path) -> list[str]:
    try:
        # The second field is the program's name in brackets, in which anything may stand.
        return stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []  # it has ended since
