"""Tenantry as an operator runs it: ``wsgi.py`` and ``gunicorn.conf.py`` of the repository beside a ``tenants.toml``."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .client import Connection
from .common import ROOT
from .processes import children
from .servers import Server, environment, stop
from .tenants import Door

#: Seconds within which a deployment must answer, whatever it builds before.
PATIENCE = 120.0
#: Variables that change what the shipped files say; an operator's shell must not decide a benchmark.
_IGNORED = ("TENANTRY_", "WEB_", "GUNICORN_", "BIND_HOST", "ACCESS_LOG")


@dataclass(frozen=True)
class Deployment:
    """A running deployment.

    :ivar seconds: from its start to its first answer.
    :ivar count: how many workers it has, or will have in a moment.
    """

    server: Server
    seconds: float
    count: int

    def workers(self) -> list[int]:
        """Return the process ids of its workers, once all are there.

        :raises RuntimeError: if there are more or fewer of them.
        """
        until = time.monotonic() + PATIENCE
        while len(found := children(self.server.pid)) != self.count:
            if time.monotonic() > until:
                raise RuntimeError(f"The deployment has {len(found)} workers; expected {self.count}.")
            time.sleep(0.01)
        return found


@contextmanager
def deployed(folder: Path, door: Door, workers: int = 2) -> Iterator[Deployment]:
    """Serve the ``tenants.toml`` in ``folder`` with the shipped files and their hooks.

    :param door: the tenant that is asked until it answers.
    :raises RuntimeError: with the end of its log, if it does not answer, or wrongly.
    """
    port = _free_port()
    for name in ("wsgi.py", "gunicorn.conf.py"):
        shutil.copy(ROOT / name, folder)
    started = time.perf_counter()
    with (folder / "gunicorn.log").open("wb") as log:
        process = subprocess.Popen(
            # No worker is replaced on the way, or it would be chance in whose round.
            [sys.executable, "-m", "gunicorn", "--max-requests", "0", "--max-requests-jitter", "0"],
            cwd=folder,
            env=_environment(port, workers),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for_answer(process, port, door, folder / "gunicorn.log")
        yield Deployment(Server(port, process.pid), time.perf_counter() - started, workers)
    finally:
        stop(process)


def _environment(port: int, workers: int) -> dict[str, str]:
    ours = {"PORT": str(port), "WEB_CONCURRENCY": str(workers), "TENANTRY_ENV": "production"}
    return {name: value for name, value in environment({}).items() if not name.startswith(_IGNORED)} | ours


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_for_answer(process: subprocess.Popen[bytes], port: int, door: Door, log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        try:
            with Connection(port) as connection:
                status, body = connection.get(door.address("name"))
        except OSError:
            time.sleep(0.005)
            continue
        if status == 200 and door.is_in(body):
            return
        break
    end = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise RuntimeError(f"The deployment did not answer as {door.canary} within {PATIENCE:.0f} s. Its log ends:\n{end}")
