"""What an operator may do wrong: one paragraph, the place, the remedy, status 1 or 2, and no traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT, Server, environ_without_tenantry, free_port
from tenantry.errors import StateError
from tenantry.files import make_private_folder

Write = Callable[[str, str], Path]
GOOD = '[tenants.acme]\npath = "/acme"\n[tenants.globex]\npath = "/globex"\n'


def gunicorn(folder: Path, port: int | None = None) -> subprocess.CompletedProcess[str]:
    (folder / "wsgi.py").write_text((ROOT / "wsgi.py").read_text())
    environment = {
        **environ_without_tenantry(),
        "PORT": str(port or free_port()),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(folder), str(ROOT)]),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "wsgi:application"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param("", "tenants.toml: tenants: no tenant stands here; expected at least one table", id="empty"),
        pytest.param("[tenants.acme\n", "tenants.toml:1: not valid TOML: Expected ']'", id="broken"),
        pytest.param(
            '[tenants.acme]\npth = "/a"',
            "tenants.toml:2: tenants.acme.pth: unknown key; did you mean 'path'?",
            id="typo",
        ),
        pytest.param(None, "tenants.toml cannot be read (No such file or directory)", id="missing"),
        pytest.param(
            '[platform]\nstate_dir = "taken/var"\n' + GOOD,
            "cannot be written to (File exists). Give it to the user that runs Tenantry, or name another folder",
            id="state folder",
        ),
    ],
)
def test_gunicorn_stops_with_a_paragraph(tmp_path: Path, content: str | None, says: str) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    if content is not None:
        (tmp_path / "tenants.toml").write_text(content)
    done = gunicorn(tmp_path)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "Booting worker" not in done.stderr


def test_a_state_folder_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run as root, who may write anywhere, so the answer of the system is put in its mouth."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(StateError, match=r"state folder .*var cannot be written to \(Permission denied\)"):
        make_private_folder(tmp_path / "var")


def test_a_port_in_use(tmp_path: Path) -> None:
    (tmp_path / "tenants.toml").write_text(GOOD)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = gunicorn(tmp_path, port)
    assert done.returncode == 1
    assert f"Port {port} of 127.0.0.1 is in use by another program." in done.stderr
    assert f"make serve PORT={port + 1}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_key_ring(tmp_path: Path) -> None:
    (tmp_path / "tenants.toml").write_text(GOOD)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "keys.json").write_text("{")
    done = gunicorn(tmp_path)
    assert done.returncode == 1
    assert "cannot be used (is not a key ring" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_sound_tenants_serve_while_others_are_broken(
    tmp_path: Path, write: Write, package: str, serve: Callable[..., Server]
) -> None:
    """A blueprint that raises, an override of nothing, a bad template, a database of garbage; and two that are well."""
    write(
        f"{package}/fine/__init__.py",
        "from flask import Blueprint\nbp = Blueprint('fine', __name__)\nbp.add_url_rule('/', 'index', lambda: 'fine')\n",
    )
    write(f"{package}/broken/__init__.py", "raise ValueError('secret-of-the-inside')\n")
    write("tenants/template/templates/x.html", "{% if %}")
    write("var/tenants/database/tenant.db", "garbage " * 1000)
    write(
        "tenants.toml",
        f"""
        [platform]
        blueprints = "{package}"
        [defaults]
        features = ["fine"]
        [tenants.acme]
        path = "/acme"
        [tenants.blueprint]
        path = "/blueprint"
        features = ["fine", "broken"]
        [tenants.override]
        path = "/override"
        overrides = {{ "fine.indx" = "json:loads" }}
        [tenants.template]
        path = "/template"
        [tenants.database]
        path = "/database"
        [tenants.globex]
        hosts = ["globex.localhost"]
        """,
    )
    server = serve(tmp_path)
    for _ in range(3):
        assert server.get("/acme/").text == "fine"
        assert server.get("/", "globex.localhost").text == "fine"
        for slug in ("blueprint", "override", "template", "database"):
            answer = server.get(f"/{slug}/")
            assert answer.status == 503
            assert int(answer.header("Retry-After")[0]) >= 1
            assert b"secret" not in answer.wire
            assert str(tmp_path).encode() not in answer.wire
    log = server.output()
    assert "Traceback" not in log
    assert "Tenant 'blueprint' cannot be served:" in log
    assert "secret-of-the-inside" in log
    assert "did you mean 'fine.index'?" in log
    assert "x.html, line 1, is not valid" in log
    assert "file is not a database" in log
