"""The attack matrix, rows 15 to 17, 20, 26 and 35: cookies over a raw socket to a real gunicorn, at every kind of door."""

from __future__ import annotations

import shutil
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_sessions import TOML, VIEWS

from conftest import Answer, Server

#: Host and prefix of each door.
DOORS = {
    "acme by path": ("localhost", "/acme"),
    "acme by host": ("acme.localhost", ""),
    "globex by path": ("localhost", "/globex"),
    "globex by host": ("globex.localhost", ""),
    "acme-eu by path": ("localhost", "/acme/eu"),
}


def make_site(folder: Path, scheme: str) -> Path:
    (folder / "people_set" / "who").mkdir(parents=True)
    (folder / "people_set" / "__init__.py").write_text("")
    (folder / "people_set" / "who" / "__init__.py").write_text(textwrap.dedent(VIEWS))
    (folder / "tenants.toml").write_text(TOML.format(package="people_set", scheme=scheme))
    return folder


@pytest.fixture(scope="module", params=["http", "https"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(scheme: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(make_site(tmp_path_factory.mktemp("site"), scheme))
    yield started
    started.stop()


def post(server: Server, door: str, path: str, *headers: str) -> Answer:
    host, prefix = DOORS[door]
    return server.get(prefix + path, host, "Content-Length: 0", *headers, method="POST")


def log_in(server: Server, door: str) -> tuple[str, str]:
    """Log in at a door; return the name and the value of the cookie."""
    (header,) = post(server, door, f"/login/user-of-{door.split()[0]}").header("Set-Cookie")
    name, _, rest = header.partition("=")
    return name, rest.partition(";")[0]


def who(server: Server, door: str, cookie: str) -> str:
    host, prefix = DOORS[door]
    return server.get(f"{prefix}/", host, f"Cookie: {cookie}").text


@pytest.mark.parametrize("to", DOORS)
@pytest.mark.parametrize("door", DOORS)
def test_15_a_cookie_works_at_its_own_tenant_only(server: Server, door: str, to: str) -> None:
    name, value = log_in(server, door)
    other_name, _ = log_in(server, to)
    same_tenant = door.split()[0] == to.split()[0]
    for cookie in (f"{name}={value}", f"{other_name}={value}", f"{name}={value}; {other_name}={value}"):
        answer = who(server, to, cookie)
        assert answer in (("anonymous", f"user-of-{to.split()[0]}") if same_tenant else ("anonymous",))
    assert who(server, door, f"{name}={value}") == f"user-of-{door.split()[0]}"


@pytest.mark.parametrize("kind", ["path", "host"])
def test_16_both_cookies_in_either_order(server: Server, kind: str) -> None:
    ours, theirs = ("=".join(log_in(server, f"{slug} by {kind}")) for slug in ("acme", "globex"))
    for cookie in (f"{ours}; {theirs}", f"{theirs}; {ours}"):
        assert who(server, f"acme by {kind}", cookie) == "user-of-acme"
        assert who(server, f"globex by {kind}", cookie) == "user-of-globex"


def test_16_a_log_in_elsewhere_while_logged_in_changes_nothing(server: Server) -> None:
    ours = "=".join(log_in(server, "acme by path"))
    answer = post(server, "globex by path", "/login/b", f"Cookie: {ours}")
    assert [header for header in answer.header("Set-Cookie") if header.startswith(ours.partition("=")[0])] == []
    theirs = answer.header("Set-Cookie")[0].partition(";")[0]
    assert who(server, "acme by path", f"{ours}; {theirs}") == "user-of-acme"


def test_16_nested_tenants_do_not_share_a_name(server: Server) -> None:
    """A browser sends the cookies of /acme to /acme/eu too."""
    outer, inner = log_in(server, "acme by path"), log_in(server, "acme-eu by path")
    assert outer[0] != inner[0]
    both = f"{'='.join(outer)}; {'='.join(inner)}"
    assert who(server, "acme-eu by path", both) == "user-of-acme-eu"
    assert who(server, "acme by path", both) == "user-of-acme"


@pytest.mark.parametrize("door", DOORS)
def test_17_set_cookie_as_shipped(server: Server, scheme: str, door: str) -> None:
    (header,) = post(server, door, "/login/x").header("Set-Cookie")
    name, _, rest = header.partition("=")
    attributes = {part.strip().lower() for part in rest.split(";")[1:]}
    prefix = DOORS[door][1]
    expected = f"{door.split()[0]}_session"
    if scheme == "https":
        expected = ("__Secure-" if prefix else "__Host-") + expected
    assert name == expected
    assert attributes == {"httponly", "samesite=lax", f"path={prefix or '/'}"} | (
        {"secure"} if scheme == "https" else set()
    )


def test_20_pages_of_somebody_are_kept_by_nobody_else(server: Server) -> None:
    name, value = log_in(server, "acme by path")
    answer = server.get("/acme/", "localhost", f"Cookie: {name}={value}")
    assert answer.header("Vary") == ["Cookie"]
    assert answer.header("Cache-Control") == ["private"]


def test_23_every_other_last_character_is_refused(server: Server) -> None:
    name, value = log_in(server, "acme by path")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    answers = {
        who(server, "acme by path", f"{name}={value[:-1]}{letter}") for letter in alphabet if letter != value[-1]
    }
    assert answers == {"anonymous"}


def test_26_made_again_under_the_same_slug_while_the_workers_run(server: Server) -> None:
    door = "acme-eu by path"
    cookie = "=".join(log_in(server, door))
    assert {who(server, door, cookie) for _ in range(8)} == {"user-of-acme-eu"}
    shutil.rmtree(server.folder / "var" / "tenants" / "acme-eu")
    time.sleep(1.2)  # a worker looks once a second
    assert {who(server, door, cookie) for _ in range(16)} == {"anonymous"}
    again = "=".join(log_in(server, door))
    assert {who(server, door, again) for _ in range(16)} == {"user-of-acme-eu"}


def test_35_two_tenants_with_one_secret_do_not_start(tmp_path: Path) -> None:
    folder = make_site(tmp_path, "http")
    secret = 'config = { SECRET_KEY = "0123456789abcdefghijklmnopqrstuvwxyz" }'
    text = (folder / "tenants.toml").read_text()
    (folder / "tenants.toml").write_text(
        text.replace('path = "/acme"', f'path = "/acme"\n{secret}').replace(
            'path = "/globex"', f'path = "/globex"\n{secret}'
        )
    )
    with pytest.raises(AssertionError, match="the same as that of tenant 'acme'"):
        Server(folder)


def test_35_two_tenants_with_one_door_do_not_start(tmp_path: Path) -> None:
    folder = make_site(tmp_path, "http")
    text = (folder / "tenants.toml").read_text()
    (folder / "tenants.toml").write_text(text.replace('path = "/globex"', 'path = "/ＡＣＭＥ/"'))
    with pytest.raises(AssertionError, match="'/acme' is the door of tenant 'acme' already"):
        Server(folder)
