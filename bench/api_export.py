"""The API's exports: the memory of the worker that writes a file of 1,000, 10,000 and 100,000 tasks, and its speed.

A real gunicorn, a client that reads as a stream and keeps nothing, and a new server for each case, warmed by exports of
a hundred rows over the connection on which is measured. The largest resident memory is the kernel's own count, set back
before the export begins (``/proc/PID/clear_refs``, 5: see proc(5)).
"""

from __future__ import annotations

import http.client
import json
import time
from itertools import product
from pathlib import Path
from typing import Any

from .api_content import TASK_FIELDS, Content
from .api_sites import Side, make_sides
from .common import spread
from .processes import holder_of, most_resident, reset_most_resident, resident
from .servers import Server, serving

#: Rows of an export; each project has so many tasks, and the first one is for warming.
ROWS = (1_000, 10_000, 100_000)
_WARMING, _WARM_EXPORTS = 100, 24
EXPORTED = Content(organizations=1, projects=(_WARMING, *ROWS))
#: Forms of an export, to what stands once in each row of the file.
FORMS = {"csv": b"\r\n", "jsonl": b'"id":'}
#: How often every case is measured.
ROUNDS = 3
#: Bytes that are read at a time.
_AT_A_TIME = 65_536

#: Side, form and rows to what was measured, round by round.
Taken = dict[tuple[str, str, int], list[dict[str, float]]]


def measure(folder: Path, rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure all exports; memory in KiB."""
    print("api, exports: databases", flush=True)
    sides = make_sides(folder, EXPORTED)
    for form in FORMS:
        _check_same(folder, sides, form)
    taken: Taken = {}
    for number in range(rounds):
        print(f"api, exports: round {number + 1} of {rounds}", flush=True)
        for form, rows, side in product(FORMS, ROWS, sides[:: 1 if number % 2 else -1]):
            taken.setdefault((side.variant, form, rows), []).append(_measure(folder, side, form, rows))
    return {"rounds": rounds, "cases": [_summarise(*case, found) for case, found in taken.items()]}


def _measure(folder: Path, side: Side, form: str, rows: int) -> dict[str, float]:
    with serving(side.app, folder / side.variant, side.config) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
        # Its threads take turns, and each of them is to have written one.
        worker = _warm(server, connection, side, form)
        before = resident(worker)
        reset_most_resident(worker)
        read = _read(connection, side, form, rows)
        most, after = most_resident(worker), resident(worker)
        connection.close()
    assert read["rows"] == rows, f"{side.variant} has exported {read['rows']:,} rows; expected {rows:,}"
    return {**read, "before": before, "most": most, "after": after, "growth": most - before}


def _warm(server: Server, connection: http.client.HTTPConnection, side: Side, form: str) -> int:
    """Export a few rows some times; return the process id of the worker that did it, to which the connection goes."""
    for _ in range(_WARM_EXPORTS):
        _read(connection, side, form, _WARMING)
    return holder_of(server.pid, server.port, connection.sock.getsockname()[1])


def _read(connection: http.client.HTTPConnection, side: Side, form: str, rows: int) -> dict[str, float]:
    """Read an export as a stream, and count."""
    began = time.perf_counter()
    answer = _ask(connection, side, form, rows)
    size, found, rest = 0, 0, b""
    first = 0.0
    while chunk := answer.read1(_AT_A_TIME):
        first = first or time.perf_counter() - began
        size += len(chunk)
        found += (rest + chunk).count(FORMS[form])
        rest = chunk[-len(FORMS[form]) + 1 :]
    seconds = time.perf_counter() - began
    answer.read()  # nothing more; the connection is free for the next
    counted = found - (form == "csv")  # the line of names
    return {"rows": counted, "bytes": size, "first_byte_ms": first * 1e3, "rows_per_second": counted / seconds}


def _ask(connection: http.client.HTTPConnection, side: Side, form: str, rows: int) -> http.client.HTTPResponse:
    project = EXPORTED.projects.index(rows) + 1
    connection.request("GET", f"{side.prefix}/api/v1.0/tasks.{form}?project_id={project}", headers=side.headers)
    answer = connection.getresponse()
    assert answer.status == 200, f"{side.variant} answers {answer.status} for an export; expected 200"
    return answer


def _check_same(folder: Path, sides: tuple[Side, Side], form: str) -> None:
    """Make sure that both export the same, the one as lines of JSON what the other has as one list."""
    found = []
    for side in sides:
        (folder / side.variant).mkdir(exist_ok=True)
        with serving(side.app, folder / side.variant, side.config) as server:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            found.append(_parsed(_ask(connection, side, form, min(ROWS)).read(), form))
            connection.close()
    ours, theirs = found
    assert ours == theirs, f"the exports as {form} differ: {ours[:2]!r}, and {theirs[:2]!r}"


def _parsed(body: bytes, form: str) -> list[Any]:
    if form == "csv":
        return body.split(FORMS[form])
    found = json.loads(body) if body.startswith(b"[") else [json.loads(line) for line in body.splitlines()]
    assert set(found[0]) == set(TASK_FIELDS)
    return list(found)


def _summarise(variant: str, form: str, rows: int, found: list[dict[str, float]]) -> dict[str, Any]:
    kib = {f"{name}_kib": spread([one[name] for one in found], 0) for name in ("before", "most", "after", "growth")}
    return {
        "variant": variant,
        "form": form,
        "rows": rows,
        "bytes": found[0]["bytes"],
        **kib,
        "rows_per_second": spread([one["rows_per_second"] for one in found], 0),
        "first_byte_ms": spread([one["first_byte_ms"] for one in found], 1),
    }
