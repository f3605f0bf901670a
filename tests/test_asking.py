"""``/tenantry/ask``: told to a proxy on this machine and to those who have the token; to everybody else, nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from werkzeug.test import Client

from conftest import Answer, Server
from tenantry import Platform
from tenantry.asking import PATH
from tenantry.cli import main
from tenantry.errors import StateError
from tenantry.testing import make_platform

TOKEN = "0123456789abcdef0123456789abcdef"
TOML = """
[platform]
hosts = ["app.example.com", "localhost", "127.0.0.1", "[::1]"]
{more}

[tenants.acme]
title = "Acme Corp"
path = "/acme"

[tenants.initech]
title = "Initech"
hosts = ["initech.example.com", "www.initech.example.com", "192.0.2.7"]

[tenants.stopped]
title = "Stopped"
hosts = ["stopped.example.com"]
status = "suspended"

[tenants.gone]
title = "Gone"
hosts = ["gone.example.com"]
status = "archived"
"""


def make_site(folder: Path, more: str = "") -> Path:
    (folder / "tenants.toml").write_text(TOML.format(more=more))
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One whose proxies are counted, as where a Caddy is in front."""
    folder = make_site(tmp_path_factory.mktemp("site"), "trusted_proxies = 1")
    started = Server(folder, ACCESS_LOG="1", TENANTRY_ASK_TOKEN=TOKEN)
    yield started
    started.stop()


def nobody(server: Server, host: str = "localhost") -> tuple[str, list[str], bytes]:
    return server.get("/nobody/", host).comparable


def ask(server: Server, query: str, *headers: str, host: str = "127.0.0.1:8000", method: str = "GET") -> Answer:
    return server.get(f"{PATH}{query}", host, *headers, method=method)


@pytest.mark.parametrize(
    ("domain", "status"),
    [
        ("initech.example.com", 200),
        ("www.initech.example.com", 200),
        ("INITECH.Example.COM", 200),
        ("initech.example.com.", 200),
        ("app.example.com", 200),
        ("stopped.example.com", 200),  # its page is served, by https too
        ("gone.example.com", 404),
        ("example.com", 404),
        ("evil.example", 404),
        ("xinitech.example.com", 404),
        ("initech.example.com.evil.example", 404),
        ("acme", 404),
        ("localhost", 404),
        ("127.0.0.1", 404),
        ("[::1]", 404),
        ("192.0.2.7", 404),
    ],
)
def test_which_names_are_ours(server: Server, domain: str, status: int) -> None:
    answer = ask(server, f"?domain={domain}")
    assert answer.status == status
    if status == 404:
        assert answer.comparable == nobody(server)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?",
        "?domain",
        "?domain=",
        "?domain=.",
        "?domain=*",
        "?domain=*.example.com",
        "?domain=initech.example.com:443",
        "?domain=initech.example.com..",
        "?domain=.initech.example.com",
        "?domain=%20initech.example.com",
        "?domain=initech.example.com%00",
        "?domain=initech.example.com%0a",
        "?domain=initech%E3%80%82example.com",  # an ideographic full stop, which IDNA reads as a dot
        "?domain=%EF%BD%89nitech.example.com",  # a full-width i
        "?domain=%C4%B0nitech.example.com",  # a capital I with a dot
        "?domain=%FF%FE",
        "?domain=initech.example.com&domain=evil.example",
        "?domain=initech.example.com&domain=initech.example.com",
        "?Domain=initech.example.com",
        "?domain[]=initech.example.com",
        "?domain=" + "a" * 4096,
        "?domain=initech.example.com" + "&x=1" * 900,
        "?domain=http://initech.example.com/",
        "/?domain=initech.example.com",
        "/x?domain=initech.example.com",
        "x?domain=initech.example.com",
    ],
    ids=lambda query: ascii(query)[:60],
)
def test_bad_questions_are_answered_as_unknown_addresses(server: Server, query: str) -> None:
    assert ask(server, query).comparable == nobody(server)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_other_methods_find_nothing(server: Server, method: str) -> None:
    answer = ask(server, "?domain=initech.example.com", "Content-Length: 0", method=method)
    other = server.get("/nobody/", "localhost", "Content-Length: 0", method=method)
    assert answer.comparable == other.comparable
    assert answer.status == 404


