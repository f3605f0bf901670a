"""The small pieces of Markdown that the report is made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table, its columns aligned to the right."""
    lines = [header, ("---:",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def range_(found: dict[str, Any], digits: int = 2) -> str:
    """Return a spread as ``median (smallest–largest)``, in its own unit, with so many decimals."""
    low, middle, high = (f"{found[key]:,.{digits}f}" for key in ("min", "median", "max"))
    return f"{middle} ({low}–{high})"


def verdict(what: str, measured: float, target: float, unit: str = "µs", digits: int = 2) -> str:
    """Return a line that sets what was measured beside the most that it may be, both in ``unit``."""
    outcome = "reached" if measured <= target else f"falls short by {measured - target:,.{digits}f} {unit}".rstrip()
    return (
        f"- {what}: {measured:,.{digits}f} {unit}".rstrip()
        + f"; to reach: ≤ {target:g} {unit}".rstrip()
        + f" ({outcome})."
    )


def scaled(found: dict[str, Any], by: float) -> dict[str, Any]:
    """Return a spread in another unit: median, smallest and largest divided ``by`` so much."""
    return {key: found[key] / by for key in ("min", "median", "max")}


def machine(result: dict[str, Any]) -> str:
    """Return a sentence that says where and when a result was measured."""
    found = result["machine"]
    libraries = ", ".join(f"{name} {number}" for name, number in found["libraries"].items())
    place = f"{found['cores']} cores of {found['cpu']}"
    others = f"Load average before it began: {result['load_average_before']:.2f}."
    return f"Measured on {found['date']}: {place}, Python {found['python']}, {libraries}. {others}"


def verdict_on_ratio(what: str, ratio: dict[str, Any], target: float) -> str:
    """Return a line that sets the spread of a ratio beside the least that it should be."""
    missing = target - ratio["median"]
    if missing > 0:
        outcome = f"falls short by {missing:.3f}" + (", though not in every round" if ratio["max"] >= target else "")
    else:
        outcome = "reached" + (", though not in every round" if ratio["min"] < target else "")
    return f"- {what}: {range_(ratio, 3)}; to reach: ≥ {target:g} ({outcome})."
