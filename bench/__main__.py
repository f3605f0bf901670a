"""Run every benchmark, or those that are named, then write docs/performance.md."""

from __future__ import annotations

import sys
from collections.abc import Callable

from . import (
    accounts,
    api,
    build,
    databases,
    dispatch,
    edits,
    instructions,
    life,
    memory,
    migrations,
    pages,
    report,
    scale,
)
from .wrk import require_wrk

_BENCHMARKS: dict[str, Callable[[], object]] = {
    "build": build.run,
    "dispatch": dispatch.run,
    "pages": pages.run,
    "instructions": instructions.run,
    "scale": scale.run,
    "databases": databases.run,
    "memory": memory.run,
    "life": life.run,
    "migrations": migrations.run,
    "accounts": accounts.run,
    "api": api.run,
    "edits": edits.run,
}


def main(names: list[str]) -> None:
    """Run the named benchmarks, all where none is named, one after the other; status 2 if one cannot be run."""
    unknown = [name for name in names if name not in _BENCHMARKS]
    if unknown:
        print(f"There is no benchmark '{unknown[0]}'; expected some of: {', '.join(_BENCHMARKS)}", file=sys.stderr)
        sys.exit(2)
    chosen = names or list(_BENCHMARKS)
    if {"pages", "scale", "api"} & set(chosen):
        require_wrk()  # before minutes are spent on the others
    for name in chosen:
        _BENCHMARKS[name]()
    report.run()


if __name__ == "__main__":
    main(sys.argv[1:])
