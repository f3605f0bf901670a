"""P1, P2 and P3: building tenants' apps, their first page, and tenants that nobody has asked for yet.

The peer is plain Flask with the same blueprints, an app for each tenant, registered in the ordinary way. As it opens no
database, Tenantry's apps are put together without one too; what a look at the tenant's own database adds is a figure of
its own. Every measurement has a fresh process, and the sides take turns. All apps are kept, as a worker keeps them.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .build_apps import SETS
from .common import load_average, ratios, spread, write
from .workers import Answers, ask_once

#: Numbers of tenants, each ten times the one before, to how often they are measured.
SIZES = {1: 3, 10: 3, 100: 4, 1_000: 3, 10_000: 2}
#: Seconds that a side may take at one size, going by its apps at the size before: it gets fewer rounds then, or none.
LONGEST = 40.0
#: Number of tenants, and rounds, of everything that is not measured at every size.
TENANTS, ROUNDS = 50, 4
#: Number of tenants whose first page is asked for.
PAGE_TENANTS = 15

_SIDES = ("tenantry", "plain")


def run(sizes: dict[int, int] = SIZES, tenants: int = TENANTS, rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure everything, keep the result and draw it; times in microseconds, memory in bytes.

    :param sizes: number of tenants to the rounds in which they are built.
    :param tenants: how many there are in everything else.
    """
    result = {
        "load_average_before": load_average(),
        "sizes": _measure_sizes(sizes),
        "sets": [_measure_set(blueprints, tenants, rounds) for blueprints in SETS],
        "live": _measure_live(tenants, rounds),
        "pages": _measure_pages(min(tenants, PAGE_TENANTS), rounds),
        "registered": _measure_registered(max(sizes)),
    }
    write("build", result)
    from .plots import draw_build  # with its library, which nothing else here needs

    draw_build(result)
    return result


def _measure_sizes(sizes: dict[int, int]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for tenants, rounds in sizes.items():
        before = found[-1] if found else {}
        planned = {side: _rounds(rounds, before.get(side), tenants) for side in _SIDES if not found or side in before}
        planned = {side: number for side, number in planned.items() if number}
        print(f"build: {tenants:,} tenants, {' and '.join(planned)}", flush=True)
        found.append({"tenants": tenants, **_build(SETS[0], tenants, planned)})
    return found


def _rounds(wanted: int, before: dict[str, Any] | None, tenants: int) -> int:
    """Return how many rounds there is time for, by what an app took at the size before."""
    if before is None:
        return wanted
    expected = before.get("median_us", before["first_us"])["median"] * tenants / 1e6
    return min(wanted, int(LONGEST / expected))


def _measure_set(blueprints: str, tenants: int, rounds: int) -> dict[str, Any]:
    print(f"build: {blueprints}", flush=True)
    built = _build(blueprints, tenants, dict.fromkeys(_SIDES, rounds))
    for side in _SIDES:
        built[side] |= _measure("trace", 1, side=side, blueprints=blueprints, tenants=tenants)
    return {
        "set": blueprints,
        "tenants": tenants,
        **built,
        "time_ratio": ratios(built["plain"]["median_us"], built["tenantry"]["median_us"]),
    }


def _build(blueprints: str, tenants: int, rounds: dict[str, int]) -> dict[str, Any]:
    """Build on all sides in turn, round after round; a side that has fewer rounds is in the first ones."""
    answers: dict[str, list[Answers]] = {side: [] for side in rounds}
    for number in range(max(rounds.values(), default=0)):
        for side in [side for side in rounds if number < rounds[side]]:
            answers[side].append(_ask("build", side=side, blueprints=blueprints, tenants=tenants))
    return {side: _spreads(found) for side, found in answers.items()}


def _measure_live(tenants: int, rounds: int) -> dict[str, Any]:
    """Build apps that look at their databases; these are made beforehand, once, in a process of its own."""
    print("build: with databases", flush=True)
    with TemporaryDirectory() as name:
        question = {"folder": name, "side": "live", "blueprints": SETS[0], "tenants": tenants}
        ask_once("build_worker", "build", **question)
        times = _spreads([ask_once("build_worker", "build", **question) for _ in range(rounds)])
        traced = _spreads([ask_once("build_worker", "trace", **question)])
    return {"tenants": tenants, **times, **traced}


def _measure_pages(tenants: int, rounds: int) -> dict[str, Any]:
    print("build: first pages", flush=True)
    question = {"blueprints": SETS[0], "tenants": tenants}
    taken: dict[str, list[Answers]] = {side: [] for side in _SIDES}
    for _ in range(rounds):
        for side, answers in taken.items():
            answers.append(_ask("pages", side=side, **question))
    found = {
        side: _spreads(answers) | _measure("trace_pages", 1, side=side, **question) for side, answers in taken.items()
    }
    return {
        "tenants": tenants,
        **found,
        "time_ratio": ratios(found["plain"]["median_us"], found["tenantry"]["median_us"]),
    }


def _measure_registered(tenants: int) -> dict[str, Any]:
    print("build: registered only", flush=True)
    return {"tenants": tenants, **_measure("register", 3, blueprints=SETS[0], tenants=tenants)}


def _measure(task: str, rounds: int, **question: Any) -> dict[str, Any]:
    return _spreads([_ask(task, **question) for _ in range(rounds)])


def _ask(task: str, **question: Any) -> Answers:
    """Ask a fresh process, with an empty folder for a tenants.toml and what belongs to it."""
    with TemporaryDirectory() as name:
        return ask_once("build_worker", task, folder=str(Path(name)), **question)


def _spreads(answers: list[Answers]) -> dict[str, Any]:
    """Return the spread of each figure over the rounds; a count, which is the same in each, as it is."""
    figures = {name: [answer[name] for answer in answers] for name in answers[0]}
    return {name: values[0] if name == "rules" else spread(values, 1) for name, values in figures.items()}


if __name__ == "__main__":
    run()
