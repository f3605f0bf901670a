"""``tenantry worker`` and gunicorn as real processes: what is asked for in the one is done in the other, whatever dies."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from test_outbox import Post
from test_outbox import silent as silent_server

from conftest import ROOT, Server, Worker, environ_without_tenantry, free_port, require_redis
from tenantry import Platform, mail

Write = Callable[[str, str], Path]
Serve, Work = Callable[..., Server], Callable[..., Worker]

BLUEPRINT = """
import sys, time
from pathlib import Path
from flask import Blueprint, request
from tenantry import current_tenant, jobs, mail

bp = Blueprint("post", __name__)

@jobs.job(backoff=0.1)
def note(text, seconds=0, until=""):
    with open("notes.txt", "a") as file:
        file.write(f"begin {current_tenant.slug} {text}\\n")
    time.sleep(seconds)
    while until and not Path(until).exists():
        time.sleep(0.02)
    with open("notes.txt", "a") as file:
        file.write(f"end {current_tenant.slug} {text}\\n")

@bp.post("/note")
def ask():
    note.enqueue(request.form["text"], seconds=float(request.form.get("seconds", 0)))
    return "asked"

@bp.post("/mail")
def send():
    for number in range(int(request.form.get("count", 1))):
        mail.send("ann@example.com", f"Number {number}", "tenantry/mail")
    return "sent"

@bp.get("/modules")
def modules():
    return "smtplib" if "smtplib" in sys.modules else "no smtplib"
"""
TOML = """
[platform]
blueprints = "{package}"
{platform}

[defaults.config]
{config}

[tenants.acme]
path = "/acme"

[tenants.globex]
path = "/globex"
"""
#: Pauses that no test could wait for.
HASTE = """
import tenantry.worker, tenantry.mail.outbox as outbox, tenantry.mail.servers as servers, tenantry.jobs.storages as kept
tenantry.worker.SWEEP_EVERY = 0.5
outbox.PAUSES = (0.3, 0.3, 0.3)
servers.FIRST_PAUSE = servers.LAST_PAUSE = 0.3
"""


@pytest.fixture
def folder(tmp_path: Path, write: Write, package: str) -> Path:
    write(f"{package}/post/__init__.py", BLUEPRINT)
    return configure(tmp_path)


def configure(folder: Path, platform: str = "", config: str = "") -> Path:
    (package,) = folder.glob("set_*")
    (folder / "tenants.toml").write_text(TOML.format(package=package.name, platform=platform, config=config))
    return folder


def by(post: Post, timeout: float = 10) -> str:
    return f'MAIL_SERVER = "127.0.0.1"\nMAIL_PORT = {post.port}\nMAIL_TIMEOUT = {timeout}\n'


@pytest.fixture
def post() -> Iterator[Post]:
    made = Post()
    yield made
    made.stop()


def wait_until(condition: Callable[[], bool], worker: Worker | None = None, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not come to pass\n{worker.output() if worker else ''}"
        time.sleep(0.03)


def ask(server: Server, target: str, **form: object) -> int:
    body = "&".join(f"{name}={value}" for name, value in form.items()).encode()
    head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    kind = "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    return int(server.raw((head + kind).encode() + body).split(b" ")[1])


def notes(folder: Path) -> list[str]:
    file = folder / "notes.txt"
    return file.read_text().splitlines() if file.exists() else []


def started(worker: Worker) -> bool:
    return "Tenantry's worker runs jobs" in worker.output()


@contextmanager
def inside(folder: Path, slug: str) -> Iterator[Any]:
    """Enter a tenant in this process, as one of gunicorn's would; give the module of the blueprint."""
    platform = Platform.from_file(folder / "tenants.toml")
    with platform.tenant(slug):
        yield import_module(platform.blueprints.modules()[-1])
    platform.queue.storage.close()
    platform.databases.close_idle()


def order(folder: Path, slug: str, text: str, seconds: float = 0, until: str = "") -> None:
    with inside(folder, slug) as blueprint:
        blueprint.note.enqueue(text, seconds=seconds, until=until)


def write_mails(folder: Path, slug: str, count: int) -> None:
    with inside(folder, slug):
        for number in range(count):
            mail.send("ann@example.com", f"Number {number}", "tenantry/mail")


def outbox_of(folder: Path, *slugs: str) -> dict[str, str]:
    """Return Message-ID and state of each mail of some tenants."""
    found = {}
    for slug in slugs:
        with closing(sqlite3.connect(folder / "var" / "tenants" / slug / "tenant.db")) as database:
            states = "CASE WHEN sent_at THEN 'sent' WHEN failed_at THEN 'failed' ELSE 'waiting' END"
            found |= dict(database.execute(f"SELECT message_id, {states} FROM tenantry_outbox"))
    return found


