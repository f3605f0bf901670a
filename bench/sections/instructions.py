"""The section on what a request costs in instructions: P5 as far as the machine's other programs cannot move it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..markdown import machine, range_, table, verdict
from .pages import RATIO, RATIO_LATER

_SIDES = {"bare": "bare", "plain": "plain Flask", "tenantry": "Tenantry"}
#: Libraries with a smaller share of the time are put together.
_SMALLEST = 0.01


def describe(result: dict[str, Any]) -> str:
    """Return the section; costs in thousands of instructions a request."""
    pages = result["pages"]
    return f"""\
## What a request costs in instructions (P5)

Thousands of instructions of the processor a request, counted by valgrind: so it does not matter what else the machine
does, and how long an instruction takes is not in it. The WSGI application is called, without a server; Tenantry by its
whole door: dispatcher, gate, app. The garbage collector runs, but does not look at what was there before. Each page is
asked for N, 2 N and 3 N times, N being {result["requests"]}; in brackets are the two differences ÷ N. Work in the
kernel, as for files, is not counted.

{_page_table(pages)}

{_verdicts(pages)}

Where the time of a page goes in Tenantry, by the library whose code runs, and how many calls of Python functions that
are; what C functions take is their caller's. The profiler itself takes time at each call, so that small functions seem
slower than they are.

{_profile_table(result["profiles"])}

{machine(result)}
"""


def _page_table(pages: list[dict[str, Any]]) -> str:
    return table(("page", *_SIDES.values(), "Tenantry ÷ plain"), [_page_row(page) for page in pages])


def _page_row(page: dict[str, Any]) -> tuple[str, ...]:
    costs = (_thousands(page[side]) if side in page else "–" for side in _SIDES)
    return (page["page"], *costs, range_(page["ratio"], 3))


def _thousands(found: dict[str, Any]) -> str:
    return range_({key: found[key] / 1e3 for key in ("min", "median", "max")}, 1)


def _verdicts(pages: list[dict[str, Any]]) -> str:
    return "\n".join(
        verdict(f"{page['page']}, Tenantry ÷ plain", page["ratio"]["median"], round(1 / target, 3), "", 3)
        for target in (RATIO, RATIO_LATER)
        for page in pages
    )


def _profile_table(profiles: dict[str, Any]) -> str:
    names = list(dict.fromkeys(name for found in profiles.values() for name in found))
    shown = [name for name in names if any(_part(found, name)["share"] >= _SMALLEST for found in profiles.values())]
    header = ("library", *(f"{page}, {figure}" for page in profiles for figure in ("share", "calls")))
    rows = [(name, *_cells(profiles, [name])) for name in shown]
    rest = [name for name in names if name not in shown]
    return table(header, [*rows, ("others", *_cells(profiles, rest))] if rest else rows)


def _cells(profiles: dict[str, Any], names: list[str]) -> Iterator[str]:
    for found in profiles.values():
        parts = [_part(found, name) for name in names]
        yield f"{sum(part['share'] for part in parts) * 100:.0f} %"
        yield f"{sum(part['calls'] for part in parts):,.0f}"


def _part(found: dict[str, Any], name: str) -> dict[str, float]:
    part: dict[str, float] = found.get(name, {"share": 0.0, "calls": 0.0})
    return part
