"""From the start of ``tenantry add`` to the first page of the new tenant, out of a gunicorn that has been running."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copy, copytree
from socket import create_server
from tempfile import TemporaryDirectory
from typing import Any

from .common import ROOT, load_average, spread, write
from .servers import PATIENCE, ask, environment, stop

#: How many tenants are added, one after the other.
ROUNDS = 15
_EVERY = 0.01


def run(rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure and keep the result: seconds to the first page, and to the end of the command."""
    load_before = load_average()
    with TemporaryDirectory() as name, _serving(Path(name)) as port:
        taken = [_add(Path(name), port, f"t{number}") for number in range(rounds + 1)][1:]  # the first one warms up
    result = {
        "load_average_before": load_before,
        "first_page_seconds": spread([page for page, _, _ in taken], 3),
        "command_seconds": spread([end for _, end, _ in taken], 3),
        "wrong_answers": sum(wrong for _, _, wrong in taken),
    }
    write("life", result)
    return result


def _add(folder: Path, port: int, slug: str) -> tuple[float, float, int]:
    """Add a tenant; return the seconds to its first page, those to the end, and the answers that were wrong."""
    began, wrong = time.perf_counter(), 0
    command = [sys.executable, "-m", "tenantry.cli", "add", slug]
    with subprocess.Popen(command, cwd=folder, env=environment({}), stdout=subprocess.DEVNULL) as process:
        while (status := ask(port, f"/{slug}/en/").status) != 200 and time.perf_counter() < began + PATIENCE:
            wrong += status != 404
            time.sleep(_EVERY)
        page = time.perf_counter() - began
    return page, time.perf_counter() - began, wrong + (status != 200) + (process.returncode != 0)


@contextmanager
def _serving(folder: Path) -> Iterator[int]:
    """Serve the shipped site as it is served in production, with what follows the file."""
    copy(ROOT / "tenants.toml", folder)
    copytree(ROOT / "tenants", folder / "tenants")
    with create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "wsgi:application"],
        cwd=folder,
        env=environment({"PORT": str(port), "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "platform")))}),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + PATIENCE
        while not _answers(port):
            if time.monotonic() > until or process.poll() is not None:
                raise RuntimeError("gunicorn did not answer.")
            time.sleep(0.1)
        yield port
    finally:
        stop(process)


def _answers(port: int) -> bool:
    try:
        return all(ask(port, "/acme/en/").status == 200 for _ in range(8))  # all workers have built an app
    except OSError:
        return False


if __name__ == "__main__":
    print(run())
