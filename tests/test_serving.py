"""gunicorn around the platform: what it prints, and edits that go wrong while it serves."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT, Server, environ_without_tenantry, free_port, wait_until
from tenantry.pages import takes_problem

Serve = Callable[..., Server]


def test_the_addresses_are_printed_with_the_real_port(site: Path, serve: Serve) -> None:
    server = serve(site)
    wait_until(lambda: "Tenantry serves 3 tenants" in server.output())
    assert f"  Acme Corp    http://localhost:{server.port}/acme/" in server.output()
    assert (
        f"  Initech      http://initech.localhost:{server.port}/  http://localhost:{server.port}/initech/"
        in server.output()
    )


def test_the_first_look_in_development_and_nobody_in_production(site: Path, serve: Serve) -> None:
    development, production = serve(site, TENANTRY_ENV="development"), serve(site)
    first = development.get("/", f"localhost:{development.port}")
    assert first.status == 200
    for address in (f"http://localhost:{development.port}/acme/", f"http://initech.localhost:{development.port}/"):
        assert f'<a href="{address}">' in first.text
    nobody = production.get("/nobody/").comparable
    assert production.get("/").comparable == nobody
    assert development.get("/", "evil.example").comparable == nobody
    assert development.get("/nobody/").comparable == nobody


def test_in_development_a_503_says_why_and_in_production_it_does_not(site: Path, serve: Serve) -> None:
    text = (site / "tenants.toml").read_text().replace("tenants.initech.views:index", "tenants.initech.views:inde")
    (site / "tenants.toml").write_text(text)
    development, production = serve(site, TENANTRY_ENV="development"), serve(site)
    assert "did you mean &#x27;index&#x27;?" in development.get("/initech/").text
    answer = production.get("/initech/")
    assert answer.status == 503
    assert "inde" not in answer.text.replace("index", "")


def test_a_broken_edit_harms_nobody_whatever_workers_do_meanwhile(site: Path, serve: Serve) -> None:
    """A worker that dies, and a reload, while the file is broken: the last good configuration is served on."""
    server = serve(site)
    good = (site / "tenants.toml").read_text()
    (site / "tenants.toml").write_text(good[: len(good) // 2] + "\n[[[")
    server.kill_worker()
    server.reload()
    assert {server.get("/acme/").status for _ in range(20)} == {200}
    assert "not valid TOML" in server.output()
    assert "Traceback" not in server.output()

    (site / "tenants.toml").write_text(good + '\n[tenants.umbrella]\npath = "/umbrella"\n')
    server.reload()
    assert {server.get("/umbrella/").status for _ in range(6)} == {200}
    assert server.process.poll() is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('blueprints = "blueprints"', 'blueprints = "bluprints"', "there is no module 'bluprints'"),
        ("extensions = []", 'extensions = ["no.such:init"]', "there is no module 'no'"),
        ('"front", "sections", "accounts"', '"front", "sectoins"', "did you mean 'sections'?"),
        ('state_dir  = "var"', 'state_dir  = "wsgi.py/x"', "cannot be used, as"),
        ("include    = []", 'include    = ["tenants.d/../x"]', "leads out of the folder"),
    ],
    ids=["package", "extension", "feature", "state folder", "include"],
)
def test_an_edit_that_names_what_is_not_there_harms_nobody(
    site: Path, serve: Serve, old: str, new: str, says: str
) -> None:
    server = serve(site)
    file = site / "tenants.toml"
    good = file.read_text()
    assert old in good
    server.all_workers()
    file.write_text(good.replace(old, new))
    server.reload()
    assert {server.get(path).status for path in ("/acme/", "/globex/", "/initech/help/") for _ in range(4)} == {200}
    assert says in server.output()
    assert "Traceback" not in server.output()


def test_a_tenant_that_was_broken_before_keeps_nobody_from_editing_the_others(site: Path, serve: Serve) -> None:
    (site / "tenants" / "initech" / "templates" / "sections" / "index.html").write_text("{% if %}")
    server = serve(site)
    assert server.get("/initech/").status == 503
    with (site / "tenants.toml").open("a") as file:
        file.write('\n[tenants.umbrella]\npath = "/umbrella"\n')
    server.reload()
    assert {server.get("/umbrella/").status for _ in range(6)} == {200}
    text = (site / "tenants.toml").read_text()
    (site / "tenants.toml").write_text(text + 'overrides = { "front.indx" = "json:loads" }\n')
    os.kill(server.process.pid, signal.SIGHUP)
    wait_until(lambda: "did you mean 'front.index'?" in server.output())
    assert {server.get("/umbrella/").status for _ in range(8)} == {200}


def test_a_reload_brings_edits_of_code_too(site: Path, serve: Serve) -> None:
    """The master must not have imported what its workers are to import anew."""
    server = serve(site)
    assert "Is this good for the company?" in server.get("/initech/").text
    view = site / "tenants" / "initech" / "views.py"
    view.write_text("def index():\n    return 'edited'\n")
    with (site / "tenants.toml").open("a") as file:
        file.write('\n[tenants.umbrella]\npath = "/umbrella"\n')
    server.reload()
    assert {server.get("/umbrella/").status for _ in range(6)} == {200}
    assert {server.get("/initech/").text for _ in range(8)} == {"edited"}


def test_the_last_good_one_is_the_last_and_not_the_first(site: Path, serve: Serve) -> None:
    server = serve(site)
    file = site / "tenants.toml"
    second = file.read_text() + '\n[tenants.umbrella]\npath = "/umbrella"\n'
    file.write_text(second)
    server.reload()
    assert {server.get("/umbrella/").status for _ in range(6)} == {200}
    file.write_text("[[[")
    server.reload()
    assert "The configuration of before goes on being served" in server.output()
    server.kill_worker()
    assert {server.get("/umbrella/").status for _ in range(8)} == {200}


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "import os, sys; sys.exit(4)"])
def test_a_view_that_exits_ends_its_request_and_nothing_else(site: Path, serve: Serve, code: str) -> None:
    (site / "tenants" / "initech" / "views.py").write_text(f"def index():\n    {code}\n")
    server = serve(site)
    before = server.all_workers()
    assert {server.get("/initech/").status for _ in range(4)} == {500}
    assert server.get("/acme/").status == 200
    assert server.workers() == before


def test_a_tenant_whose_lock_is_held_does_not_stall_the_others_for_long(site: Path, serve: Serve) -> None:
    import fcntl
    from concurrent.futures import ThreadPoolExecutor

    state = site / "var" / "tenants" / "globex"
    state.mkdir(parents=True)
    with (state / "lock").open("w") as held, ThreadPoolExecutor(12) as pool:
        fcntl.flock(held, fcntl.LOCK_EX)
        server = serve(site)
        waiting = [pool.submit(server.get, "/globex/") for _ in range(12)]
        answers = [future.result() for future in waiting]
        assert {answer.status for answer in answers} == {503}
        assert server.get("/acme/").status == 200
    wait_until(lambda: server.get("/globex/").status == 200)


def test_14_a_body_that_is_framed_wrongly_is_400(site: Path, serve: Serve) -> None:
    blueprint = site / "reads" / "body" / "__init__.py"
    blueprint.parent.mkdir(parents=True)
    (site / "reads" / "__init__.py").write_text("")
    blueprint.write_text(
        "from flask import Blueprint, request\nbp = Blueprint('body', __name__)\n"
        "@bp.post('/')\ndef read():\n    return str(len(request.get_data()))\n"
    )
    (site / "tenants.toml").write_text('[platform]\nblueprints = "reads"\n[tenants.acme]\npath = "/acme"\n')
    server = serve(site)
    assert server.get("/acme/").status == 405, "its database is there from now on"
    head = b"POST /acme/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    for body in (b"0x0\r\n\r\n", b"+0\r\n\r\n", b"0_0\r\n\r\n", b"5\r\nhelloX\r\n0\r\n\r\n"):
        wire = server.raw(head + body)
        assert wire.startswith(b"HTTP/1.1 400 "), (body, wire[:60])
        assert wire.count(b"HTTP/1.1 ") == 1
    closing = head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert server.raw(closing + b"5\r\nhello\r\n0\r\n\r\n").endswith(b"5")


def test_a_damaged_key_ring_takes_no_worker_down(site: Path, serve: Serve) -> None:
    server = serve(site)
    server.all_workers()
    (site / "var" / "keys.json").write_text("{")
    server.kill_worker()
    os.kill(server.process.pid, signal.SIGHUP)
    wait_until(lambda: "The configuration of before goes on being served" in server.output())
    assert {server.get("/acme/").status for _ in range(12)} == {200}
    assert server.process.poll() is None


def other_blueprints(site: Path, source: str) -> None:
    """Let the file name a package of one blueprint, which does something when it is imported."""
    (site / "other" / "own").mkdir(parents=True)
    (site / "other" / "__init__.py").write_text("")
    (site / "other" / "own" / "__init__.py").write_text(
        f"{source}\nfrom flask import Blueprint\nbp = Blueprint('own', __name__)\n"
        "bp.add_url_rule('/', 'index', lambda: 'own')\n"
    )
    text = '[platform]\nblueprints = "other"\n'
    for slug in ("acme", "globex", "initech"):
        text += f'[tenants.{slug}]\ntitle = "{slug}"\npath = "/{slug}"\n'
    (site / "tenants.toml").write_text(text)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import os; os._exit(0)", "that ended the process, as if something in it exits"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
    ],
)
def test_a_blueprint_that_ends_the_check_does_not_end_the_master(
    site: Path, serve: Serve, source: str, told: str
) -> None:
    server = serve(site)
    other_blueprints(site, source)
    os.kill(server.process.pid, signal.SIGHUP)
    wait_until(lambda: told in server.output() and "goes on being served" in server.output())
    assert "<title>Acme" in server.get("/acme/").text
    assert server.process.poll() is None


def test_a_blueprint_that_garbles_what_the_check_says_is_served(site: Path, serve: Serve) -> None:
    server = serve(site)
    server.all_workers()
    other_blueprints(site, "import sys; sys.stdout.buffer.write(b'\\xff'); sys.stderr.buffer.write(b'\\xff')")
    server.reload()
    assert server.get("/acme/").text == "own"


def test_a_fourth_tenant_and_a_restart(site: Path, serve: Serve) -> None:
    first = serve(site)
    assert first.get("/umbrella/").status == 404
    first.stop()
    with (site / "tenants.toml").open("a") as file:
        file.write('\n[tenants.umbrella]\ntitle = "Umbrella"\npath  = "/umbrella"\ncolor = "#c62828"\n')
    assert "<title>Umbrella</title>" in serve(site).get("/umbrella/").text


@pytest.mark.parametrize(
    ("status", "get", "post"),
    [
        ("active", 200, 405),
        ("read-only", 200, 503),
        ("maintenance", 503, 503),
        ("suspended", 403, 403),
        ("archived", 404, 404),
    ],
)
def test_the_state_of_a_tenant(site: Path, serve: Serve, status: str, get: int, post: int) -> None:
    text = (site / "tenants.toml").read_text().replace('path  = "/acme"', f'path  = "/acme"\nstatus = "{status}"')
    (site / "tenants.toml").write_text(text)
    server = serve(site, workers=1)
    answer = server.get("/acme/")
    assert (answer.status, server.get("/acme/", "localhost", "Content-Length: 0", method="POST").status) == (get, post)
    assert bool(answer.header("Retry-After")) is (get == 503)
    problem = server.get("/acme/api/v1.0/tasks", "localhost", "Content-Length: 0", method="POST")
    if status not in ("active", "archived"):
        assert problem.header("Content-Type") == ["application/problem+json"]
        assert (json.loads(problem.text)["status"], bool(json.loads(problem.text)["detail"])) == (post, True)
    if status == "archived":
        assert answer.comparable == server.get("/nobody/").comparable
    assert server.get("/globex/").status == 200


@pytest.mark.parametrize(
    ("accept", "pages_of", "api_of"),
    [
        ("", False, True),
        ("*/*", False, True),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False, False),
        ("application/json", True, True),
        ("application/problem+json", True, True),
        ("application/json, text/html;q=0.1", True, True),
        ("text/html, application/json;q=0.1", False, False),
        ("text/html;q=0, */*", True, True),
        ("image/png", False, True),
        ("garbage, ;q=x", False, True),
    ],
)
def test_who_takes_an_error_as_a_problem(accept: str, pages_of: bool, api_of: bool) -> None:
    """The same at the platform and in the apps: both ask this."""
    assert (takes_problem(accept, False), takes_problem(accept, True)) == (pages_of, api_of)


def test_the_access_log_names_the_tenant(site: Path, serve: Serve) -> None:
    server = serve(site, ACCESS_LOG="1")
    server.get("/globex/help/")
    server.get("/nobody/")
    wait_until(lambda: "nobody" in server.output())
    assert re.search(r'127\.0\.0\.1 globex "GET /globex/help/ HTTP/1.1" 200', server.output())
    assert re.search(r'127\.0\.0\.1 - "GET /nobody/ HTTP/1.1" 404', server.output())


def test_row_36_a_rotation_reaches_running_workers_and_logs_nobody_out(site: Path, serve: Serve) -> None:
    from tenantry.keys import HEAD_START, KeyRing

    views = site / "tenants" / "acme" / "views.py"
    views.parent.mkdir()
    views.write_text(
        "from flask import request, session\n"
        "def index():\n"
        "    if 'name' in request.args:\n"
        "        session['name'] = request.args['name']\n"
        "    return session.get('name', 'anonymous')\n"
    )
    text = (site / "tenants.toml").read_text()
    text = text.replace(
        'path  = "/acme"', 'path  = "/acme"\noverrides = { "front.index" = "tenants.acme.views:index" }'
    )
    (site / "tenants.toml").write_text(text)
    server = serve(site)

    def log_in(name: str) -> str:
        return server.get(f"/acme/?name={name}").header("Set-Cookie")[0].partition(";")[0]

    def who(cookie: str) -> set[str]:
        return {server.get("/acme/", "localhost", f"Cookie: {cookie}").text for _ in range(12)}

    old = log_in("ann")
    assert who(old) == {"ann"}
    KeyRing(site / "var" / "keys.json").rotate()
    assert who(old) == {"ann"}
    assert who(log_in("bob")) == {"bob"}
    time.sleep(HEAD_START + 1.1)
    assert who(old) == {"ann"}
    assert who(log_in("cyd")) == {"cyd"}
    KeyRing(site / "var" / "keys.json").rotate(verify_days=0)
    wait_until(lambda: who(old) == {"anonymous"}, 15)


def test_open_databases_get_the_open_files_that_they_need(site: Path, serve: Serve) -> None:
    text = (site / "tenants.toml").read_text()
    (site / "tenants.toml").write_text(text.replace("[platform]", "[platform]\nopen_databases = 600", 1))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = len(os.listdir("/proc/self/fd")) + 300
    assert few < 3000
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))  # inherited by what is started now
    try:
        server = serve(site)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for worker in (server.process.pid, *server.all_workers()):
        limits = Path(f"/proc/{worker}/limits").read_text()
        assert re.search(r"Max open files +3000 ", limits), limits


def test_open_databases_that_the_system_does_not_allow_are_told(site: Path) -> None:
    text = (site / "tenants.toml").read_text()
    (site / "tenants.toml").write_text(text.replace("[platform]", "[platform]\nopen_databases = 600", 1))
    (site / "wsgi.py").write_text((ROOT / "wsgi.py").read_text())
    command = f"ulimit -n 1500; exec {sys.executable} -m gunicorn -c {ROOT / 'gunicorn.conf.py'} wsgi:application"
    environment = {**environ_without_tenantry(), "PORT": str(free_port())}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "platform"), str(site), str(ROOT)])
    done = subprocess.run(["sh", "-c", command], cwd=site, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "open_databases = 600 needs 2000 open files, and the system allows 1500." in done.stderr
    assert "lower [platform] open_databases to 433" in done.stderr
    assert "Traceback" not in done.stderr
