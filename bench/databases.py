"""P13: a page that reads one row of its tenant's own SQLite database, over few tenants and over many in turn.

The peers are the two ways of doing it by hand in plain Flask: an engine for each tenant, which keeps its connection,
and a connection opened for each request. Each side has its own copy of the same files, as SQLite's last connection to
a file has more to do when it closes, and the same settings. Each side is a process of its own, with one thread and no
server; the processes stay, and the sides take turns.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import astuple
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

from tenantry.registry import Settings

from .common import load_average, ratios, spread, write
from .one_row import NOTHING
from .tenants import Door, make_doors, provision
from .workers import Answers, Worker

#: How many connections are kept open by default.
OPEN = Settings(Path("tenants.toml")).open_databases
#: Numbers of tenants that are asked in turn: one, as many as have an open connection, and all.
SIZES = (1, OPEN, 1_000)
#: How often everything is measured, one case after the other.
ROUNDS = 5
#: Requests in one measurement; more where there are more tenants.
CALLS = 500
#: Tenants in the measurement of Python's objects, which takes long; all are in that of the process's memory.
TRACED_TENANTS = 300

#: Side to the file of its settings, for Tenantry's; the second keeps a connection of every tenant open.
_FILES = {"tenantry": "tenants.toml", "tenantry_all": "all-open.toml"}
_PLAIN = {"engines": "keep", "opened": "open"}
_BLUEPRINTS = '["bench.blueprints.database:bp", "bench.one_row:bp"]'


def run(sizes: tuple[int, ...] = SIZES, rounds: int = ROUNDS, calls: int = CALLS) -> dict[str, Any]:
    """Measure all sides and keep the result: microseconds a request, bytes a tenant."""
    load_before = load_average()
    with TemporaryDirectory() as name:
        print(f"databases: making {max(sizes):,}", flush=True)
        folder = Path(name)
        _make_tenants(folder, max(sizes))
        settings = _settings(folder)
        result = {
            "load_average_before": load_before,
            "tenants": max(sizes),
            "calls": calls,
            "open_databases": OPEN,
            "settings": settings,
            **_measure_times(folder, settings, sizes, rounds, calls),
            "footprints": {side: _measure_footprint(folder, side, settings, max(sizes)) for side in (*_FILES, *_PLAIN)},
        }
    write("databases", result)
    return result


def _make_tenants(folder: Path, count: int) -> None:
    """Make each side's folder: two tenants.toml of the same tenants, and their databases."""
    doors, first = make_doors(count), folder / "tenantry"
    first.mkdir()
    (first / "doors.json").write_text(json.dumps([astuple(door) for door in doors]))
    (first / _FILES["tenantry"]).write_text(_tenants_toml(doors))
    (first / _FILES["tenantry_all"]).write_text(_tenants_toml(doors, f"open_databases = {count}\n"))
    provision(first / _FILES["tenantry"])
    for side in (*_FILES, *_PLAIN)[1:]:
        copytree(first, folder / side)


def _tenants_toml(doors: list[Door], more: str = "") -> str:
    head = f"[platform]\nblueprints = {_BLUEPRINTS}\nlive_tenants = {len(doors)}\n{more}"
    # The limits are out of reach, so that no request is refused should they be enforced.
    defaults = (
        "limits = { concurrency = 10_000, requests_per_minute = 1_000_000_000 }\nconfig = { CANARY = '{slug}' }\n"
    )
    tables = "".join(f"[tenants.{door.canary}]\npath = '{door.path}'\n" for door in doors)
    return f"{head}[defaults]\n{defaults}{tables}"


def _settings(folder: Path) -> Answers:
    """Return the settings of Tenantry's connections, which the peers' get too."""
    with _start(folder, "tenantry") as worker:
        return worker.ask("settings")


def _start(folder: Path, side: str, settings: Answers | None = None) -> Worker:
    if side in _FILES:
        return Worker("databases_worker", "Tenantry", str(folder / side), _FILES[side])
    worker = Worker("databases_worker", "Plain", str(folder / side), json.dumps(settings), _PLAIN[side])
    theirs = worker.ask("settings")
    assert theirs == settings, f"the settings of '{side}' are {theirs}; expected {settings}"
    return worker


def _measure_times(folder: Path, settings: Answers, sizes: tuple[int, ...], rounds: int, calls: int) -> dict[str, Any]:
    """Measure rows of so many tenants in turn, a page without a database, and the query alone."""
    taken: dict[str, dict[str, list[float]]] = {}
    queries: list[Answers] = []
    with ExitStack() as stack:
        sides = {side: stack.enter_context(_start(folder, side, settings)) for side in (*_FILES, *_PLAIN)}
        for worker in sides.values():
            worker.ask("visit")
        for number in range(rounds):
            print(f"databases: round {number + 1} of {rounds}", flush=True)
            for name, question in _cases(sizes, calls).items():
                for side in reversed(sides) if number % 2 else sides:
                    answer = sides[side].ask("measure", **question)
                    taken.setdefault(side, {}).setdefault(name, []).append(answer["us"])
            queries.append(sides["engines"].ask("query", calls=calls))
    times = {side: {name: spread(each, 1) for name, each in found.items()} for side, found in taken.items()}
    return {
        "times": times,
        "ratios": {
            side: {name: ratios(times["tenantry"][name], each) for name, each in times[side].items()} for side in _PLAIN
        },
        "queries": {name: spread([each[name] for each in queries], 1) for name in queries[0]},
    }


def _cases(sizes: tuple[int, ...], calls: int) -> dict[str, dict[str, Any]]:
    """Return what is asked of each side, by name."""
    rows = {str(size): {"tenants": size, "calls": max(size, calls)} for size in sizes}
    return {"nothing": {"tenants": 1, "calls": calls, "path": NOTHING}, **rows}


def _measure_footprint(folder: Path, side: str, settings: Answers, tenants: int) -> dict[str, Any]:
    """Measure Python's objects and the process's memory, each in a new process."""
    print(f"databases: memory of {side}", flush=True)
    with _start(folder, side, settings) as worker:
        traced = worker.ask("footprint", tenants=min(tenants, TRACED_TENANTS), traced=True)
    with _start(folder, side, settings) as worker:
        private = worker.ask("footprint", tenants=tenants, traced=False)
    return {"traced": traced, "private": private}


if __name__ == "__main__":
    run()
