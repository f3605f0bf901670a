"""What a request costs in instructions of the processor, which no other program on the machine can change.

Valgrind's callgrind counts them, see :mod:`bench.callgrind`. Each side is a process that calls its WSGI application.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .callgrind import COUNTED_FUNCTION, SEED, count_pages
from .common import load_average, ratios, write
from .sites import plain_database
from .tenants import Door, write_config
from .visits import PAGES
from .workers import Worker

#: N: requests by which two counts differ.
REQUESTS = 40
#: Requests in a profile, which looks at times and so needs more.
PROFILED = 1_000
#: The pages of which is shown where their time goes.
PROFILED_PAGES = ("hello", "database read")
_DOOR = Door("/bench", "bench")
#: Side to the pages that it has, and the prefix of their paths.
_SIDES = {"bare": (("hello",), ""), "plain": (tuple(PAGES), ""), "tenantry": (tuple(PAGES), _DOOR.path)}


def run(requests: int = REQUESTS, profiled: int = PROFILED) -> dict[str, Any] | None:
    """Count all pages and keep the result, in instructions a request; ``None``, and none kept, without valgrind."""
    if shutil.which("valgrind") is None:
        print("The instruction benchmark is left out: it needs valgrind; install it with: apt-get install valgrind")
        return None
    load_before = load_average()
    with TemporaryDirectory() as name:
        folder = Path(name)
        environment = _prepare(folder)
        counts = _count(folder, environment, requests)
        if counts is None:
            return None
        result = {
            "load_average_before": load_before,
            "requests": requests,
            "pages": [_summarise(page, counts) for page in PAGES],
            "profiled_requests": profiled,
            "profiles": _profile(environment, profiled),
        }
    write("instructions", result)
    return result


def _prepare(folder: Path) -> dict[str, str]:
    """Make the databases of both sides. Return the environment that the processes need."""
    config = {"TENANTRY_CONFIG": str(write_config(folder, [_DOOR])), "TENANTRY_ENV": "production", **SEED}
    with _start("tenantry", config) as worker:
        settings = worker.ask("ask", path="/database/settings")["body"]
    return {**config, **plain_database(folder, settings.encode())}


def _start(side: str, environment: dict[str, str], *through: str) -> Worker:
    return Worker("instructions_worker", side, _SIDES[side][1], through=through, environment=environment)


def _count(folder: Path, environment: dict[str, str], requests: int) -> dict[str, dict[str, dict[str, Any]]] | None:
    """Return the instructions a request of each side and page. The sides run at once, as it makes no difference."""
    with ThreadPoolExecutor() as pool:
        running = {side: pool.submit(_count_side, folder, side, environment, requests) for side in _SIDES}
        found = {side: future.result() for side, future in running.items()}
    if all(found.values()):
        return found
    print(
        f"The instruction benchmark is left out: this Python hides {COUNTED_FUNCTION} from valgrind.", file=sys.stderr
    )
    return None


def _count_side(folder: Path, side: str, environment: dict[str, str], requests: int) -> dict[str, dict[str, Any]]:
    def start(through: Sequence[str]) -> Worker:
        return _start(side, environment, *through)

    return count_pages(start, folder / f"callgrind.{side}", _SIDES[side][0], requests)


def _summarise(page: str, counts: dict[str, dict[str, dict[str, Any]]]) -> dict[str, Any]:
    found = {side: pages[page] for side, pages in counts.items() if page in pages}
    return {"page": page, **found, "ratio": ratios(found["tenantry"], found["plain"])}


def _profile(environment: dict[str, str], requests: int) -> dict[str, Any]:
    with ExitStack() as stack:
        worker = stack.enter_context(_start("tenantry", environment))
        return {page: worker.ask("profile", page=page, requests=requests) for page in PROFILED_PAGES}


if __name__ == "__main__":
    run()
