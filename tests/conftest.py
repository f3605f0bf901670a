"""What the tests share: the fixtures that blueprint authors have, and real gunicorn processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path

import hypothesis
import pytest

from tenantry.generations import Generations
from tenantry.presence import reports
from tenantry.registry import Registry, Settings

pytest_plugins = ["tenantry.testing", "pytester"]

ROOT = Path(__file__).parent.parent


#: The files that take longest, which are begun first, so that no process is left alone with one at the end.
LONGEST = """
reload serving states schemathesis life migrate first_day restore worker board life_killed trial attacks_on_accounts
faults sections operators_day api backup cli accounts warmth blueprints provisioning sharing testing
"""

# Whoever starts the tests in the background of a script ignores Ctrl-C, and would let all that they start ignore it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A machine that is busy makes an example slow, which says nothing of the code.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {f"test_{name}": number for number, name in enumerate(LONGEST.split())}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for what another process is about to do, and fail where it does not come to pass."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


class Server:
    """A real gunicorn, serving a folder with a tenants.toml, on a free port of loopback.

    :param prelude: Python that each worker runs first, as to allow more than anybody would want to.
    """

    def __init__(self, folder: Path, workers: int = 2, threads: int = 8, prelude: str = "", **environment: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.count = workers
        self.log = folder / "gunicorn.log"
        (folder / "wsgi.py").write_text(f"{prelude}\n{(ROOT / 'wsgi.py').read_text()}")
        log = self.log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "wsgi:application"],
            cwd=folder,
            env={
                **environ_without_tenantry(),
                "PORT": str(self.port),
                "WEB_CONCURRENCY": str(workers),
                "WEB_THREADS": str(threads),
                "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(folder), str(ROOT)]),
                **environment,
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        log.close()
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"gunicorn did not start:\n{self.output()}")

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def workers(self) -> list[int]:
        """Return the processes that serve, those of before a reload too while they end."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"gunicorn" in _command_line(pid)]  # and not one that tries an edit

    def all_workers(self) -> list[int]:
        """Wait until as many serve as are wanted, and return them."""
        wait_until(lambda: len(self.workers()) == self.count)
        return self.workers()

    def reload(self) -> None:
        """Let all workers be replaced, and wait until only the new ones are there.

        Asking for what an edit brings would not do, as workers of before take that up, too.
        """
        before = self.all_workers()
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not set(before) & set(self.all_workers()))

    def kill_worker(self) -> None:
        """Kill a worker, and wait until another is there instead."""
        victim = self.all_workers()[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in self.all_workers())

    def agree(self, status: str = "active", slug: str = "") -> None:
        """Wait until every worker has what is in force: that one answers anew does not say that all do.

        :param slug: a tenant, which has to be of that status in what is in force.
        """
        file, state = self.folder / "tenants.toml", self.folder / "var"

        def have_it() -> bool:
            generations = Generations(state, file)
            current = generations.current()
            has = [
                report.generation for report in reports(Settings(file=file, state_dir=state)) if report.kind == "web"
            ]
            if current is None or has != [current.number] * self.count:
                return False
            return not slug or Registry.load(generations.sources(current.number))[slug].status == status

        wait_until(have_it)

    def raw(self, request: bytes, timeout: float = 30) -> bytes:
        """Send bytes as they are, and return all that comes back until the server closes or falls silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(request)
            return read_all(connection)

    def get(self, target: str, host: str = "localhost", *headers: str, method: str = "GET") -> Answer:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers, "Connection: close", "", ""]
        return Answer(self.raw("\r\n".join(lines).encode("latin-1")))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Worker:
    """A real ``tenantry worker``, for a folder with a tenants.toml.

    :param prelude: Python that it runs first, as to make its pauses shorter than anybody would want them.
    """

    def __init__(self, folder: Path, threads: int = 4, prelude: str = "", **environment: str) -> None:
        start = f"{prelude}\nfrom tenantry.cli import main\nmain(prog_name='tenantry')"
        self.log = folder / f"worker-{os.urandom(4).hex()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", start, "worker", "--threads", str(threads)],
                cwd=folder,
                env={
                    **environ_without_tenantry(),
                    "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(folder), str(ROOT)]),
                    "PYTHONUNBUFFERED": "1",
                    **environment,
                },
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, signum: int = signal.SIGTERM) -> int:
        self.process.send_signal(signum)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def _command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


class Load:
    """Visitors of a server, for as long as a block lasts. The errors are counted here, where they are felt.

    :param targets: what they ask for, in turn.
    :ivar answers: how often each status came; 0 is a connection that broke.
    :ivar wrong: what was not answered 200, as target and status.
    """

    def __init__(self, server: Server, *targets: str, visitors: int = 4) -> None:
        self.server = server
        self.answers: Counter[int] = Counter()
        self.wrong: list[tuple[str, int]] = []
        self._stop = threading.Event()
        self._targets = cycle(targets)
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._visit) for _ in range(visitors)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _visit(self) -> None:
        while not self._stop.wait(0.02):  # or the visitors would have the machine to themselves
            with self._lock:
                target = next(self._targets)
            try:
                status = self.server.get(target).status
            except OSError:
                status = 0
            with self._lock:
                self.answers[status] += 1
                if status != 200:
                    self.wrong.append((target, status))


class Answer:
    """One HTTP response, as it came over the wire."""

    def __init__(self, wire: bytes) -> None:
        self.wire = wire
        head, _, self.body = wire.partition(b"\r\n\r\n")
        self.lines = head.decode("latin-1").split("\r\n")
        self.status = int(self.lines[0].split(" ")[1]) if wire else 0

    def header(self, name: str) -> list[str]:
        found = (line.partition(":") for line in self.lines[1:])
        return [value.strip() for key, _, value in found if key.lower() == name.lower()]

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def comparable(self) -> tuple[str, list[str], bytes]:
        """The answer without what differs from one moment to the next."""
        return self.lines[0], [line for line in self.lines[1:] if not line.startswith("Date:")], self.body


def read_all(connection: socket.socket) -> bytes:
    chunks = []
    try:
        while chunk := connection.recv(65536):
            chunks.append(chunk)
    except TimeoutError:
        pass
    except ConnectionResetError:
        pass
    return b"".join(chunks)


#: Ports of this process, below those that the kernel gives to whoever asks for any, as other processes do meanwhile.
_PORTS = cycle(20_000 + os.getpid() % 120 * 100 + number for number in range(100))


def free_port() -> int:
    """Return a port at which nobody listens, and that no other process of the tests is told meanwhile."""
    for port in islice(_PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("all of this process's ports are in use")


def environ_without_tenantry() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("TENANTRY_", "FLASK_", "PORT"))}


def require_redis() -> None:
    """Skip where no Redis answers at its usual place; fail where one has to, as the variable CI says."""
    if reason := _why_no_redis():
        assert not os.environ.get("CI"), f"CI needs a Redis at 127.0.0.1:6379: {reason}"
        pytest.skip(f"no Redis answers at 127.0.0.1:6379: {reason}")


def _why_no_redis() -> str:
    try:
        from redis import Redis, RedisError
    except ImportError as error:
        return str(error)
    try:
        with Redis(socket_connect_timeout=1) as client:
            client.ping()
    except RedisError as error:
        return str(error)
    return ""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on what the one who runs it has set."""
    for name in ("TENANTRY_ENV", "TENANTRY_CONFIG", "TENANTRY_SECRET_KEYS", "FLASK_DEBUG", "PORT", "TENANTRY_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a text file into the temporary folder, dedented, and return its path."""

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write_file


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a package of blueprints that only this test has, in the temporary folder, beside modules named after it."""
    name = "set_" + "".join(c if c.isalnum() else "_" for c in request.node.name)[:60]
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    for module in [m for m in sys.modules if m.startswith(name)]:
        del sys.modules[module]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A copy of the shipped site: its file and its tenants' folders, with a state folder of its own."""
    shutil.copy(ROOT / "tenants.toml", tmp_path)
    shutil.copytree(ROOT / "tenants", tmp_path / "tenants", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start gunicorns, and stop them after the test."""
    servers: list[Server] = []

    def start(folder: Path, **options: object) -> Server:
        servers.append(Server(folder, **options))  # type: ignore[arg-type]
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def work() -> Iterator[Callable[..., Worker]]:
    """Start workers, and stop them after the test."""
    workers: list[Worker] = []

    def start(folder: Path, **options: object) -> Worker:
        workers.append(Worker(folder, **options))  # type: ignore[arg-type]
        return workers[-1]

    yield start
    for worker in workers:
        if worker.process.poll() is None:
            worker.stop()