def test_a_head_is_answered_without_a_body(server: Server) -> None:
    answer = ask(server, "?domain=initech.example.com", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1", "127.1.2.3:9", "[::1]", "[::1]:8000"])
def test_this_machine_may_ask_by_its_own_names(server: Server, host: str) -> None:
    assert ask(server, "?domain=initech.example.com", host=host).status == 200


@pytest.mark.parametrize("host", ["app.example.com", "evil.example", "192.0.2.7x", "localhost.evil.example", "[::2]"])
def test_by_no_other_name(server: Server, host: str) -> None:
    """A proxy at loopback passes the visitor's own Host on, and these are what visitors have."""
    assert ask(server, "?domain=initech.example.com", host=host).comparable == nobody(server)


def test_the_address_is_the_tenants_own_at_its_host(server: Server) -> None:
    ours = ask(server, "?domain=initech.example.com", f"Authorization: Bearer {TOKEN}", host="initech.example.com")
    theirs = server.get("/tenantry/elsewhere", "initech.example.com")
    assert (ours.status, theirs.status) == (404, 404)
    assert ours.body == theirs.body


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-For: 198.51.100.7",
        "X-Forwarded-For:",
        "X-Forwarded-Host: 127.0.0.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Server: proxy",
        "X-Real-IP: 127.0.0.1",
        "Forwarded: for=127.0.0.1",
        "Via: 1.1 proxy",
        "X-Original-URL: /tenantry/ask",
        "CF-Connecting-IP: 198.51.100.7",
    ],
)
def test_row_11_what_came_through_a_proxy_finds_nothing(server: Server, header: str) -> None:
    assert ask(server, "?domain=initech.example.com", header).comparable == nobody(server)


def test_a_visitor_is_not_taken_for_this_machine_whatever_they_send(server: Server) -> None:
    """As it arrives from a proxy that adds itself to what the visitor has made up."""
    headers = ("X-Forwarded-For: 127.0.0.1, 127.0.0.1", "X-Forwarded-Host: localhost")
    assert ask(server, "?domain=initech.example.com", *headers, host="localhost").comparable == nobody(server)


@pytest.mark.parametrize("by_query", [True, False])
@pytest.mark.parametrize(
    ("token", "status"),
    [(TOKEN, 200), (TOKEN[:-1], 404), (TOKEN + "x", 404), (TOKEN.upper(), 404), ("", 404), ("%FF" * 32, 404)],
)
def test_who_has_the_token_may_ask_from_anywhere(server: Server, token: str, status: int, by_query: bool) -> None:
    query = f"?domain=initech.example.com{f'&token={token}' if by_query else ''}"
    headers = ["X-Forwarded-For: 198.51.100.7", *([] if by_query else [f"Authorization: Bearer {token}"])]
    answer = ask(server, query, *headers, host="app.example.com")
    assert answer.status == status
    if status == 404:
        assert answer.comparable == nobody(server)


def test_bytes_that_are_no_text_are_no_token_and_no_name(server: Server) -> None:
    headers = (f"Authorization: Bearer {chr(0xFF) * 32}", "X-Forwarded-For: 198.51.100.7")
    assert ask(server, "?domain=initech.example.com", *headers, host="app.example.com").comparable == nobody(server)
    assert ask(server, "?domain=\xff\xfe").status == 400  # by gunicorn, at every address


def test_other_kinds_of_authorization_are_no_token(server: Server) -> None:
    for header in (f"Authorization: Basic {TOKEN}", f"Authorization: {TOKEN}", f"Cookie: token={TOKEN}"):
        assert ask(server, "?domain=initech.example.com", header, host="app.example.com").status == 404


