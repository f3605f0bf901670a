"""The API: its list of 50 tasks (P5), what the security context costs other pages, and the memory of exports."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from . import api_export, api_list, api_scope
from .common import load_average, write
from .wrk import require_wrk


def run(rounds: int = api_list.ROUNDS, slices: int = api_list.SLICES) -> dict[str, Any]:
    """Measure all three, one after the other, and keep the result."""
    require_wrk()
    load_before = load_average()
    with TemporaryDirectory() as name:
        folders = {part: Path(name) / part for part in ("list", "scope", "export")}
        for folder in folders.values():
            folder.mkdir()
        result = {
            "load_average_before": load_before,
            "list": api_list.measure(folders["list"], rounds, slices),
            "scope": api_scope.measure(folders["scope"]),
            "export": api_export.measure(folders["export"]),
        }
    write("api", result)
    return result


if __name__ == "__main__":
    run()
