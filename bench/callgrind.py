"""Counts the instructions of the processor that a page takes in a worker's process, by valgrind's callgrind.

What is counted lies between the entry and the exit of one C function of Python, ``_PyEval_CallTracing``, which nothing
else uses. A page is asked for N, 2 N and 3 N times: the differences ÷ N are what a request costs, without what is
around them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .common import spread
from .workers import Worker

#: The C function in which is counted.
COUNTED_FUNCTION = "_PyEval_CallTracing"
#: Seeds Python's hashes, so that its dictionaries and sets are the same in each run.
SEED = {"PYTHONHASHSEED": "0"}
_TIMES = (1, 2, 3)


def count_pages(
    start: Callable[[Sequence[str]], Worker], out: Path, pages: Sequence[str], requests: int
) -> dict[str, dict[str, Any]]:
    """Return the instructions a request of each page; nothing where this Python hides the function from valgrind.

    :param start: starts the worker through a command. It answers ``count`` as :mod:`bench.instructions_worker` does.
    :param out: beginning of the names of callgrind's files.
    :param requests: by which two counts of a page differ.
    """
    with start(tuple(_command(out))) as worker:
        for page in pages:
            print(f"instructions: {out.suffix[1:]}, {page}", flush=True)
            worker.ask("count", page=page, counts=[number * requests for number in _TIMES])
    counted = [total for total in _totals(out) if total]
    if len(counted) != len(pages) * len(_TIMES):
        return {}
    found = {}
    for number, page in enumerate(pages):
        once, twice, thrice = counted[number * len(_TIMES) : (number + 1) * len(_TIMES)]
        found[page] = spread([(twice - once) / requests, (thrice - twice) / requests], 0)
    return found


def _command(out: Path) -> Iterator[str]:
    """Return the command that counts what lies in the function, and writes each of its calls to a file of its own."""
    yield from ("valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", "--collect-atstart=no")
    yield from (f"--toggle-collect={COUNTED_FUNCTION}", f"--dump-after={COUNTED_FUNCTION}")


def _totals(out: Path) -> Iterator[int]:
    """Return the instructions of each call, in turn."""
    for file in sorted(out.parent.glob(f"{out.name}.*"), key=lambda file: int(file.suffix[1:])):
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        yield from (int(line.split()[1]) for line in lines if line.startswith("totals:"))
