"""Rows 15 to 26, 32, 33, 36 and 38 of the attack matrix, against accounts, over raw sockets to a running gunicorn.

acme and globex are at path doors, initech at a host door too. Each test has an account in each of them, of the same
name and password, whose canary must never be seen in another tenant.
"""

from __future__ import annotations

import html
import itertools
import re
import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import pytest
from sqlalchemy import event, select

from conftest import ROOT, Answer, Server, wait_until
from tenantry import Platform, db, users
from tenantry.app import _SURE as SURE
from tenantry.keys import _FRESH as FRESH
from tenantry.keys import HEAD_START
from tenantry.testing import client_of
from tenantry.users import User
from test_users import PASSWORD, add

TENANTS = ("acme", "globex", "initech")
CANARY = {slug: f"canary-of-{slug}-7f3a" for slug in TENANTS}
FORM = ("Content-Type: application/x-www-form-urlencoded",)


class Visitor:
    """A browser at one door: it keeps cookies, and sends them all, as a hostile one would."""

    def __init__(self, world: World, slug: str, host: str = "localhost") -> None:
        self.world = world
        self.server = world.server
        self.prefix = "" if host != "localhost" else f"/{slug}"
        self.host = host
        self.cookies: dict[str, str] = {}

    def send(self, method: str, path: str, data: dict[str, str] | None = None, *headers: str) -> Answer:
        """Send a request; the path is within the tenant."""
        body = urlencode(data or {}).encode() if method == "POST" else b""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        lines = [f"{method} {self.prefix}{path} HTTP/1.1", f"Host: {self.host}", *headers, "Connection: close"]
        lines += [f"Cookie: {cookie}"] if cookie else []
        lines += [*FORM, f"Content-Length: {len(body)}"] if method == "POST" else []
        answer = Answer(self.server.raw("\r\n".join([*lines, "", ""]).encode() + body))
        for each in answer.header("Set-Cookie"):
            name, _, value = each.partition(";")[0].partition("=")
            if "Max-Age=0" in each:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    def get(self, path: str, *headers: str) -> Answer:
        return self.send("GET", path, None, *headers)

    def token(self, path: str) -> str:
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.get(path).text)
        assert found, path
        return found[1]

    def submit(self, path: str, data: dict[str, str] | None = None, form: str | None = None) -> Answer:
        return self.send("POST", form or path, {"csrf_token": self.token(path), **(data or {})})

    def log_in(self, password: str = PASSWORD) -> Answer:
        return self.submit("/accounts/log-in", {"login": self.world.name, "password": password})

    @property
    def is_in(self) -> bool:
        return self.get("/accounts/").status == 200

    def copy(self) -> Visitor:
        """Another browser at the same door, with a copy of the cookies."""
        other = Visitor(self.world, self.prefix.strip("/"), self.host)
        other.cookies = dict(self.cookies)
        return other


class World:
    """A running server, the same state seen from inside, and an account of one name in each tenant."""

    numbers = itertools.count(1)

    def __init__(self, server: Server, platform: Platform) -> None:
        self.server = server
        self.platform = platform
        self.name = f"ada{next(self.numbers)}"
        for slug in TENANTS:
            add(platform, slug, self.name, about=CANARY[slug], role="admin")

    def visitor(self, slug: str, host: str = "localhost") -> Visitor:
        return Visitor(self, slug, host)

    def user(self) -> User:
        """Return the account in the current tenant."""
        return db.session.scalars(select(User).where(User.username == self.name)).one()

    def link(self, slug: str, purpose: str, extra: Any = None, seconds: float = 3600) -> str:
        with self.platform.tenant(slug):
            user = self.user()
            if purpose == "activate":
                user.activated_at = None
                db.session.flush()
            return f"/accounts/{purpose}/" + users.sign_link(purpose, user, timedelta(seconds=seconds), extra)

    def api_token(self, slug: str) -> str:
        with self.platform.tenant(slug):
            return users.issue_token(self.user().id, "probe", ["read", "write"], timedelta(days=1))[0]

    def state(self, slug: str) -> tuple[Any, ...]:
        with self.platform.tenant(slug):
            user = self.user()
            return user.email, user.password_hash, user.activated_at


