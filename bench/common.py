"""What the benchmarks share: medians with their spread, what the machine is, and where results are kept."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

#: The repository's root.
ROOT = Path(__file__).resolve().parent.parent
#: One JSON file for each benchmark.
RESULTS = ROOT / "bench" / "results"
_LIBRARIES = ("flask", "werkzeug", "itsdangerous", "sqlalchemy", "flask-sqlalchemy", "gunicorn", "tenantry")


def spread(rounds: Sequence[float], digits: int = 3) -> dict[str, Any]:
    """Return median, smallest, largest and every round's value, in the unit of ``rounds``, rounded to ``digits``."""
    values = [round(value, digits) for value in rounds]
    return {"median": round(median(values), digits), "min": min(values), "max": max(values), "rounds": values}


def ratios(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Return the spread of ``ours`` ÷ ``theirs``, a plain number, round by round: neighbours in time are compared."""
    return spread([a / b for a, b in zip(ours["rounds"], theirs["rounds"], strict=True)])


def gaps(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Return the spread of ``ours`` − ``theirs``, in their own unit, round by round."""
    return spread([a - b for a, b in zip(ours["rounds"], theirs["rounds"], strict=True)])


def machine() -> dict[str, Any]:
    """Describe what was measured on: core count, CPU model, versions, and the date in UTC (ISO 8601)."""
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu_model(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in _LIBRARIES},
        "date": datetime.now(UTC).date().isoformat(),
    }


def load_average() -> float:
    """Return how many programs wanted a core in the last minute: asked beforehand, it says who else was there."""
    return round(os.getloadavg()[0], 2)


def write(name: str, result: dict[str, Any]) -> Path:
    """Keep a result, with the machine, as ``bench/results/<name>.json``; return the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **result}, indent=1) + "\n", encoding="utf-8")
    return path


def read(name: str) -> dict[str, Any] | None:
    """Return a kept result, or ``None`` if that benchmark has not run yet."""
    path = RESULTS / f"{name}.json"
    found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    return found


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
