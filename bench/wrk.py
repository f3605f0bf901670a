"""Load from wrk, and what it counted."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_REPORT = Path(__file__).with_name("wrk_report.lua")


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
        print("The page benchmark needs wrk, which is not here; install it with: apt-get install wrk", file=sys.stderr)
        sys.exit(2)


def wrk_version() -> str:
    """Return the version of the wrk that is installed, e.g. ``4.1.0``."""
    said = subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout
    found = re.search(r"\d+\.\d+\.\d+", said)
    return found[0] if found else "unknown"


def load(url: str, connections: int, seconds: int, cookie: str = "") -> Load:
    """Ask for ``url`` on so many connections at once, kept alive, for so many seconds.

    :param cookie: sent with every request, as it is.
    """
    header = ["-H", f"Cookie: {cookie}"] if cookie else []
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(_REPORT), *header, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 20, check=True)
    counted = json.loads(done.stdout.rstrip().rpartition("\n")[2])
    return Load(
        requests=counted["requests"],
        rate=counted["requests"] / counted["duration"] * 1e6,
        p50=counted["p50"] / 1000,
        p99=counted["p99"] / 1000,
        bad_answers=counted["status"],
        socket_errors=counted["socket"],
    )