def start(folder: Path) -> Iterator[tuple[Server, Platform]]:
    shutil.copy(ROOT / "tenants.toml", folder)
    shutil.copytree(ROOT / "tenants", folder / "tenants", ignore=shutil.ignore_patterns("__pycache__"))
    server = Server(folder)
    platform = Platform.from_file(folder / "tenants.toml")
    yield server, platform
    platform.databases.close_idle()
    server.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Platform]]:
    yield from start(tmp_path_factory.mktemp("site"))


@pytest.fixture
def world(running: tuple[Server, Platform]) -> World:
    return World(*running)


@pytest.fixture
def world_apart(tmp_path: Path) -> Iterator[World]:
    """One with a server of its own, for what changes more than an account."""
    for server, platform in start(tmp_path):
        yield World(server, platform)


def test_a_cookie_of_one_tenant_is_nobodys_in_another(world: World) -> None:
    """Row 15, in both kinds of doors, under its own name and under the other's."""
    mine = world.visitor("acme")
    assert mine.log_in().status == 302
    assert CANARY["acme"] in mine.get("/accounts/").text
    (value,) = mine.cookies.values()
    for other in (world.visitor("globex"), world.visitor("initech"), world.visitor("initech", "initech.localhost")):
        slug = "globex" if "globex" in other.prefix else "initech"
        for name in ("acme_session", f"{slug}_session", f"__Host-{slug}_session", f"__Secure-{slug}_session"):
            other.cookies = {name: value}
            answer = other.get("/accounts/")
            assert answer.status == 302
            assert not any(canary in answer.text for canary in CANARY.values())


def test_a_cookie_of_one_door_of_a_tenant_is_the_same_tenants_at_its_other_door(world: World) -> None:
    mine = world.visitor("initech", "initech.localhost")
    mine.log_in()
    other = world.visitor("initech")
    other.cookies = dict(mine.cookies)
    assert other.is_in  # it is one tenant, with one key; browsers keep the two apart by host


@pytest.mark.parametrize("order", [("acme", "globex"), ("globex", "acme")])
def test_both_cookies_together(world: World, order: tuple[str, str]) -> None:
    """Row 16: and a log-in at the other tenant changes nothing."""
    acme, globex = world.visitor("acme"), world.visitor("globex")
    acme.log_in()
    globex.cookies = dict(acme.cookies)
    assert globex.log_in().status == 302
    both = {**acme.cookies, **globex.cookies}
    acme.cookies = {name: both[name] for slug in order for name in both if name.startswith(slug)}
    assert acme.is_in
    assert CANARY["acme"] in acme.get("/accounts/").text
    assert CANARY["globex"] not in acme.get("/accounts/").text


def test_the_log_ins_cookie_as_shipped(world: World) -> None:
    """Row 17; under https, see the attacks on sessions."""
    for visitor, path in ((world.visitor("acme"), "/acme"), (world.visitor("initech", "initech.localhost"), "/")):
        (cookie,) = visitor.log_in().header("Set-Cookie")
        assert cookie.startswith(("acme_session=", "initech_session="))
        assert {"HttpOnly", f"Path={path}", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}
        assert "Domain" not in cookie


def test_sessions_from_before_and_after(world: World) -> None:
    """Row 18: a session from before log-in is nobody's afterwards, as is one after log-out or a changed password."""
    mine = world.visitor("acme")
    mine.token("/accounts/log-in")
    planted = mine.copy()
    mine.log_in()
    assert not planted.is_in
    after = mine.copy()
    assert mine.submit("/accounts/", form="/accounts/log-out").status == 302
    assert (mine.is_in, after.is_in) == (False, False)
    mine.log_in()
    before_change, other = mine.copy(), world.visitor("acme")
    other.log_in()
    new = {"current": PASSWORD, "password": "battery staple horse"}
    assert mine.submit("/accounts/password", new).status == 302
    assert (mine.is_in, before_change.is_in, other.is_in) == (True, False, False)


