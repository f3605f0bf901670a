"""The attack matrix, rows 1 to 13, 15, 28, 31 and 35: raw bytes over a socket to a real gunicorn.

Each tenant's pages carry a canary; no answer to one tenant's door may ever hold another's. "The same as nobody" means
byte for byte the answer for a tenant that does not exist, but for the time in it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT, Answer, Server

BROKEN_VIEW = """
def index():
    raise RuntimeError("canary-of-an-exception in " + __file__)
"""

CANARIES = {"acme": b"canary-acme", "globex": b"canary-globex", "initech": b"canary-initech"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "tenants", folder / "tenants", ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "tenants.toml").read_text()
    for slug, title in (("acme", "Acme Corp"), ("globex", "Globex GmbH"), ("initech", "Initech")):
        text = text.replace(f'"{title}"', f'"{title} canary-{slug}"')
    text += """
[tenants.broken]
title = "Broken canary-broken"
path  = "/broken"
overrides = { "front.index" = "broken_view:index" }
"""
    (folder / "broken_view.py").write_text(BROKEN_VIEW)
    (folder / "tenants.toml").write_text(text)
    started = Server(folder)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def nobody(server: Server) -> Answer:
    """The answer for a tenant that does not exist."""
    answer = server.get("/nobody/")
    assert answer.status == 404
    assert b"canary" not in answer.wire
    return answer


def test_the_doors_answer(server: Server) -> None:
    for target, host, slug in [
        ("/acme/", "localhost", "acme"),
        ("/globex/", "127.0.0.1", "globex"),
        ("/", "initech.localhost", "initech"),
    ]:
        answer = server.get(target, host)
        assert answer.status == 200
        assert CANARIES[slug] in answer.body
        assert not any(canary in answer.wire for other, canary in CANARIES.items() if other != slug)


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("/acmex/", id="1 longer"),
        pytest.param("/acme2/", id="1 other"),
        pytest.param("/ACME/", id="6 case"),
        pytest.param("/ac%c2%adme/", id="6 soft hyphen"),
        pytest.param("/%ef%bd%81%ef%bd%83%ef%bd%8d%ef%bd%85/", id="6 full width"),
        pytest.param("/xn--acme/", id="6 punycode"),
        pytest.param("/acm%d0%b5/", id="6 Cyrillic"),
        pytest.param("/acme;x/", id="7 parameter"),
        pytest.param("/acme%252f", id="7 twice"),
        pytest.param("/acme%c0%ae/", id="7 overlong"),
        pytest.param("/acme%ff/", id="7 byte"),
        pytest.param("/acme%0a/", id="7 line feed"),
        pytest.param("/acme%20/", id="7 space"),
        pytest.param("/", id="root"),
        pytest.param("/static/x", id="static"),
        pytest.param("/" + "a/" * 2000, id="8 long"),
    ],
)
def test_the_same_as_nobody(server: Server, nobody: Answer, target: str) -> None:
    assert server.get(target).comparable == nobody.comparable


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("/acme/../globex/", id="2 dots"),
        pytest.param("/acme/./", id="2 dot"),
        pytest.param("/acme/%2e%2e/globex/", id="2 encoded"),
        pytest.param("/acme/.%2e/globex/", id="2 half encoded"),
        pytest.param("/acme/..;/globex/", id="2 parameter"),
        pytest.param("/acme%2f..%2fglobex/", id="3 slash and dots"),
        pytest.param("/acme%2fhelp/", id="3 slash"),
        pytest.param("/acme%2Fhelp/", id="3 upper-case slash"),
        pytest.param("//acme/", id="5 two"),
        pytest.param("/%2facme/", id="5 encoded"),
        pytest.param("/acme//help", id="5 inside"),
        pytest.param("///evil.example/..", id="5 three"),
        pytest.param("/acme%00/", id="7 NUL"),
        pytest.param("/acme\\/", id="7 backslash"),
        pytest.param("/acme%5c..%5cglobex/", id="7 encoded backslash"),
        pytest.param("/acme/static/..%2f..%2ftenants.toml", id="28 static"),
        pytest.param("/acme/-/static/..%2f..%2f..%2ftenants.toml", id="28 blueprint's static"),
        pytest.param("/acme/-/static/%2e%2e/__init__.py", id="28 encoded dots"),
    ],
)
@pytest.mark.parametrize("host", ["localhost", "initech.localhost"])
def test_refused(server: Server, target: str, host: str) -> None:
    answer = server.get(target, host)
    # At a host door the whole path is the tenant's own, and an encoded slash in a name is its own to read.
    assert answer.status in ((400,) if host == "localhost" else (400, 404))
    assert not any(canary in answer.wire for slug, canary in CANARIES.items() if slug != "initech")
    assert not any(location.startswith("//") for location in answer.header("Location"))
    assert b"[platform]" not in answer.wire


def test_4_an_encoded_letter_is_that_letter(server: Server) -> None:
    assert server.get("/%61cme/").comparable == server.get("/acme/").comparable


@pytest.mark.parametrize(
    "target", ["/acme/-/static/nothing", "/acme/-/static//etc/passwd", "/acme/-/static/../x", "/acme/static/x"]
)
def test_28_static_files_that_are_not_there(server: Server, target: str) -> None:
    answer = server.get(target)
    assert answer.status in (400, 404)
    assert b"root:" not in answer.wire


def test_28_another_tenants_overlay_is_out_of_reach(server: Server) -> None:
    own = server.get("/initech/-/static/logo.svg")
    shared = server.get("/acme/-/static/logo.svg")
    assert own.status == shared.status == 200
    assert own.body != shared.body
    for target in (
        "/acme/static/tenantry/logo.svg",
        "/acme/-/static/tenantry/logo.svg",
        "/acme/-/static/initech/logo.svg",
    ):
        assert server.get(target).status == 404


@pytest.mark.parametrize(
    ("line", "host", "status"),
    [
        pytest.param("http://localhost/acme/", "localhost", 200, id="agrees"),
        pytest.param("http://initech.localhost/acme/", "localhost", 400, id="names another"),
        pytest.param("http://localhost/acme/", "initech.localhost", 400, id="Host names another"),
        pytest.param("http://localhost@evil.example/acme/", "localhost", 400, id="user information"),
        pytest.param("http://evil.example/acme/", "localhost", 400, id="unknown"),
    ],
)
def test_9_absolute_form(server: Server, line: str, host: str, status: int) -> None:
    assert server.get(line, host).status == status


@pytest.mark.parametrize(
    "header", ["SCRIPT_NAME: /globex", "PATH_INFO: /globex/", "Script-Name: /globex", "Path-Info: /globex/"]
)
def test_10_headers_that_would_set_the_door(server: Server, header: str) -> None:
    answer = server.get("/acme/", "localhost", header)
    assert answer.status in (200, 400)
    assert CANARIES["globex"] not in answer.wire
    if answer.status == 200:
        assert CANARIES["acme"] in answer.body


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-Host: initech.localhost",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Prefix: /globex",
        "X-Forwarded-For: 10.0.0.1",
        "X-Forwarded-Port: 1",
        "X-Forwarded-Ssl: on",
        "X-Original-URL: /globex/",
        "X-Rewrite-URL: /globex/",
        "X-Host: initech.localhost",
        "Forwarded: host=initech.localhost;proto=https",
    ],
)
def test_11_forwarding_headers_from_nobody_we_trust(server: Server, header: str) -> None:
    assert server.get("/acme/", "localhost", header).comparable == server.get("/acme/").comparable
    redirect = server.get("/acme/help", "localhost", header)
    assert redirect.header("Location") == ["http://localhost/acme/help/"]


@pytest.mark.parametrize(
    ("hosts", "statuses"),
    [
        pytest.param([""], (400,), id="empty"),
        pytest.param([], (400,), id="absent"),
        pytest.param(["localhost", "localhost"], (400,), id="twice the same"),
        pytest.param(["localhost", "initech.localhost"], (400,), id="twice"),
        pytest.param(["a:80@b"], (400,), id="user information"),
        pytest.param(["localhost,initech.localhost"], (400,), id="list"),
        pytest.param(["localhost."], (200,), id="trailing dot"),
        pytest.param(["localhost.."], (400,), id="two trailing dots"),
        pytest.param(["localhost:"], (400,), id="empty port"),
        pytest.param(["localhost:80a"], (400,), id="port"),
        pytest.param(["local host"], (400,), id="space"),
        pytest.param(["localhost/"], (400,), id="slash"),
        pytest.param(["[::1"], (400,), id="bracket"),
    ],
)
def test_12_hosts(server: Server, hosts: list[str], statuses: tuple[int, ...]) -> None:
    lines = ["GET /acme/ HTTP/1.1", *(f"Host: {host}" for host in hosts), "Connection: close", "", ""]
    answer = Answer(server.raw("\r\n".join(lines).encode()))
    assert answer.status in statuses
    assert CANARIES["initech"] not in answer.wire


@pytest.mark.parametrize(
    "host", ["evil.example", "acme.localhost", "evilinitech.localhost", "initech.localhost.evil", "0"]
)
@pytest.mark.parametrize("target", ["/acme/", "/acme/accounts/forgot", "/", "/globex/help/"])
def test_13_an_unknown_host_is_nobody(server: Server, nobody: Answer, host: str, target: str) -> None:
    assert server.get(target, host).comparable == nobody.comparable


@pytest.mark.parametrize(
    "request_head",
    [
        pytest.param(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", id="both"),
        pytest.param(b"Content-Length: 5\r\nContent-Length: 6\r\n", id="two lengths"),
        pytest.param(b"Content-Length: 5\r\nContent-Length: 5\r\n", id="two equal lengths"),
        pytest.param(b"Content-Length: +5\r\n", id="plus"),
        pytest.param(b"Content-Length: -1\r\n", id="minus"),
        pytest.param(b"Content-Length: 5 \x0b\r\n", id="control character"),
        pytest.param(b"Content-Length: 0x5\r\n", id="hexadecimal"),
        pytest.param(b"Transfer-Encoding: chunked, chunked\r\n", id="chunked twice"),
        pytest.param(b"Transfer-Encoding: xchunked\r\n", id="unknown coding"),
        pytest.param(b"X: a\r\n folded\r\n", id="folded"),
        pytest.param(b"Content-Length : 5\r\n", id="space before the colon"),
        pytest.param(b"X: a\nContent-Length: 5\r\n", id="bare LF"),
        pytest.param(b"X: a\x00b\r\n", id="NUL"),
    ],
)
def test_14_framing_that_two_readers_could_read_differently(server: Server, request_head: bytes) -> None:
    smuggled = b"GET /globex/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
    wire = server.raw(b"POST /acme/ HTTP/1.1\r\nHost: localhost\r\n" + request_head + b"\r\n" + smuggled)
    assert wire.count(b"HTTP/1.1 ") == 1
    assert Answer(wire).status in (400, 501)
    assert CANARIES["globex"] not in wire


def test_14_a_bare_lf_request(server: Server) -> None:
    wire = server.raw(b"GET /acme/ HTTP/1.1\nHost: localhost\n\n")
    assert Answer(wire).status == 400
    assert wire.count(b"HTTP/1.1 ") == 1


def test_31_an_exception_says_nothing_of_the_inside(server: Server) -> None:
    answer = server.get("/broken/")
    assert answer.status == 500
    for secret in (
        b"canary-of-an-exception",
        b"Traceback",
        b"broken_view",
        str(server.folder).encode(),
        b"sqlite",
        b"acme",
        b"globex",
    ):
        assert secret not in answer.wire
    assert "canary-of-an-exception" in server.output()
    assert CANARIES["acme"] in server.get("/acme/").body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_every_method_stays_within_its_tenant(server: Server, nobody: Answer, method: str) -> None:
    answer = server.get("/acme/", "localhost", "Content-Length: 0", method=method)
    assert answer.status in (200, 405)
    assert CANARIES["globex"] not in answer.wire
    unknown = server.get("/nobody/", "localhost", "Content-Length: 0", method=method)
    assert unknown.status == 404
    if method == "HEAD":
        assert unknown.body == b""


def test_a_body_over_the_limit_is_413(server: Server) -> None:
    size = 11 * 1024 * 1024
    head = f"POST /acme/demo/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    answer = Answer(server.raw(head.encode() + b"x" * 1000, timeout=5))
    assert answer.status in (405, 413)


def test_the_state_of_one_tenant_never_shows_at_another_under_mixed_load(server: Server) -> None:
    from concurrent.futures import ThreadPoolExecutor

    doors = [
        ("/acme/help/", "localhost", "acme"),
        ("/globex/help/", "localhost", "globex"),
        ("/help/", "initech.localhost", "initech"),
    ]

    def ask(n: int) -> bool:
        target, host, slug = doors[n % 3]
        answer = server.get(target, host)
        others = [canary for other, canary in CANARIES.items() if other != slug]
        return (
            answer.status == 200 and CANARIES[slug] in answer.body and not any(other in answer.wire for other in others)
        )

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(ask, range(300)))


def test_nothing_was_logged_as_a_crash(server: Server) -> None:
    """Every probe above was foreseen: the only traceback is the one that a view raised on purpose."""
    log = server.output()
    assert log.count("Traceback (most recent call last)") == log.count("RuntimeError: canary-of-an-exception")


def test_state_stays_in_the_state_folder(server: Server) -> None:
    expected = {"var", "tenants", "tenants.toml", "wsgi.py", "broken_view.py", "gunicorn.log", "__pycache__"}
    assert {path.name for path in Path(server.folder).iterdir()} <= expected
