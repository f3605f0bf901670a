"""The API: its list of 50 tasks (P5), what the security context costs other pages, and the memory of exports."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from . import api_export, api_list, api_scope
from .common import load_average, write
from .wrk import require_wrk


def run(rounds: int = api_list.ROUNDS, slices: int = api_list.SLICES) -> dict[str, Any]:
    """Measure all three, one after the other, and keep the result; what there is already, should one of them fail."""
    require_wrk()
    result: dict[str, Any] = {"load_average_before": load_average()}
    parts: dict[str, Callable[[Path], dict[str, Any]]] = {
        "list": partial(api_list.measure, rounds=rounds, slices=slices),
        "scope": api_scope.measure,
        "export": api_export.measure,
    }
    for part, measure in parts.items():
        with TemporaryDirectory() as name:
            result[part] = measure(Path(name))
        write("api", result)
    return result


if __name__ == "__main__":
    run()