def test_a_token_of_the_page_from_before_logging_in_is_refused_after_it(world: World) -> None:
    mine = world.visitor("acme")
    token = mine.token("/accounts/log-in")
    mine.log_in()
    assert mine.send("POST", "/accounts/log-out", {"csrf_token": token}).status == 400
    assert mine.is_in


def test_one_tenants_form_token_at_another(world: World) -> None:
    """Row 19."""
    acme, globex = world.visitor("acme"), world.visitor("globex")
    acme.log_in(), globex.log_in()
    token = acme.token("/accounts/")
    assert globex.send("POST", "/accounts/log-out", {"csrf_token": token}).status == 400
    assert globex.send("POST", "/accounts/", {"csrf_token": token, "name": "hacked"}).status == 400
    globex.cookies.update(acme.cookies)
    assert globex.send("POST", "/accounts/log-out", {"csrf_token": token}).status == 400
    assert globex.is_in
    assert "hacked" not in globex.get("/accounts/").text


def test_every_form_is_refused_without_its_token(world: World) -> None:
    """The URL map is walked, so that a form of tomorrow is here too. 400, before it is looked for what it names."""
    mine = world.visitor("acme")
    mine.log_in()
    with world.platform.tenant("acme"):
        token_id = users.issue_token(world.user().id, "probe", ["read"], timedelta(days=1))[1]
        db.session.flush()
        ids = {"user_id": str(world.user().id), "token_id": str(token_id.id), "login_id": world.user().logins[0].id}
    before = world.state("acme")
    app = world.platform.tenant_app("acme")
    forms = [rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())]
    assert len(forms) >= 25
    assert {rule.endpoint.partition(".")[0] for rule in forms} >= {"accounts", "help", "faq"}
    for rule in forms:
        values = {
            name: ids.get(name, "1" if "id" in name or name == "number" else "welcome")
            for name in rule.arguments - set(rule.defaults or ())
        }
        if "token" in rule.arguments:  # without its link there is no form: 404, as the attacks on links show
            continue
        with app.test_request_context():
            path = app.url_for(rule.endpoint, **values).removeprefix("/acme")
        data = {"role": "member", "name": "hacked", "title": "hacked", "state": "block", "revision": "1"}
        answer = mine.send("POST", path, {**data, "page": "1" if rule.endpoint.startswith("help.") else "2"})
        if rule.rule.startswith("/api/"):  # which takes the token of our pages in a header
            assert answer.status == 403, rule
        elif rule.endpoint.startswith("projects."):  # looked for first, as it says what one may; or a partner's service
            assert answer.status in (400, 404), rule
        else:
            assert answer.status == 400 or (answer.status == 404 and rule.endpoint.endswith("picture")), rule
    assert mine.is_in
    assert world.state("acme") == before
    assert "hacked" not in mine.get("/help/").text + mine.get("/accounts/").text


@pytest.mark.parametrize("path", ["/", "/help/", "/help/welcome/", "/accounts/", "/people/{name}/", "/nothing/"])
def test_what_somebody_who_is_logged_in_sees_is_kept_by_nobody_else(world: World, path: str) -> None:
    """Row 20."""
    mine = world.visitor("acme")
    mine.log_in()
    answer = mine.get(path.format(name=world.name))
    assert answer.status == (404 if "nothing" in path else 200)
    assert "Cookie" in ",".join(answer.header("Vary"))
    assert re.search("private|no-store", ",".join(answer.header("Cache-Control")))