def all_sent(folder: Path, *slugs: str) -> bool:
    return set(outbox_of(folder, *slugs).values()) == {"sent"}


# Starting and stopping


def test_it_says_what_it_does_and_does_it(folder: Path, serve: Serve, work: Work) -> None:
    server, worker = serve(folder), work(folder)
    assert ask(server, "/acme/note", text="a") == ask(server, "/globex/note", text="b") == 200
    wait_until(lambda: len(notes(folder)) == 4, worker)
    assert sorted(notes(folder)) == ["begin acme a", "begin globex b", "end acme a", "end globex b"]
    assert worker.stop() == 0
    place = folder / "var" / "jobs.db"
    assert worker.output() == f"Tenantry's worker runs jobs and sends mails in 4 threads, from {place}.\n"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_it_lets_the_running_job_end(folder: Path, work: Work, signum: int) -> None:
    worker = work(folder)
    order(folder, "acme", "a", until="go-on")
    wait_until(lambda: notes(folder) == ["begin acme a"], worker)
    threading.Timer(0.5, (folder / "go-on").touch).start()
    assert worker.stop(signum) == 0
    assert "end acme a" in notes(folder)
    assert "Traceback" not in worker.output()


def test_a_job_that_does_not_end_is_left_and_runs_again(folder: Path, work: Work) -> None:
    short = "import tenantry.worker, tenantry.jobs.storages as kept\ntenantry.worker.GRACE = 0.2\nkept.LEASE = 1.5\n"
    worker = work(folder, prelude=short)
    order(folder, "acme", "long", until="go-on")
    wait_until(lambda: notes(folder) == ["begin acme long"], worker)
    assert worker.stop() == 0
    assert "A job has not ended within" in worker.output()
    assert notes(folder) == ["begin acme long"]
    (folder / "go-on").touch()
    second = work(folder)
    wait_until(lambda: notes(folder)[-1] == "end acme long", second)
    assert "A job whose worker ended while it ran runs again: 'set_" in second.output()


@pytest.mark.parametrize(
    ("toml", "environment", "says"),
    [
        ('[tenants.a]\npaht = "/a"\n', {}, "did you mean 'path'?"),
        ('[tenants.a]\npath = "/a"\n', {"TENANTRY_ENV": "testing"}, "jobs stay in the process that asks for them"),
        ('[platform]\nstate_dir = "tenants.toml/x"\n[tenants.a]\npath = "/a"\n', {}, "The state folder"),
        (None, {}, "tenants.toml"),
    ],
    ids=["mistake", "testing", "state folder", "no file"],
)
def test_it_refuses_to_start_in_a_paragraph(
    tmp_path: Path, toml: str | None, environment: dict[str, str], says: str
) -> None:
    if toml is not None:
        (tmp_path / "tenants.toml").write_text(toml)
    worker = Worker(tmp_path, **environment)
    assert worker.process.wait(20) in (1, 2)
    assert says in worker.output()
    assert "Traceback" not in worker.output()


def test_a_damaged_queue_is_told_in_a_paragraph(folder: Path) -> None:
    (folder / "var").mkdir()
    (folder / "var" / "jobs.db").write_bytes(b"no database" * 1000)
    worker = Worker(folder)
    assert worker.process.wait(20) == 1
    assert "jobs.db, cannot be used (file is not a database). Move it away if it is damaged" in worker.output()
    assert "Traceback" not in worker.output()


def test_a_broken_blueprint_takes_down_only_those_that_have_it(
    folder: Path, package: str, work: Work, write: Write
) -> None:
    configure(folder, config='[tenants.sound]\npath = "/sound"\nfeatures = ["post"]\n')
    order(folder, "sound", "a")
    order(folder, "acme", "waits")
    write(f"{package}/broken/__init__.py", "1 / 0")
    worker = work(folder)
    wait_until(lambda: notes(folder) == ["begin sound a", "end sound a"], worker)
    assert f"'{package}.broken' cannot be imported: ZeroDivisionError" in worker.output()


# Whatever dies


def test_a_job_whose_worker_was_killed_runs_again(folder: Path, work: Work) -> None:
    short = "import tenantry.jobs.storages as kept\nkept.LEASE = 1\n"
    first = work(folder, prelude=short)
    order(folder, "acme", "a", seconds=1)
    order(folder, "acme", "b")
    wait_until(lambda: "begin acme a" in notes(folder), first)
    first.kill()
    second = work(folder)
    wait_until(lambda: {"end acme a", "end acme b"} <= set(notes(folder)), second)


