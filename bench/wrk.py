"""Load from wrk, and what it counted."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

#: Asks for one address, and counts.
REPORT = Path(__file__).with_name("wrk_report.lua")
#: No headers beside wrk's own.
NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Load:
    """One run of wrk.

    :ivar requests: answers, counted.
    :ivar rate: answers a second.
    :ivar p50: median latency in milliseconds.
    :ivar p99: latency in milliseconds below which 99 of 100 answers were.
    :ivar bad_answers: answers with a status of 400 or above.
    :ivar socket_errors: connections that failed, broke or timed out.
    """

    requests: int
    rate: float
    p50: float
    p99: float
    bad_answers: int
    socket_errors: int


def require_wrk() -> None:
    """Leave with status 2 and one sentence where wrk is missing."""
    if shutil.which("wrk") is None:
        print("This benchmark needs wrk, which is not here; install it with: apt-get install wrk", file=sys.stderr)
        sys.exit(2)


def wrk_version() -> str:
    """Return the version of the wrk that is installed, e.g. ``4.1.0``."""
    said = subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout
    found = re.search(r"\d+\.\d+\.\d+", said)
    return found[0] if found else "unknown"


def load(url: str, connections: int, seconds: int, headers: Mapping[str, str] = NONE, method: str = "GET") -> Load:
    """Ask for ``url`` on so many connections at once, kept alive, for so many seconds.

    :param headers: sent with every request.
    """
    return read_load(finish(start(url, connections, seconds, [method], headers=headers)))


def start(
    url: str,
    connections: int,
    seconds: int,
    arguments: Sequence[str] = (),
    *,
    script: Path = REPORT,
    headers: Mapping[str, str] = NONE,
) -> subprocess.Popen[str]:
    """Let wrk begin, in one thread.

    :param arguments: for the script, which prints what it counted as JSON in its last line.
    :param headers: sent with every request.
    """
    sent = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), *sent, url, "--", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for wrk, and return what its script counted.

    :raises RuntimeError: with what wrk said, if it failed.
    """
    try:
        said, complaint = process.communicate(timeout=60)
    finally:
        process.kill()
    if process.returncode:
        raise RuntimeError(f"wrk ended with status {process.returncode}: {complaint.strip() or said.strip()}")
    counted: dict[str, Any] = json.loads(said.rstrip().rpartition("\n")[2])
    return counted


def read_load(counted: Mapping[str, Any]) -> Load:
    """Return what a script counted, its times in microseconds."""
    return Load(
        requests=counted["requests"],
        rate=counted["requests"] / counted["duration"] * 1e6,
        p50=counted["p50"] / 1000,
        p99=counted["p99"] / 1000,
        bad_answers=counted["status"],
        socket_errors=counted["socket"],
    )