@pytest.mark.parametrize("purpose", ["activate", "reset", "address"])
def test_a_link_of_one_tenant_or_purpose_is_nothing_elsewhere(world: World, purpose: str) -> None:
    """Row 21: 404, byte for byte that of nonsense but for the address, and nothing is consumed."""
    path = world.link("acme", purpose, "new@example.com")
    token = path.rpartition("/")[2]
    before = {slug: world.state(slug) for slug in TENANTS}
    for slug, host in (("globex", "localhost"), ("initech", "localhost"), ("initech", "initech.localhost")):
        visitor = world.visitor(slug, host)
        answer = visitor.get(path)
        assert (answer.status, answer.text.replace(token, "")) == (
            404,
            visitor.get(path[: -len(token)] + "nonsense").text.replace("nonsense", ""),
        )
        visitor.cookies["x"] = "y"
        assert (
            visitor.send(
                "POST", path, {"csrf_token": visitor.token("/accounts/log-in"), "password": "battery staple"}
            ).status
            == 404
        )
    mine = world.visitor("acme")
    for other in {"activate", "reset", "address", "invitation"} - {purpose}:
        assert mine.get(f"/accounts/{other}/{token}").status == 404
        data = {"csrf_token": mine.token("/accounts/log-in"), "password": "battery staple horse"}
        assert mine.send("POST", f"/accounts/{other}/{token}", data).status == 404
    assert {slug: world.state(slug) for slug in TENANTS} == before
    assert mine.get(path).status == 200


def test_a_link_once_used_or_too_old(world: World) -> None:
    """Row 22; used at the same time many times, see the accounts' own tests."""
    mine = world.visitor("acme")
    path = world.link("acme", "reset")
    assert mine.submit(path, {"password": "battery staple horse"}).status == 302
    assert mine.get(path).status == 404
    data = {"csrf_token": mine.token("/accounts/log-in"), "password": "another one of these"}
    assert mine.send("POST", path, data).status == 404
    assert mine.get(world.link("acme", "reset", seconds=-1)).status == 404


def test_a_link_with_its_last_character_changed(world: World) -> None:
    """Row 23: every character of the alphabet in its place, those that decode to the same bytes among them."""
    path = world.link("acme", "reset")
    mine = world.visitor("acme")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=.~"
    for character in alphabet.replace(path[-1], ""):
        assert mine.get(path[:-1] + character).status == 404, character
    assert mine.get(path + "=").status == 404
    assert mine.get(path).status == 200


def test_a_token_of_one_tenant_at_another(world: World) -> None:
    """Rows 24 and 25: as garbage is, byte for byte, and a cookie that comes along does not help."""
    token = world.api_token("acme")
    mine = world.visitor("acme")
    assert mine.get("/accounts/me", f"Authorization: Bearer {token}").status == 200
    for slug, host in (("globex", "localhost"), ("initech", "initech.localhost")):
        other = world.visitor(slug, host)
        garbage = other.get("/accounts/me", "Authorization: Bearer tenantry_garbage")
        assert garbage.status == 401
        assert garbage.header("WWW-Authenticate")
        for header in (
            f"Bearer {token}",
            f"bearer {token}",
            f"Bearer {token}x",
            "Bearer",
            "Bearer a b",
            "Digest x",
            "x",
        ):
            answer = other.get("/accounts/me", f"Authorization: {header}")
            assert answer.comparable == garbage.comparable, header
        other.log_in()
        assert other.get("/accounts/me").status == 200
        for header in (f"Bearer {token}", "Bearer tenantry_garbage", "Basic !!!", "Nonsense"):
            answer = other.get("/accounts/me", f"Authorization: {header}")
            assert answer.status == 401, header
            assert world.name not in answer.text
        assert other.is_in


def test_two_authorizations_at_once(world: World) -> None:
    token = world.api_token("acme")
    answer = world.visitor("acme").get("/accounts/me", "Authorization: Bearer x", f"Authorization: Bearer {token}")
    assert answer.status in (400, 401)


def test_a_token_changed_in_any_place(world: World) -> None:
    token = world.api_token("acme")
    mine = world.visitor("acme")
    for place in range(len(token)):
        other = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert mine.get("/accounts/me", f"Authorization: Bearer {other}").status == 401


