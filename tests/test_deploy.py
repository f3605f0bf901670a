"""Behind nginx and Caddy, as deploy/ has them: the same promises, with two readers of every request."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import ROOT, Answer, Server, free_port, read_all
from tenantry.asking import PATH

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
    raise AssertionError("the proxy did not start")


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


@dataclass
class Caddy:
    """A Caddy in front of a gunicorn, with certificates by an authority of its own."""

    folder: Path
    server: Server
    https: int
    http: int

    def certificate(self, name: str) -> bool:
        """Whether a visitor who comes by a name is shown a certificate for it."""
        with suppress(ssl.SSLError), self.connect(name):
            return True
        return False

    def connect(self, name: str) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=self.folder / "storage/pki/authorities/local/root.crt")
        connection = socket.create_connection(("127.0.0.1", self.https), timeout=10)
        try:
            return context.wrap_socket(connection, server_hostname=name)
        except ssl.SSLError:
            connection.close()
            raise

    def ask(self, target: str, name: str, *headers: str) -> Answer:
        lines = [f"GET {target} HTTP/1.1", f"Host: {name}", *headers, "Connection: close", "", ""]
        with self.connect(name) as connection:
            connection.sendall("\r\n".join(lines).encode())
            return Answer(read_all(connection))


@pytest.fixture(scope="module")
def caddy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caddy]:
    """Its configuration is the shipped one, but for ports, and an authority that needs no network."""
    program = shutil.which("caddy")
    if program is None:
        pytest.skip("Caddy is not installed: apt-get install caddy")
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "tenants", folder / "tenants", ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "tenants.toml").read_text()
    text = text.replace("trusted_proxies = 0", "trusted_proxies = 1").replace('= "http" ', '= "https" ')
    text = re.sub(r"^hosts +=.*", 'hosts = ["app.localhost", "localhost"]', text, count=1, flags=re.M)
    (folder / "tenants.toml").write_text(text + '[tenants.gone]\nhosts = ["gone.localhost"]\nstatus = "archived"\n')
    server = Server(folder)
    found = Caddy(folder, server, free_port(), free_port())
    ours = f"""
    admin off
    skip_install_trust
    local_certs
    storage file_system {folder}/storage
    https_port {found.https}
    http_port {found.http}
    """
    site = (ROOT / "deploy" / "Caddyfile").read_text().replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
    (folder / "Caddyfile").write_text(site.replace("\n{\n", "\n{\n" + ours, 1))
    with (folder / "caddy.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"],
            env={**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(found.https)
        yield found
    finally:
        process.terminate()
        process.wait(15)
        server.stop()


def test_the_caddyfile_is_valid_as_it_is_shipped(caddy: Caddy) -> None:
    command = ["caddy", "validate", "--config", str(ROOT / "deploy" / "Caddyfile"), "--adapter", "caddyfile"]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HOME": str(caddy.folder)})
    assert result.returncode == 0, result.stderr


def test_caddy_gets_certificates_for_our_names_and_no_other(caddy: Caddy) -> None:
    assert caddy.certificate("initech.localhost")
    assert caddy.certificate("app.localhost")
    for name in ("evil.example", "gone.localhost", "localhost", "x.initech.localhost", "new.localhost"):
        assert not caddy.certificate(name), name
    made = {each.name for each in (caddy.folder / "storage/certificates/local").iterdir()}
    assert made == {"initech.localhost", "app.localhost"}


def test_behind_caddy_the_doors_answer(caddy: Caddy) -> None:
    for target, name, slug in [("/acme/", "app.localhost", "acme"), ("/", "initech.localhost", "initech")]:
        answer = caddy.ask(target, name)
        assert (answer.status, CANARIES[slug] in answer.body) == (200, True)
        assert answer.header("Strict-Transport-Security")
        assert not answer.header("Server")
    with socket.create_connection(("127.0.0.1", caddy.http), timeout=10) as connection:
        connection.sendall(b"GET /help/ HTTP/1.1\r\nHost: initech.localhost\r\nConnection: close\r\n\r\n")
        answer = Answer(read_all(connection))
    assert answer.status in (301, 308)
    assert answer.header("Location")[0].startswith("https://initech.localhost")


@pytest.mark.parametrize(
    "header", ["X-Forwarded-Host: initech.localhost", "X-Forwarded-Prefix: /globex", "X-Original-URL: /globex/"]
)
def test_behind_caddy_row_11_what_a_visitor_forwards_is_lost(caddy: Caddy, header: str) -> None:
    assert caddy.ask("/acme/help", "app.localhost", header).header("Location") == ["https://app.localhost/acme/help/"]


@pytest.mark.parametrize("target", ["/acme/../globex/", "/acme/%2e%2e/globex/", "/acme%2f..%2fglobex/", "//acme/"])
def test_behind_caddy_rows_2_to_5_are_refused(caddy: Caddy, target: str) -> None:
    answer = caddy.ask(target, "app.localhost")
    assert answer.status in (400, 404)
    assert not any(canary in answer.wire for canary in CANARIES.values())


def test_nobody_asks_through_caddy(caddy: Caddy) -> None:
    """With whatever Host they send: it is not the one that the certificate is for."""
    question = f"{PATH}?domain=initech.localhost"
    nobody = caddy.ask("/nobody/", "app.localhost")
    assert nobody.status == 404
    assert caddy.ask(question, "app.localhost").comparable == nobody.comparable
    for host in ("127.0.0.1", "localhost", f"127.0.0.1:{caddy.server.port}"):
        with caddy.connect("app.localhost") as connection:
            lines = (
                f"GET {question} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 127.0.0.1\r\nConnection: close\r\n\r\n"
            )
            connection.sendall(lines.encode())
            assert Answer(read_all(connection)).status in (404, 421)
    assert caddy.server.get(question, "127.0.0.1").status == 200


def test_a_new_tenant_gets_its_certificate_by_itself(caddy: Caddy) -> None:
    assert not caddy.certificate("new.localhost")
    with (caddy.folder / "tenants.toml").open("a") as file:
        file.write('[tenants.new]\ntitle = "New here"\nhosts = ["new.localhost"]\n')
    caddy.server.process.send_signal(signal.SIGHUP)
    for _ in range(100):  # a worker of before may answer one that knows no such tenant
        if caddy.certificate("new.localhost") and b"New here" in caddy.ask("/", "new.localhost").body:
            return
        time.sleep(0.1)
    raise AssertionError((caddy.folder / "caddy.log").read_text())