def test_it_survives_a_queue_that_is_busy(folder: Path, work: Work) -> None:
    impatient = "from tenantry.jobs.storages import FileJobs\nmake = FileJobs.__init__\n"
    impatient += "FileJobs.__init__ = lambda self, *args, **kwargs: make(self, *args, timeout=0.2, **kwargs)\n"
    worker = work(folder, prelude=impatient)
    order(folder, "acme", "a", until="go-on")
    wait_until(lambda: len(notes(folder)) == 1, worker)
    with sqlite3.connect(folder / "var" / "jobs.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("INSERT INTO task (queue, data) VALUES ('tenantry', x'7B')")
        wait_until(lambda: "The queue of jobs does not answer" in worker.output(), worker)
        (folder / "go-on").touch()
        other.execute("COMMIT")
    other.close()
    order(folder, "acme", "b")
    wait_until(lambda: len(notes(folder)) == 4, worker)
    assert "Traceback" not in worker.output()
    assert worker.process.poll() is None


def test_redis_may_go_and_come_back(folder: Path, serve: Serve, work: Work) -> None:
    require_redis()
    port = free_port()
    relay = Relay(port)
    configure(folder, platform=f'redis = "redis://127.0.0.1:{port}/15"')
    name = f"import tenantry.jobs.queue as queue\nqueue.NAME = 'worker{os.getpid()}'\n"
    (folder / "sitecustomize.py").write_text(name)  # gunicorn's and the worker's queue, apart from other tests'
    try:
        server, worker = serve(folder), work(folder)
        assert ask(server, "/acme/note", text="a") == 200
        wait_until(lambda: len(notes(folder)) == 2, worker)
        relay.stop()
        assert {ask(server, "/acme/note", text="lost") for _ in range(3)} == {200}
        wait_until(lambda: "could not be put on the queue" in server.output())
        wait_until(lambda: "The queue of jobs does not answer" in worker.output(), worker)
        relay.start()
        wait_until(lambda: "The queue of jobs answers again." in worker.output(), worker)
        assert ask(server, "/acme/note", text="b") == 200
        wait_until(lambda: notes(folder)[-1] == "end acme b", worker)
        assert worker.output().count("does not answer") <= 2  # the queue, and the caches
        assert "Traceback" not in worker.output() + server.output()
    finally:
        relay.stop()


class Relay:
    """A port in front of Redis, which a test can close."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.start()

    def start(self) -> None:
        code = (
            "import asyncio\n"
            "async def pump(reader, writer):\n"
            "    while data := await reader.read(65536):\n"
            "        writer.write(data)\n"
            "        await writer.drain()\n"
            "    writer.close()\n"
            "async def serve(reader, writer):\n"
            "    there = await asyncio.open_connection('127.0.0.1', 6379)\n"
            "    await asyncio.gather(pump(reader, there[1]), pump(there[0], writer), return_exceptions=True)\n"
            "async def main():\n"
            f"    await (await asyncio.start_server(serve, '127.0.0.1', {self.port})).serve_forever()\n"
            "asyncio.run(main())\n"
        )
        self.process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        wait_until(self.answers)

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


# The configuration changes


def test_a_tenant_that_is_added_while_it_runs_has_its_jobs_run(folder: Path, serve: Serve, work: Work) -> None:
    server, worker = serve(folder), work(folder)
    wait_until(lambda: started(worker), worker)
    with (folder / "tenants.toml").open("a") as file:
        file.write('\n[tenants.umbrella]\npath = "/umbrella"\n')
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: ask(server, "/umbrella/note", text="new") == 200)
    wait_until(lambda: "end umbrella new" in notes(folder), worker)
    assert "was dropped" not in worker.output()


def test_jobs_of_tenants_that_are_gone_are_dropped_and_told(folder: Path, package: str, work: Work) -> None:
    order(folder, "acme", "of one that is archived")
    order(folder, "globex", "of one that is made anew")
    for file in (folder / "var" / "tenants" / "globex").iterdir():
        if file.is_file():
            file.unlink()
    text = (folder / "tenants.toml").read_text().replace('path = "/acme"', 'path = "/acme"\nstatus = "archived"')
    (folder / "tenants.toml").write_text(text)
    order(folder, "globex", "of the new one")
    worker = work(folder)
    wait_until(lambda: worker.output().count("was dropped") == 2, worker)
    assert f"The job '{package}.post:note' of tenant 'acme' was dropped: the tenant is archived." in worker.output()
    assert "of tenant 'globex' was dropped: it was for an earlier tenant of that name." in worker.output()
    wait_until(lambda: notes(folder)[-1:] == ["end globex of the new one"], worker)
    assert len(notes(folder)) == 2


# Mails


def test_row_12_mails_wait_for_a_server_that_hangs_and_no_request_does(
    folder: Path, serve: Serve, work: Work, post: Post
) -> None:
    configure(folder, config=by(post, timeout=2))
    let_it_answer = silent_server(post.port)
    server, worker = serve(folder), work(folder, prelude=HASTE)
    assert [ask(server, f"/{slug}/mail", count=3) for slug in ("acme", "globex") * 5] == [200] * 10
    wait_until(lambda: "waits for" in worker.output(), worker)  # the worker has felt it
    assert [ask(server, f"/{slug}/mail") for slug in ("acme", "globex")] == [200] * 2
    assert {server.get("/acme/modules").text for _ in range(8)} == {"no smtplib"}
    kept = outbox_of(folder, "acme", "globex")
    assert list(kept.values()) == ["waiting"] * 32
    let_it_answer()
    post.start()
    wait_until(lambda: all_sent(folder, "acme", "globex"), worker)
    assert Counter(post.ids()) == Counter(list(kept))
    assert "Traceback" not in worker.output() + server.output()


def test_a_wake_up_that_was_lost_is_mended_at_the_start(folder: Path, work: Work, post: Post) -> None:
    configure(folder, config=by(post))
    post.start()
    write_mails(folder, "acme", 3)
    for file in (folder / "var").glob("jobs.db*"):
        file.unlink()
    worker = work(folder)
    wait_until(lambda: all_sent(folder, "acme"), worker)
    assert Counter(post.ids()) == Counter(list(outbox_of(folder, "acme")))


def test_two_workers_send_each_mail_once(folder: Path, work: Work, post: Post) -> None:
    configure(folder, config=by(post))
    post.start()
    workers = [work(folder), work(folder)]
    for worker in workers:
        wait_until(lambda worker=worker: "runs jobs" in worker.output(), worker)  # type: ignore[misc]
    for slug in ("acme", "globex") * 5:
        write_mails(folder, slug, 5)
    wait_until(lambda: all_sent(folder, "acme", "globex"), workers[0])
    assert len(post.got) == len(set(post.ids())) == 50
    assert [worker.stop() for worker in workers] == [0, 0]


def test_a_worker_that_is_killed_while_it_sends_loses_nothing(folder: Path, work: Work, post: Post) -> None:
    configure(folder, config=by(post))
    post.during_data = lambda: time.sleep(0.02)
    post.start()
    short = HASTE + "from datetime import timedelta\noutbox.CLAIM = timedelta(seconds=5)\nkept.LEASE = 5\n"
    write_mails(folder, "acme", 30)
    worker = work(folder, prelude=short)
    for number in (8, 16):
        wait_until(lambda number=number: len(post.got) >= number, worker)  # type: ignore[misc]
        worker.kill()
        worker = work(folder, prelude=short)
    wait_until(lambda: all_sent(folder, "acme"), worker)
    sent = Counter(post.ids())
    assert set(sent) == set(outbox_of(folder, "acme"))
    assert len(sent) == 30
    # One that a thread of a worker had when it was killed may come twice, as the same.
    assert sent.total() <= 30 + 2 * 4
    assert max(sent.values()) <= 3


def test_mails_are_shown_where_there_is_no_server(folder: Path, work: Work) -> None:
    write_mails(folder, "acme", 1)
    worker = work(folder)
    wait_until(lambda: "To: ann@example.com" in worker.output(), worker)
    assert "Subject: [acme] Number 0" in worker.output()
    assert len(list((folder / "var" / "mail" / "acme").glob("*.eml"))) == 1


# make serve


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_the_procfile_serves_and_works_and_leaves_nobody_behind(folder: Path, signum: int) -> None:
    port = free_port()
    for name in ("Procfile", "wsgi.py", "gunicorn.conf.py"):
        (folder / name).write_text((ROOT / name).read_text())
    recipe = (ROOT / "Makefile").read_text().split("\nserve:")[1].split("\n\n")[0]
    assert "exec $(BIN)/honcho --no-prefix start --port $(PORT)" in recipe
    assert "TENANTRY_PORT=$(PORT)" in recipe
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**environ_without_tenantry(), "PATH": path, "TENANTRY_PORT": str(port), "PYTHONUNBUFFERED": "1"}
    environment |= {"TENANTRY_ENV": "development", "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "honcho", "--no-prefix", "start", "--port", str(port)]
    log = folder / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: "Tenantry serves 2 tenants" in log.read_text() and "Tenantry's worker" in log.read_text())
        server = Server.__new__(Server)
        server.port = port
        assert ask(server, "/acme/mail") == 200
        wait_until(lambda: f"http://localhost:{port}/acme/" in log.read_text().partition("Mail of 'acme'")[2])
        assert not {name for name in map(name_of, living(folder)) if name.endswith("sh")}
    finally:
        process.send_signal(signum)
        process.wait(20)
    wait_until(lambda: not living(folder), seconds=10)
    assert "Traceback" not in log.read_text()


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:  # it has ended
        return ""


def living(folder: Path) -> list[int]:
    """Return the processes that run in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").resolve() == folder.resolve():
                found.append(int(entry.name))
        except OSError:
            continue
    return found
