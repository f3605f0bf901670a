"""P9: an edit of tenants.toml until it is live in every worker, and what the neighbours notice of it meanwhile.

A deployment with the shipped files and their hooks, with 3 tenants and with 10,000. In each round, visitors ask a few
tenants for their pages, first in quiet and then while another tenant's title is edited again and again; every answer is
looked at. The peer is what an operator does without this: the same edit, and ``kill -HUP``. Also measured is how long
the commands take that look at the configuration.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any

from tenantry.presence import reports
from tenantry.registry import Settings

from .client import Connection
from .common import ROOT, load_average, spread, write
from .deployment import Deployment, deployed
from .tenants import Door, make_doors, write_config

#: Numbers of tenants.
SIZES = (3, 10_000)
#: How often all is measured; edits in each round, and seconds between two of them; reloads in each round.
ROUNDS, EDITS, EVERY, RELOADS = 3, 10, 1.5, 2
#: Tenants that are visited, and visitors.
NEIGHBOURS, VISITORS = 2, 2
#: The commands whose time is measured.
COMMANDS = ("list", "status", "plan", "check")


def run(sizes: tuple[int, ...] = SIZES, rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure all sizes and keep the result: seconds until an edit is live, milliseconds of the neighbours' pages."""
    load_before = load_average()
    result = {
        "load_average_before": load_before,
        "rounds": rounds,
        "edits": EDITS,
        "visitors": VISITORS,
        "sizes": [_measure(size, rounds) for size in sizes],
    }
    write("edits", result)
    return result


def _measure(size: int, rounds: int) -> dict[str, Any]:
    print(f"edits: {size:,} tenants", flush=True)
    doors = make_doors(size)
    with TemporaryDirectory() as name:
        file = write_config(Path(name), doors)
        with deployed(Path(name), doors[0]) as deployment, ProcessPoolExecutor(1, get_context("spawn")) as visitors:
            found = [_round(deployment, file, doors, visitors) for _ in range(rounds)]
            commands = {command: spread([_command(Path(name), command) for _ in range(rounds)]) for command in COMMANDS}
    return {
        "tenants": size,
        "live_seconds": spread([each for one in found for each in one["live"]]),
        "reload_seconds": spread([each for one in found for each in one["reload"]]),
        "p99_quiet_ms": spread([one["quiet"]["p99"] for one in found], 2),
        "p99_edited_ms": spread([one["edited"]["p99"] for one in found], 2),
        "p99_ratio": spread([one["edited"]["p99"] / one["quiet"]["p99"] for one in found], 2),
        "answers": sum(one[kind]["answers"] for one in found for kind in ("quiet", "edited")),
        "wrong": sum(one[kind]["wrong"] for one in found for kind in ("quiet", "edited")),
        "commands": commands,
    }


def _round(deployment: Deployment, file: Path, doors: list[Door], visitors: ProcessPoolExecutor) -> dict[str, Any]:
    seconds = EDITS * EVERY
    neighbours = doors[:NEIGHBOURS]
    visit(deployment.server.port, neighbours, 1.0)  # so that their apps are built
    quiet = visitors.submit(visit, deployment.server.port, neighbours, seconds).result()
    visiting = visitors.submit(visit, deployment.server.port, neighbours, seconds)
    live = []
    for number in range(EDITS):
        began = time.perf_counter()
        live.append(_edit(file, doors[-1], number))
        time.sleep(max(0.0, EVERY - (time.perf_counter() - began)))
    edited = visiting.result()
    return {
        "quiet": quiet,
        "edited": edited,
        "live": live,
        "reload": [_reload(deployment, file) for _ in range(RELOADS)],
    }


def visit(port: int, doors: list[Door], seconds: float) -> dict[str, float]:
    """Ask for pages over and over; return how many were answered, how many wrongly, and the 99th percentile in ms."""
    times, wrong = [], 0
    connections = [Connection(port) for _ in range(VISITORS)]
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for connection, door in zip(connections, doors, strict=True):
            began = time.perf_counter()
            status, body = connection.get(door.address("name"))
            times.append(time.perf_counter() - began)
            wrong += status != 200 or not door.is_in(body)
    for connection in connections:
        connection.close()
    return {"answers": len(times), "wrong": wrong, "p99": quantiles(times, n=100)[98] * 1000}


def _edit(file: Path, door: Door, number: int) -> float:
    """Give a tenant another title; return the seconds until every worker has it."""
    table = f'[tenants.{door.canary}]\npath = "{door.path}"\n'
    head = file.read_text(encoding="utf-8").partition(f"[tenants.{door.canary}]")[0]
    settings = Settings(file=file, state_dir=file.parent / "var")
    before = max(report.generation for report in reports(settings))
    began = time.perf_counter()
    file.write_text(f'{head}{table}title = "Edited {time.time()} {number}"\n', encoding="utf-8")
    while any(report.generation <= before for report in reports(settings)):
        if time.perf_counter() > began + 30:
            raise RuntimeError("An edit was not live within 30 s.")
        time.sleep(0.005)
    return time.perf_counter() - began


def _reload(deployment: Deployment, file: Path) -> float:
    """Let gunicorn reload; return the seconds until all its workers are new ones that serve."""
    settings = Settings(file=file, state_dir=file.parent / "var")
    before = {report.pid for report in reports(settings)}
    began = time.perf_counter()
    os.kill(deployment.server.pid, signal.SIGHUP)
    while len(now := reports(settings)) < deployment.count or before & {report.pid for report in now}:
        if time.perf_counter() > began + 120:
            raise RuntimeError("A reload was not over within 120 s.")
        time.sleep(0.01)
    return time.perf_counter() - began


def _command(folder: Path, command: str) -> float:
    """Return the seconds that one command takes, from its start to its end."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "tenantry.cli", command],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(ROOT)])},
    )
    return time.perf_counter() - began


if __name__ == "__main__":
    run()