def test_the_token_is_not_in_the_log(server: Server) -> None:
    for method in ("GET", "POST"):
        ask(server, f"?domain=initech.example.com&token={TOKEN}", "Content-Length: 0", method=method)
    assert re.search(r'"GET /tenantry/ask HTTP/1.1" 200', server.output())
    assert TOKEN not in server.output()


@pytest.mark.parametrize("spelling", ["/tenantry%2fask", "/%74enantry/ask", "//tenantry/ask", "/tenantry/./ask"])
def test_other_spellings_tell_nothing_to_others(server: Server, spelling: str) -> None:
    answer = server.get(f"{spelling}?domain=initech.example.com", "app.example.com")
    expected = server.get(spelling.replace("tenantry", "nobodys").replace("%74enantry", "%6eobodyy"), "app.example.com")
    assert answer.comparable == expected.comparable
    assert answer.status in (400, 404)


def test_without_a_token_none_is_accepted(site: Path, serve: Callable[..., Server]) -> None:
    server = serve(site, workers=1)
    for query in ("&token=", "&token", ""):
        answer = ask(server, f"?domain=initech.localhost{query}", "Authorization: Bearer", host="app.example.com")
        assert answer.comparable == nobody(server)
    assert ask(server, "?domain=initech.localhost").status == 200


@pytest.mark.parametrize("peer", ["", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "unix:", "127.0.0.1.evil"])
def test_other_machines_may_not_ask(tmp_path: Path, peer: str) -> None:
    client = Client(Platform.from_file(make_site(tmp_path) / "tenants.toml"))
    question = {"query_string": "domain=initech.example.com", "base_url": "http://127.0.0.1/"}
    assert client.get(PATH, **question, environ_overrides={"REMOTE_ADDR": peer}).status_code == 404
    for here in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"):
        assert client.get(PATH, **question, environ_overrides={"REMOTE_ADDR": here}).status_code == 200


def test_no_app_is_built_for_it(tmp_path: Path) -> None:
    platform = Platform.from_file(make_site(tmp_path) / "tenants.toml")
    client = Client(platform)
    for domain in ("initech.example.com", "app.example.com", "evil.example"):
        client.get(PATH, query_string=f"domain={domain}", environ_overrides={"REMOTE_ADDR": "127.0.0.1"})
    assert len(platform.live) == 0
    assert not (tmp_path / "var" / "tenants").exists()


def test_hosts_of_every_name_are_only_the_tenants(tmp_path: Path) -> None:
    toml = '[platform]\nhosts = "*"\n[tenants.a]\nhosts = ["a.example.com"]\n'
    client = Client(make_platform(tmp_path, toml))
    for domain, status in (("a.example.com", 200), ("b.example.com", 404), ("*", 404)):
        here = {"environ_overrides": {"REMOTE_ADDR": "127.0.0.1"}}
        assert client.get(PATH, query_string=f"domain={domain}", **here).status_code == status


def test_a_short_token_is_refused_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_ASK_TOKEN", "secret")
    with pytest.raises(StateError, match=r"has 6 characters; expected at least 32 .*openssl rand -hex 32"):
        Platform.from_file(make_site(tmp_path) / "tenants.toml")


def test_the_command_lists_what_is_answered(tmp_path: Path) -> None:
    file = make_site(tmp_path) / "tenants.toml"
    result = CliRunner().invoke(main, ["--config", str(file), "hosts"])
    assert result.output.splitlines() == [
        "NAME                     TENANT",
        "app.example.com          –",
        "initech.example.com      initech",
        "www.initech.example.com  initech",
        "stopped.example.com      stopped",
    ]
    listed = json.loads(CliRunner().invoke(main, ["--config", str(file), "hosts", "--json"]).output)
    assert listed[:2] == [
        {"name": "app.example.com", "tenant": None},
        {"name": "initech.example.com", "tenant": "initech"},
    ]
    client = Client(Platform.from_file(file))
    for each in listed:
        here = {"environ_overrides": {"REMOTE_ADDR": "127.0.0.1"}}
        assert client.get(PATH, query_string=f"domain={each['name']}", **here).status_code == 200
