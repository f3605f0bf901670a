"""What the workers of a server have used, time and memory: read from ``/proc``, so on Linux only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Memory:
    """The memory of a process, in KiB.

    :ivar private: what no other process shares, as it would be freed if this one ended (USS).
    :ivar share: the same, and of what is shared its share (PSS).
    :ivar resident: all that it sees, shared or not (RSS).
    """

    private: int
    share: int
    resident: int


def children(parent: int) -> list[int]:
    """Return the process ids of the children of a process, the oldest first; none where there is no ``/proc``."""
    return sorted(pid for pid, fields in _processes() if int(fields[1]) == parent)


def children_cpu_seconds(parent: int) -> dict[int, float]:
    """Return the processor seconds that each child of a process has used so far, by its id."""
    # Counted from the third on, as proc(5) does: field 4 is the parent, 14 and 15 are utime and stime in clock ticks.
    tick = 1 / os.sysconf("SC_CLK_TCK")
    return {pid: (int(fields[11]) + int(fields[12])) * tick for pid, fields in _processes() if int(fields[1]) == parent}


def memory(pid: int) -> Memory:
    """Return the memory that a process uses now.

    :raises OSError: if it is not there, or not ours.
    """
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
    found = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return Memory(found["Private_Clean"] + found["Private_Dirty"], found["Pss"], found["Rss"])


def holder_of(parent: int, port: int, client_port: int) -> int:
    """Return which child of a process has accepted a connection over the loopback, by the ports of its two ends.

    :raises StopIteration: if none has.
    """
    ends = (f"0100007F:{port:04X}", f"0100007F:{client_port:04X}")
    lines = Path("/proc/net/tcp").read_text(encoding="utf-8").splitlines()[1:]
    inode = next(fields[9] for fields in map(str.split, lines) if (fields[1], fields[2]) == ends)
    links = (link for pid in children(parent) for link in Path(f"/proc/{pid}/fd").iterdir())
    return next(int(link.parts[2]) for link in links if os.readlink(link) == f"socket:[{inode}]")


def resident(pid: int) -> int:
    """Return the resident memory of a process now, in KiB."""
    return _status_kib(pid, "VmRSS")


def most_resident(pid: int) -> int:
    """Return the largest resident memory that a process ever had, or since it was set back, in KiB."""
    return _status_kib(pid, "VmHWM")


def reset_most_resident(pid: int) -> None:
    """Let the largest resident memory of a process be what it has now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def _status_kib(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _processes() -> Iterator[tuple[int, list[str]]]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        if fields := _fields(stat):
            yield int(stat.parent.name), fields


def _fields(stat: Path) -> list[str]:
    try:
        # The second field is the program's name in brackets, in which anything may stand.
        return stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []  # it has ended since