def test_a_tenant_that_was_removed_and_made_again(world_apart: World) -> None:
    """Row 26: its old cookies, tokens and links are nobody's, even where its accounts are put back."""
    mine = world_apart.visitor("acme")
    mine.log_in()
    token, reset = world_apart.api_token("acme"), world_apart.link("acme", "reset")
    activation = world_apart.link("acme", "activate")
    with world_apart.platform.tenant("acme"):
        rows = {table: [dict(row._mapping) for row in db.session.execute(select(table))] for table in _account_tables()}
    world_apart.platform.databases.close_idle()
    shutil.rmtree(world_apart.platform.registry["acme"].state)
    again = client_of(world_apart.platform, "acme")
    wait_until(lambda: again.get("/").status_code == 200)
    fresh = Platform.from_file(world_apart.platform.registry.settings.file)
    with fresh.tenant("acme"):
        for table, kept in rows.items():
            for row in kept:
                db.session.execute(table.insert().values(**row))
    fresh.databases.close_idle()
    time.sleep(SURE + 0.2)  # after it, whichever worker is asked looks whether the database is the one that it knew
    assert not mine.is_in
    assert world_apart.visitor("acme").get("/accounts/me", f"Authorization: Bearer {token}").status == 401
    for path in (reset, activation):
        assert world_apart.visitor("acme").get(path).status == 404
    wait_until(
        lambda: "confirm your" in world_apart.visitor("acme").log_in().text
    )  # the account itself is there, as it was


def _account_tables() -> list[Any]:
    return [db.Model.metadata.tables[f"tenantry_{name}"] for name in ("user", "login", "token")]


def test_known_and_unknown_accounts_are_answered_alike(world: World) -> None:
    """Row 32, the bytes. That the same work is done is told by the next test, and the times by docs/performance.md."""
    for path, data in (("/accounts/log-in", {"password": "wrong"}), ("/accounts/forgot", {})):
        seen = set()
        for login in (world.name, f"{world.name}@example.com", "nobody", "nobody@example.com"):
            visitor = world.visitor("acme")
            answer = visitor.submit(path, {"login": login, **data})
            text = re.sub(r'(name="csrf_token"[^>]*value=")[^"]+', r"\1", answer.text).replace(html.escape(login), "")
            headers = [line for line in answer.lines if not line.startswith(("Date", "Set-Cookie", "Content-Length"))]
            seen.add((answer.status, text, tuple(headers)))
        assert len(seen) == 1, path


