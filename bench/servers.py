"""gunicorn as it is shipped, around any WSGI application, for as long as a block lasts."""

from __future__ import annotations

import http.client
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .common import ROOT
from .processes import children_cpu_seconds

#: Seconds within which a server must answer.
PATIENCE = 30.0
# Every server gets a socket of its own. And no worker is replaced on the way, or it would be chance in whose round.
_LEFT_OUT = ("wsgi_app", "bind", "accesslog", "access_log_format", "max_requests", "max_requests_jitter")


@dataclass(frozen=True)
class Server:
    """A running gunicorn: its port, and the process id of its arbiter."""

    port: int
    pid: int

    def worker_seconds(self) -> dict[int, float]:
        """Return the processor seconds that each worker has used so far, by its process id."""
        return children_cpu_seconds(self.pid)


@dataclass(frozen=True)
class Answer:
    """A response: status code, headers with their names in lower case, body."""

    status: int
    headers: dict[str, str]
    body: bytes


def shipped_settings() -> dict[str, Any]:
    """Return what the repository's gunicorn.conf.py sets, without its hooks, which know Tenantry only."""
    found = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    plain = {name: value for name, value in found.items() if isinstance(value, (str, int, dict))}
    return {name: value for name, value in plain.items() if not name.startswith("_") and name not in _LEFT_OUT}


@contextmanager
def serving(app: str, folder: Path, more: Mapping[str, str]) -> Iterator[Server]:
    """Serve ``app``, e.g. ``bench.apps:plain()``, from ``folder``, at a free port of the loopback.

    :param more: what is added to the environment.
    :raises RuntimeError: with the end of its log, if it does not answer.
    """
    log = folder / "gunicorn.log"
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("ab") as output:
        port: int = listener.getsockname()[1]
        process = _start(app, folder, listener, output, more)
        try:
            _wait_for_answer(process, port, log)
            yield Server(port, process.pid)
        finally:
            stop(process)


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with ``more`` in it, for a process that imports what is in the repository."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "platform"))), **more}


def ask(port: int, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Answer:
    """Return the answer to one request without a body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def _start(
    app: str, folder: Path, listener: socket.socket, output: Any, more: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    settings = {**shipped_settings(), "bind": [f"fd://{listener.fileno()}"], "wsgi_app": app, "loglevel": "warning"}
    (folder / "gunicorn.conf.py").write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()))
    return subprocess.Popen(
        [sys.executable, "-m", "gunicorn"],
        cwd=folder,
        env=environment(more),
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=[listener.fileno()],
        start_new_session=True,
    )


def _wait_for_answer(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    # The socket listens from the start, so a question waits in it until a worker is there to answer.
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        try:
            ask(port, "/")
            return
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
    end = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise RuntimeError(f"gunicorn did not answer within {PATIENCE:.0f} s. The end of its log:\n{end}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server that was started in a session of its own, if need be by force."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its own session, so its workers and nobody else's
        process.wait()
