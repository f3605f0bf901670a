"""What a request costs in instructions of the processor, which no other program on the machine can change.

Valgrind's callgrind counts them. Each side is a process that calls its WSGI application; what is counted lies between
the entry and the exit of one C function of Python, ``_PyEval_CallTracing``, which nothing else uses. A page is asked
for N, 2 N and 3 N times: the differences ÷ N are what a request costs, without what is around them.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .common import load_average, ratios, spread, write
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
#: Seeds Python's hashes, so that its dictionaries and sets are the same in each run.
_SEED = {"PYTHONHASHSEED": "0"}
_DOOR = Door("/bench", "bench")
#: Side to the pages that it has, and the prefix of their paths.
_SIDES = {"bare": (("hello",), ""), "plain": (tuple(PAGES), ""), "tenantry": (tuple(PAGES), _DOOR.path)}
_COUNTED_FUNCTION = "_PyEval_CallTracing"


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
    config = {"TENANTRY_CONFIG": str(write_config(folder, [_DOOR])), "TENANTRY_ENV": "production", **_SEED}
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
        f"The instruction benchmark is left out: this Python hides {_COUNTED_FUNCTION} from valgrind.", file=sys.stderr
    )
    return None


def _count_side(folder: Path, side: str, environment: dict[str, str], requests: int) -> dict[str, dict[str, Any]]:
    pages, times = _SIDES[side][0], (1, 2, 3)
    out = folder / f"callgrind.{side}"
    with _start(side, environment, *_callgrind(out)) as worker:
        for page in pages:
            print(f"instructions: {side}, {page}", flush=True)
            worker.ask("count", page=page, counts=[number * requests for number in times])
    counted = [total for total in _totals(out) if total]
    if len(counted) != len(pages) * len(times):
        return {}
    found = {}
    for number, page in enumerate(pages):
        once, twice, thrice = counted[number * len(times) : (number + 1) * len(times)]
        found[page] = spread([(twice - once) / requests, (thrice - twice) / requests], 0)
    return found


def _callgrind(out: Path) -> Iterator[str]:
    """Return the command that counts what lies in the function, and writes each of its calls to a file of its own."""
    yield from ("valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", "--collect-atstart=no")
    yield from (f"--toggle-collect={_COUNTED_FUNCTION}", f"--dump-after={_COUNTED_FUNCTION}")


def _totals(out: Path) -> Iterator[int]:
    """Return the instructions of each call, in turn."""
    for file in sorted(out.parent.glob(f"{out.name}.*"), key=lambda file: int(file.suffix[1:])):
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        yield from (int(line.split()[1]) for line in lines if line.startswith("totals:"))


def _summarise(page: str, counts: dict[str, dict[str, dict[str, Any]]]) -> dict[str, Any]:
    found = {side: pages[page] for side, pages in counts.items() if page in pages}
    return {"page": page, **found, "ratio": ratios(found["tenantry"], found["plain"])}


def _profile(environment: dict[str, str], requests: int) -> dict[str, Any]:
    with ExitStack() as stack:
        worker = stack.enter_context(_start("tenantry", environment))
        return {page: worker.ask("profile", page=page, requests=requests) for page in PROFILED_PAGES}


if __name__ == "__main__":
    run()