def test_known_and_unknown_accounts_cost_the_same_work(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 32, what the times come from: the same statements, and Argon2 as often, with the same parameters."""
    from tenantry.users import passwords

    done: list[list[str]] = []
    verify = passwords.PasswordHasher.verify

    def noted(self: Any, kept: str, password: str) -> bool:
        done[-1].append(kept.rpartition("$")[0].rpartition("$")[0])
        return verify(self, kept, password)

    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        done[-1].append(statement)

    monkeypatch.setattr(passwords.PasswordHasher, "verify", noted)
    engine = world.platform.databases.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        for path, data in (("/accounts/log-in", {"password": "wrong"}), ("/accounts/forgot", {})):
            done.clear()
            for login in ("warm", world.name, "nobody", f"{world.name}@example.com", "nobody@example.com"):
                client = client_of(world.platform, "acme")
                page = client.get(path)
                token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
                assert token
                done.append([])
                client.post(path, data={"csrf_token": token[1], "login": login, **data})
            assert done[1] == done[2] == done[3] == done[4] != []
            assert path != "/accounts/log-in" or any("argon2id" in each for each in done[1])
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example", "https:evil.example", "https://evil.example/", "/globex/", "/../globex/", "/%2e%2e/globex/",
        "\\evil.example", "/\\evil.example", "/\t/evil.example", "javascript:alert(1)", "///evil.example", "/acme/../globex/",
        "http:///evil.example", "/help/..//evil.example", "/help/\r\nSet-Cookie: x=y", "@evil.example", "/nothing/", "", "?",
        "/help/%2f%2fevil.example", ".evil.example", "/\u2215evil.example", "/-/static/../../../globex/",
    ],
    ids=ascii,
)  # fmt: skip
def test_after_logging_in_one_stays_in_the_tenants_own_door(world: World, target: str) -> None:
    """Row 33."""
    for visitor, home in ((world.visitor("acme"), "/acme/"), (world.visitor("initech", "initech.localhost"), "/")):
        answer = visitor.submit(
            f"/accounts/log-in?{urlencode({'next': target})}", {"login": world.name, "password": PASSWORD}
        )
        assert answer.status == 302
        (location,) = answer.header("Location")
        assert location.startswith(home)
        assert urlsplit(urljoin("http://here/accounts/", location.replace("\\", "/"))).path.startswith(home)
        assert ".." not in location
        assert not answer.header("X-Injected")


def test_where_one_wanted_to_go_is_kept(world: World) -> None:
    target = urlencode({"next": "/help/welcome/?q=a b&x=//evil.example"})
    answer = world.visitor("acme").submit(f"/accounts/log-in?{target}", {"login": world.name, "password": PASSWORD})
    assert answer.header("Location") == ["/acme/help/welcome/?q=a+b&x=%2F%2Fevil.example"]


def test_what_an_older_key_signed(world_apart: World) -> None:
    """Row 36: links and log-ins live on after a rotation until the cut-off, and end with it."""
    mine = world_apart.visitor("acme")
    mine.log_in()
    path = world_apart.link("acme", "reset")
    world_apart.platform.keys.rotate(verify_days=31)
    assert mine.is_in
    assert mine.get(path).status == 200
    world_apart.platform.keys.rotate(verify_days=0)
    time.sleep(HEAD_START + FRESH + 0.2)  # after it, whichever worker is asked looks at the keys
    assert not mine.is_in
    assert mine.get(path).status == 404


HOSTILE = "\"'><script>alert(1)</script>{{1234*5678}}{%x%}"


def test_script_in_every_text(world: World) -> None:
    """Row 38: inert wherever an account's words are shown."""
    mine = world.visitor("acme")
    mine.log_in()
    assert (
        mine.submit(
            "/accounts/", {"name": HOSTILE, "about": HOSTILE, "language": "", "timezone": "", "is_public": "y"}
        ).status
        == 302
    )
    assert (
        mine.submit("/accounts/tokens", {"name": HOSTILE, "scopes": "read", "days": "7", "current": PASSWORD}).status
        == 200
    )
    agent = f"User-Agent: {HOSTILE}"
    token = mine.token("/accounts/")
    mine.send("POST", "/accounts/log-out", {"csrf_token": token})
    token = mine.token("/accounts/log-in")
    mine.send("POST", "/accounts/log-in", {"csrf_token": token, "login": world.name, "password": PASSWORD}, agent)
    for path in (
        "/",
        "/accounts/",
        "/accounts/tokens",
        "/accounts/sessions",
        "/accounts/members",
        f"/people/{world.name}/",
    ):
        answer = mine.get(path)
        assert answer.status == 200
        assert "<script>alert" not in answer.text, path
        assert "7006652" not in answer.text, path
        assert "script-src 'self'" in answer.header("Content-Security-Policy")[0]
    assert (
        html.escape(HOSTILE).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
        in mine.get(f"/people/{world.name}/").text
    )


def test_ten_thousand_fields_and_a_body_that_is_none(world: World) -> None:
    mine = world.visitor("acme")
    many = {f"f{n}": "x" for n in range(10_000)}
    assert mine.send("POST", "/accounts/log-in", many).status in (400, 413)
    for body, kind in (
        (b"%ff%fe=%00&login=%c3%28", FORM[0]),
        (b"{}", "Content-Type: application/json"),
        (b"\xff" * 100, "Content-Type: multipart/form-data; boundary=x"),
    ):
        head = f"POST /acme/accounts/log-in HTTP/1.1\r\nHost: localhost\r\n{kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        assert Answer(mine.server.raw(head.encode() + body)).status in (400, 413, 415, 422)
