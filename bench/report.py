"""Writes docs/performance.md from bench/results/*.json: what was to be reached, and what was measured."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from .common import ROOT, read
from .sections import summary

#: Result files that have a section, in the order of the report; each is described by its module in bench/sections/.
_SECTIONS = (
    "build",
    "dispatch",
    "pages",
    "instructions",
    "scale",
    "databases",
    "memory",
    "migrations",
    "accounts",
    "api",
    "edits",
    "life",
)

_TITLE = """\
# Performance

Written by `make bench` from the files in `bench/results/`; do not edit it. Every figure was measured beside its peer in
the same run, and is the median of several rounds, with the smallest and the largest in brackets. Compare ratios, not
times: times belong to the machine. P1 to P13 are the numbers of the targets that the project has set itself; where
there are two, the second is for later.
"""


def run() -> None:
    """Write the report of whatever results there are."""
    found = {name: result for name in _SECTIONS if (result := read(name)) is not None}
    sections = [_section(name).describe(result) for name, result in found.items()]
    parts = [_TITLE, summary.describe(found), *sections]
    (ROOT / "docs" / "performance.md").write_text("\n".join(parts), encoding="utf-8")


def _section(name: str) -> ModuleType:
    return import_module(f"{__package__}.sections.{name}")


if __name__ == "__main__":
    run()
