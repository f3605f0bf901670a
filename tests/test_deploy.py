"""Behind nginx, as deploy/nginx.conf has it: the same promises, with two readers of every request."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT, Answer, Server, free_port, read_all

CANARIES = {"acme": b"Acme Corp", "globex": b"Globex GmbH", "initech": b"Initech"}


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an nginx in front of a gunicorn; its configuration is the shipped one, but for names and ports."""
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        assert not os.environ.get("CI"), "nginx is not installed, and CI needs it: apt-get install nginx-light"
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "tenants", folder / "tenants", ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "tenants.toml").read_text()
    text = text.replace("trusted_proxies = 0", "trusted_proxies = 1").replace('= "http" ', '= "https" ')
    (folder / "tenants.toml").write_text(text)
    server, port = Server(folder), free_port()
    site = (ROOT / "deploy" / "nginx.conf").read_text()
    site = site.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}").replace("listen 80;", f"listen 127.0.0.1:{port};")
    site = site.replace("app.example.com initech.example.com", "_")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"pid {folder}/nginx.pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{site}\n}}\n"
    )
    process = subprocess.Popen([program, "-c", str(config), "-p", str(folder), "-g", "daemon off;"])
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)
        server.stop()


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("nginx did not start")


def ask(port: int, target: str, host: str = "localhost", *headers: str) -> Answer:
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", *headers, "Connection: close", "", ""]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1"))
        return Answer(read_all(connection))


@pytest.mark.parametrize(
    ("target", "host", "slug"),
    [("/acme/", "localhost", "acme"), ("/globex/", "localhost", "globex"), ("/", "initech.localhost", "initech")],
)
def test_the_doors_answer(nginx: int, target: str, host: str, slug: str) -> None:
    answer = ask(nginx, target, host)
    assert answer.status == 200
    assert CANARIES[slug] in answer.body
    assert answer.header("Strict-Transport-Security")


@pytest.mark.parametrize(
    "target",
    [
        "/acme/../globex/",
        "/acme/./",
        "/acme/%2e%2e/globex/",
        "/acme/..;/globex/",
        "/acme%2f..%2fglobex/",
        "/acme%2fhelp/",
        "//acme/",
        "/%2facme/",
        "/acme//help",
        "/acme%00/",
        "/acme\\/",
        "/acme/-/static/..%2f..%2ftenants.toml",
    ],
)
def test_rows_2_to_7_and_28_are_refused(nginx: int, target: str) -> None:
    answer = ask(nginx, target)
    assert answer.status in (400, 404)
    assert not any(canary in answer.wire for canary in CANARIES.values())
    assert not any(location.startswith("//") for location in answer.header("Location"))


@pytest.mark.parametrize("target", ["/acmex/", "/ACME/", "/acme;x/", "/acme%252f", "/acme%ff/", "/" + "a/" * 1500])
def test_rows_1_and_6_to_8_are_nobody(nginx: int, target: str) -> None:
    assert ask(nginx, target).comparable == ask(nginx, "/nobody/").comparable


@pytest.mark.parametrize("host", ["evil.example", "evilinitech.localhost"])
def test_row_13_an_unknown_host_is_nobody(nginx: int, host: str) -> None:
    assert ask(nginx, "/acme/", host).comparable == ask(nginx, "/nobody/").comparable


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-Host: initech.localhost",
        "X-Forwarded-Prefix: /globex",
        "X-Forwarded-Proto: http",
        "X-Original-URL: /globex/",
    ],
)
def test_row_11_what_a_visitor_forwards_is_lost(nginx: int, header: str) -> None:
    answer = ask(nginx, "/acme/help", "localhost", header)
    assert answer.header("Location") == ["https://localhost/acme/help/"]


def test_row_9_absolute_form(nginx: int) -> None:
    assert ask(nginx, "http://initech.localhost/acme/help/", "localhost").status == 400
    assert ask(nginx, "http://localhost/acme/help/", "initech.localhost").status == 400
    assert ask(nginx, "http://localhost/acme/help/", "LOCALHOST:80").status == 200


def test_the_service_starts_what_the_readme_says() -> None:
    unit = (ROOT / "deploy" / "tenantry.service").read_text()
    assert ".venv/bin/gunicorn wsgi:application" in unit
    assert Path(ROOT / "Procfile").read_text() == "web: exec gunicorn wsgi:application\nworker: exec tenantry worker\n"
    assert ".venv/bin/tenantry worker" in (ROOT / "deploy" / "tenantry-worker.service").read_text()
