"""The states of a tenant, over a raw socket to a real gunicorn: who is refused, how, and who gets in even so."""

from __future__ import annotations

import json
import re
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from walking import Walker, furnish, operation_of, routes

from conftest import ROOT, Answer, Server, wait_until
from tenantry import Platform, db
from tenantry.cli import main
from tenantry.errors import StateError, TenantReadOnly
from tenantry.generations import Generations
from tenantry.life.statuses import set_statuses
from tenantry.maintenance import make_pass
from tenantry.registry import Registry
from tenantry.suspension import close_sessions, end_noted
from tenantry.testing import client_of, make_platform
from tenantry.users import User, issue_token

Serve = Callable[..., Server]

#: Views of acme's own: one that writes in a GET, streams, and one that takes up an edited file.
VIEWS = """
import threading
import time

from flask import Response, current_app, request, stream_with_context

from blueprints.sections.models import Page
from tenantry import db


def index():
    what = request.args.get("what", "")
    return WHAT[what]() if what in WHAT else "the site itself"


def visit():
    db.begin(write=True)
    db.session.add(Page(section="help", slug=request.args.get("slug", "visited"), title="Visited"))
    return "written"


def tick():
    def lines():
        while True:
            yield "tick\\n"
            time.sleep(0.1)

    return Response(stream_with_context(lines()), mimetype="text/event-stream")


def silent():
    def lines():
        yield "one\\n"
        threading.Event().wait(8)
        yield "two\\n"

    return Response(lines(), mimetype="text/plain")


def flood():
    def lines():
        while True:
            yield b"x" * 65536

    return Response(lines(), mimetype="text/plain")


def passed_on():
    def lines():
        while True:
            yield b"tick\\n"
            time.sleep(0.1)

    return Response(lines(), mimetype="text/plain", direct_passthrough=True)


def short():
    return Response((f"{number}\\n" for number in range(3)), mimetype="text/plain")


def streams():
    return str(len(current_app.platform.streams))


WHAT = {name: globals()[name] for name in ("visit", "tick", "short", "silent", "flood", "passed_on", "streams")}
"""
UNSAFE = ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"]


@pytest.fixture
def own(lived_in: Path) -> Path:
    """The shipped site, where acme and globex have views of their own."""
    for slug in ("acme", "globex"):
        folder = lived_in / "tenants" / slug
        folder.mkdir(exist_ok=True)
        (folder / "views.py").write_text(VIEWS)
        set_key(lived_in, slug, f'overrides = {{ "front.index" = "tenants.{slug}.views:index" }}')
    return lived_in


def set_key(site: Path, slug: str, line: str) -> None:
    """Let a key of a tenant be as a line says."""
    head, mark, rest = (site / "tenants.toml").read_text().partition(f"[tenants.{slug}]\n")
    own, next_table, others = rest.partition("\n[")
    own = re.sub(rf"^{line.split()[0]}\s*=.*\n?", "", own, flags=re.M)
    (site / "tenants.toml").write_text(f"{head}{mark}{line}\n{own}{next_table}{others}")


def set_status(site: Path, status: str, slug: str = "acme") -> None:
    set_key(site, slug, f'status = "{status}"')


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of the shipped site, once its tenants have been visited. It is made once, and copied."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copy(ROOT / "tenants.toml", folder)
    shutil.copytree(ROOT / "tenants", folder / "tenants", ignore=shutil.ignore_patterns("__pycache__"))
    platform = Platform.from_file(folder / "tenants.toml")
    for slug in platform.registry:
        platform.tenant_app(slug)
    platform.databases.close_idle()
    return folder / "var"


@pytest.fixture
def lived_in(site: Path, made: Path) -> Path:
    """The shipped site, with the databases of its tenants."""
    shutil.copytree(made, site / "var")
    return site


def ask(server: Server, method: str, target: str, *headers: str, host: str = "localhost") -> Answer:
    more = () if method in ("GET", "HEAD") else ("Content-Length: 0",)
    return server.get(target, host, *more, *headers, method=method)


def pages_named(site: Path, slug: str, title: str = "Visited") -> int:
    with closing(sqlite3.connect(site / "var" / "tenants" / slug / "tenant.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM page WHERE title = ?", (title,)).fetchone()[0])


# Read-only


def test_read_only_refuses_what_writes_and_says_so(own: Path, serve: Serve) -> None:
    set_status(own, "read-only")
    server = serve(own, workers=1)
    refused = ask(server, "POST", "/acme/")
    assert (refused.status, refused.header("Retry-After"), refused.header("Cache-Control")) == (
        503,
        ["300"],
        ["no-store"],
    )
    assert "nothing can be changed" in refused.text
    for method in UNSAFE:
        for path in ("/acme", "/acme/", "/acme/accounts/log-in", "/acme/no/such/page", "/acme/-/theme.css"):
            assert ask(server, method, path).comparable == refused.comparable, (method, path)
    problem = json.loads(ask(server, "DELETE", "/acme/api/v1.0/tasks/1").text)
    assert (problem["status"], "nothing can be changed" in problem["detail"]) == (503, True)
    for method in ("GET", "HEAD", "OPTIONS"):
        assert ask(server, method, "/acme/").status == 200
    assert ask(server, "POST", "/globex/accounts/log-in").status != 503


def test_a_get_that_would_write_gets_the_same_answer_and_writes_nothing(own: Path, serve: Serve) -> None:
    platform = Platform.from_file(own / "tenants.toml")
    assert client_of(platform, "acme").get("/?what=visit&slug=before").text == "written"
    set_status(own, "read-only")
    server = serve(own, workers=1)
    for accept in ("Accept: text/html", "Accept: application/json"):
        by_get = ask(server, "GET", "/acme/?what=visit", accept)
        by_post = ask(server, "POST", "/acme/?what=visit", accept)
        assert (by_get.status, by_get.body) == (503, by_post.body)
        for name in ("Content-Type", "Retry-After", "Cache-Control", "Content-Security-Policy"):
            assert by_get.header(name) == by_post.header(name), name
    assert ask(server, "HEAD", "/acme/?what=visit").status == 503
    assert pages_named(own, "acme") == 1
    assert "Traceback" not in server.output()
    assert ask(server, "GET", "/acme/").text == "the site itself"


def test_the_operator_may_write_to_a_tenant_that_is_read_only(own: Path) -> None:
    set_status(own, "read-only")
    platform = Platform.from_file(own / "tenants.toml")
    with platform.tenant("acme"):
        db.session.add(User(username="ada", email="ada@example.com", name="Ada"))
    with platform.tenant("acme"):
        db.begin(write=True)
        db.session.add(User(username="bob", email="bob@example.com", name="Bob"))
    with platform.tenant("acme"):
        assert db.session.query(User).count() == 2


def test_another_tenants_request_may_read_it_and_not_write_to_it(tmp_path: Path) -> None:
    toml = '[tenants.a]\npath = "/a"\n[tenants.b]\npath = "/b"\nstatus = "read-only"\n'
    platform = make_platform(tmp_path, toml)
    with platform.tenant_app("a").test_request_context("/", method="POST"):
        with platform.tenant("b"):
            assert db.session.query(User).count() == 0
        with pytest.raises(TenantReadOnly, match="no request may write"), platform.tenant("b"):
            db.begin(write=True)
        with pytest.raises(TenantReadOnly), platform.tenant("b"):
            db.begin_deferred()
        db.begin(write=True)  # to its own


@pytest.mark.parametrize("role", ["", "member", "admin"])
def test_every_shipped_page_can_be_read(site: Path, role: str) -> None:
    """Walked as it was before, by the same person in the same browser: what was a page is one, and nothing fails."""
    before = Platform.from_file(site / "tenants.toml")
    has = furnish(before, "acme", "ada", role or "member")
    set_status(site, "read-only")
    after = Platform.from_file(site / "tenants.toml")
    active, reading = (Walker.of(platform, "acme") for platform in (before, after))
    if role:
        active.log_in("ada", role)
        reading._cookies = active._cookies
    values = {"filename": "x", "lang_code": "de", "section": "help", "slug": "welcome", "number": 1, "state": "todo"}
    values |= {**has.ids, "username": "ada", "token": "x"}
    asked = 0
    with before.tenant_app("acme").test_request_context("/", base_url=active.base_url) as context:
        adapter = context.url_adapter
    assert adapter is not None
    for rule, method in routes(before, "acme"):
        if method != "GET":
            continue
        path = adapter.build(rule.endpoint, {name: values[name] for name in rule.arguments - set(rule.defaults or ())})
        kwargs: dict[str, Any] = {"headers": has.bearer} if role and operation_of(before, "acme", rule, method) else {}
        then, now = (client.ask(method, path, None, **kwargs) for client in (active, reading))
        assert now.status_code == then.status_code, (path, then.status, now.status)
        assert now.status_code < 500
        asked += 1
    assert asked > 50


# Maintenance


def test_the_page_of_a_tenant_in_maintenance_is_in_its_look(lived_in: Path, serve: Serve) -> None:
    for slug in ("acme", "globex", "initech"):
        set_status(lived_in, "maintenance", slug)
    server = serve(lived_in, workers=1)
    answer = server.get("/acme/help/")
    assert (answer.status, answer.header("Retry-After"), answer.header("Cache-Control")) == (503, ["300"], ["no-store"])
    assert {"Accept", "Cookie"} <= set(", ".join(answer.header("Vary")).split(", "))
    assert answer.header("Content-Security-Policy")
    assert "Acme Corp" in answer.text
    assert "Back soon" in answer.text
    assert "log-in" not in answer.text
    assert '<html lang="en">' in answer.text
    for target, language, words in [
        ("/globex/", "de", "Gleich wieder da"),  # its first language
        ("/globex/?lang=en", "en", "Back soon"),
        ("/acme/de/", "de", "Gleich wieder da"),
        ("/acme/?lang=de", "de", "Gleich wieder da"),
        ("/acme/?lang=xx", "en", "Back soon"),
    ]:
        page = server.get(target)
        assert page.status == 503
        assert f'<html lang="{language}">' in page.text
        assert words in page.text
        assert not page.header("Set-Cookie")
    assert "Initech" in server.get("/", "initech.localhost").text
    for method in UNSAFE:
        assert ask(server, method, "/acme/").status == 503
    assert ask(server, "HEAD", "/acme/").body == b""
    problem = server.get("/acme/api/v1.0/tasks")
    assert problem.header("Content-Type") == ["application/problem+json"]
    assert (json.loads(problem.text)["status"], problem.header("Retry-After")) == (503, ["300"])


def test_its_static_files_are_there_and_nothing_else(lived_in: Path, serve: Serve) -> None:
    set_status(lived_in, "maintenance")
    set_status(lived_in, "maintenance", "initech")
    server = serve(lived_in, workers=1)
    linked = re.findall(r'(?:href|src)="([^"#]+)"', server.get("/acme/").text)
    assert len(linked) >= 3
    for address in linked:
        assert server.get(address).status == 200, address
    own = next(address for address in (lived_in / "tenants" / "initech" / "static").rglob("*") if address.is_file())
    named = own.relative_to(lived_in / "tenants" / "initech" / "static").as_posix()
    blueprint, _, rest = named.partition("/")
    path = f"/-/static/{rest}" if blueprint == "tenantry" else f"/{blueprint}/static/{rest}"
    overlaid = [server.get(each, "initech.localhost") for each in (path, f"/static/{named}")]
    assert own.read_bytes() in [each.body for each in overlaid]
    for path in ("/-/static/nothing.css", "/-/static/..%2f..%2ftenants.toml", "/-/", "/static/x", "/api/v1.0/openapi"):
        assert server.get(f"/acme{path}").status in (400, 503), path
    assert ask(server, "POST", "/acme/-/static/tenantry.css").status == 503


def test_a_template_of_the_tenants_own_wins(lived_in: Path, serve: Serve) -> None:
    template = lived_in / "tenants" / "acme" / "templates" / "tenantry" / "maintenance.html"
    template.parent.mkdir(parents=True)
    template.write_text("{{ current_tenant.title }} is moving house{% if current_user.name %}, {{ x }}{% endif %}.")
    set_status(lived_in, "maintenance")
    answer = serve(lived_in, workers=1).get("/acme/")
    assert (answer.status, answer.text) == (503, "Acme Corp is moving house.")
    assert answer.header("Retry-After") == ["300"]


@pytest.mark.parametrize("damage", ["never made", "gone", "rubbish", "copied away"])
def test_the_database_is_not_looked_at(lived_in: Path, serve: Serve, damage: str) -> None:
    file = lived_in / "var" / "tenants" / "acme" / "tenant.db"
    if damage != "never made":
        platform = Platform.from_file(lived_in / "tenants.toml")
        client = client_of(platform, "acme")
        client.log_in("ada")
        cookie = "; ".join(f"{each.key}={each.value}" for each in client._cookies.values())
        platform.databases.close_idle()
    else:
        cookie = ""
    if damage == "gone":
        file.unlink()
    elif damage == "rubbish":
        file.write_bytes(b"rubbish" * 1000)
    elif damage == "copied away":
        file.rename(file.with_name("elsewhere.db"))
    before = sorted(lived_in.glob("var/tenants/acme/*")), file.read_bytes() if file.exists() else b""
    set_status(lived_in, "maintenance")
    server = serve(lived_in, workers=1)
    for headers in ((), (f"Cookie: {cookie}",)):
        answer = server.get("/acme/accounts/", "localhost", *headers)
        assert answer.status == 503
        assert "/acme/-/theme.css" in answer.text, "it is not in the tenant's look"
    assert (sorted(lived_in.glob("var/tenants/acme/*")), file.read_bytes() if file.exists() else b"") == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("views.py", "raise RuntimeError('the secret plan of Globex')"),
        ("templates/tenantry/maintenance.html", "{{ secret.plan.of.globex }}"),
        ("templates/tenantry/maintenance.html", "{{ current_tenant.nothing() }}"),
        ("templates/tenantry/base.html", "{% secret %}"),
    ],
)
def test_where_it_cannot_be_made_a_plain_one_is_shown(own: Path, serve: Serve, name: str, text: str) -> None:
    """Row 31, too: nothing of the reason is told."""
    file = own / "tenants" / "acme" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    set_status(own, "maintenance")
    set_key(own, "acme", 'color = "#c62828"')
    server = serve(own, workers=1)
    for target in ("/acme/", "/acme/-/static/tenantry.css"):
        answer = server.get(target)
        if answer.status == 503:
            assert "Acme Corp: back soon" in answer.text
            assert "#c62828" in answer.text
            assert (answer.header("Retry-After"), answer.header("Cache-Control")) == (["300"], ["no-store"])
            assert not re.search(rf"secret|plan|Traceback|{re.escape(str(own))}|tenants/|lobex", answer.text)
    assert server.get("/acme/").status == 503
    assert server.get("/globex/").status == 200
    assert "acme" in server.output()


def test_the_style_of_the_plain_page_is_the_one_that_its_policy_allows() -> None:
    from base64 import b64encode
    from hashlib import sha256

    from tenantry.pages import maintenance

    page = maintenance("<Acme> & Sons", "#c62828")
    (style,) = re.findall(rb"<style>(.*?)</style>", page.body)
    policy = dict(page.headers)["Content-Security-Policy"]
    assert f"style-src 'sha256-{b64encode(sha256(style).digest()).decode()}'" in policy
    assert b"&lt;Acme&gt; &amp; Sons" in page.body


# Passes


def run(site: Path, *args: str) -> Any:
    return CliRunner().invoke(main, ["--config", str(site / "tenants.toml"), *args])


def redeem(server: Server, link: str, extra: str = "", host: str = "") -> Answer:
    """Open a link as it was printed."""
    _, _, rest = link.partition("://")
    name, _, target = rest.partition("/")
    return server.get(f"/{target}{extra}", host or name)


def cookie_of(answer: Answer) -> str:
    (header,) = answer.header("Set-Cookie")
    return f"Cookie: {header.partition(';')[0]}"


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("slug", ["acme", "initech"])
def test_a_pass_lets_in_who_opens_it(lived_in: Path, serve: Serve, scheme: str, slug: str) -> None:
    text = (lived_in / "tenants.toml").read_text().replace('= "http" ', f'= "{scheme}" ')
    (lived_in / "tenants.toml").write_text(text)
    set_status(lived_in, "maintenance", slug)
    server = serve(lived_in, workers=1, ACCESS_LOG="1")
    link = run(lived_in, "maintenance", "pass", slug).stdout.strip()
    host, door = ("localhost", "/acme") if slug == "acme" else ("initech.localhost", "")
    assert link.startswith(f"{scheme}://{host}{door}/?maintenance-pass=")
    assert server.get(f"{door}/", host).status == 503
    answer = redeem(server, link)
    assert (answer.status, answer.header("Location")) == (302, [f"{door}/"])
    assert (answer.header("Cache-Control"), answer.header("Referrer-Policy")) == (["no-store"], ["no-referrer"])
    (cookie,) = answer.header("Set-Cookie")
    prefix = {"http": "", "https": "__Secure-" if door else "__Host-"}[scheme]
    assert cookie.startswith(f"{prefix}{slug}_maintenance=")
    attributes = [each.strip() for each in cookie.split(";")[1:]]
    secure = ["Secure"] if scheme == "https" else []
    assert sorted(attributes) == sorted(["HttpOnly", f"Path={door or '/'}", "SameSite=Lax", *secure])
    inside = server.get(f"{door}/help/", host, cookie_of(answer))
    assert inside.status == 200
    assert "Cookie" in ", ".join(inside.header("Vary"))
    for path in ("/help/", "/-/theme.css", "/-/static/tenantry.css"):  # what others may have from a cache, not now
        assert server.get(door + path, host, cookie_of(answer)).header("Cache-Control") == ["no-store"]
    assert server.get(f"{door}/help/", host).status == 503
    log_in = ask(server, "POST", f"{door}/accounts/log-in", cookie_of(answer), host=host)
    assert log_in.status not in (403, 503)
    assert link.partition("=")[2] not in server.output()


def test_what_is_not_a_pass_is_as_none(lived_in: Path, serve: Serve, tmp_path: Path) -> None:
    platform = Platform.from_file(lived_in / "tenants.toml")
    set_status(lived_in, "maintenance")
    set_status(lived_in, "maintenance", "globex")
    server = serve(lived_in, workers=1)
    app = platform.tenant_app("acme")
    good = make_pass(platform, platform.registry["acme"], 60).partition("=")[2]
    theirs = make_pass(platform, platform.registry["globex"], 60).partition("=")[2]
    last = good[-1]
    refused = {
        "another tenant's": theirs,
        "expired": make_pass(platform, platform.registry["acme"], -1).partition("=")[2],
        "for another use": app.signer.sign("session", True, 60),
        "for a blueprint's use": app.signer.sign("blueprint:maintenance", True, 60),
        "shortened": good[:-1],
        "empty": "",
        "rubbish": "x" * 4000,
        "not text": "%FF%FE%00",
        "twice": f"{good}&maintenance-pass={good}",
    }
    refused |= {f"altered to {sign}": good[:-1] + sign for sign in "AQgw048cEIMUYk-_" if sign != last}
    nothing = server.get("/acme/")
    for name, token in refused.items():
        answer = server.get(f"/acme/?maintenance-pass={token}")
        assert answer.comparable == nothing.comparable, name
        value = token.replace("%", "")
        assert server.get("/acme/", "localhost", f"Cookie: acme_maintenance={value}").comparable == nothing.comparable
    for name in ("maintenance", "globex_maintenance", "__Host-acme_maintenance", "acme_session"):
        assert server.get("/acme/", "localhost", f"Cookie: {name}={good}").status == 503
    assert server.get(f"/globex/?maintenance-pass={good}").status == 503
    assert server.get("/globex/", "localhost", f"Cookie: globex_maintenance={good}").status == 503
    # Another tenant's page can set a cookie of that name for a longer path; the right one is found even so.
    both = f"Cookie: acme_maintenance=evil; acme_maintenance={good}; globex_maintenance={theirs}"
    assert server.get("/acme/help/", "localhost", both).status == 200
    many = "; ".join(["acme_maintenance=x"] * 300)
    assert server.get("/acme/help/", "localhost", f"Cookie: {many}").status == 503
    for method in UNSAFE:
        assert not ask(server, method, f"/acme/?maintenance-pass={good}").header("Set-Cookie")
    assert "Traceback" not in server.output()


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/help/", "/help/"),
        ("", ""),
        ("/%E4%BD%A0/", "/%E4%BD%A0/"),
        ("/a%3Fb/", "/a%3Fb/"),
        ("/a%0d%0aSet-Cookie:x=y/", "/a%0D%0ASet-Cookie:x=y/"),
        ("/:80@evil.example/", "/:80@evil.example/"),
        ("/%5cevil.example/", None),
        ("//evil.example/", None),
        ("/%2fevil.example/", None),
        ("/./%2fevil.example/", None),
    ],
)
@pytest.mark.parametrize("door", [("localhost", "/acme"), ("initech.localhost", "")])
def test_row_33_a_pass_leads_nowhere_else(
    passing: tuple[Server, dict[str, str]], door: tuple[str, str], path: str, location: str | None
) -> None:
    server, tokens = passing
    host, prefix = door
    for query, rest in [
        ("maintenance-pass={}", ""),
        ("a=1&maintenance-pass={}&b=%2f", "?a=1&b=%2f"),
        ("next=//evil.example&maintenance-pass={}", "?next=//evil.example"),
        ("next=%0d%0aX:y&maintenance-pass={}", "?next=%0d%0aX:y"),
    ]:
        answer = server.get(f"{prefix}{path or ('' if prefix else '/')}?{query.format(tokens[host])}", host)
        if location is None:
            assert answer.status in (400, 404)
            assert not answer.header("Location")
            continue
        assert answer.header("Location") == [f"{prefix}{location or ('' if prefix else '/')}{rest}"]
        assert not answer.header("X")
        assert len(answer.header("Set-Cookie")) == 1


@pytest.fixture(scope="module")
def passing(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    """A server whose acme and initech are in maintenance, and a pass of each, by its host."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "tenants.toml", folder)
    shutil.copytree(ROOT / "tenants", folder / "tenants")
    shutil.copytree(made, folder / "var")
    platform = Platform.from_file(folder / "tenants.toml")
    tokens = {
        host: make_pass(platform, platform.registry[slug], 600).partition("=")[2]
        for host, slug in (("localhost", "acme"), ("initech.localhost", "initech"))
    }
    for slug in ("acme", "initech"):
        set_status(folder, "maintenance", slug)
    server = Server(folder, workers=1)
    yield server, tokens
    server.stop()


@pytest.mark.parametrize(("status", "expected"), [("active", 200), ("suspended", 403), ("archived", 404)])
def test_a_pass_is_for_maintenance_only(lived_in: Path, serve: Serve, status: str, expected: int) -> None:
    platform = Platform.from_file(lived_in / "tenants.toml")
    token = make_pass(platform, platform.registry["acme"], 60).partition("=")[2]
    set_status(lived_in, status)
    server = serve(lived_in, workers=1)
    for target in ("/acme/help/", f"/acme/help/?maintenance-pass={token}"):
        answer = server.get(target, "localhost", f"Cookie: acme_maintenance={token}")
        assert answer.status == expected
        assert not any("maintenance" in cookie for cookie in answer.header("Set-Cookie"))


def test_row_26_a_pass_of_a_tenant_that_was_made_anew_is_none(lived_in: Path) -> None:
    platform = Platform.from_file(lived_in / "tenants.toml")
    token = make_pass(platform, platform.registry["acme"], 60).partition("=")[2]
    shutil.rmtree(lived_in / "var" / "tenants" / "acme")
    set_status(lived_in, "maintenance")
    anew = Platform.from_file(lived_in / "tenants.toml")
    anew.tenant_app("acme")
    assert client_of(anew, "acme").get(f"/?maintenance-pass={token}").status_code == 503


def test_the_command_says_what_it_made(site: Path, made: Path) -> None:
    answer = run(site, "maintenance", "pass", "acme")
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert "has no database yet" in answer.stderr
    assert "tenantry provision acme" in answer.stderr
    shutil.copytree(made, site / "var", dirs_exist_ok=True)
    answer = run(site, "maintenance", "pass", "acme", "--hours", "0.5")
    assert answer.exit_code == 0
    assert answer.stdout.count("\n") == 1
    assert re.search(r"It works until \d{4}-\d\d-\d\dT\d\d:\d\d\+00:00, while", answer.stderr)
    assert "At the moment it is active." in answer.stderr
    wrong = run(site, "maintenance", "pass", "acne")
    assert (wrong.exit_code, "did you mean 'acme'?" in wrong.stderr) == (1, True)
    for hours in ("0", "-1", "1000", "x"):
        assert run(site, "maintenance", "pass", "acme", "--hours", hours).exit_code == 2


# Suspended, archived


def test_suspended_is_a_plain_page_for_everybody(lived_in: Path, serve: Serve) -> None:
    set_status(lived_in, "suspended")
    set_status(lived_in, "suspended", "initech")
    server = serve(lived_in, workers=1)
    expected = server.get("/acme/")
    assert (expected.status, expected.header("Cache-Control")) == (403, ["no-store"])
    assert not re.search("Acme|acme", expected.text)
    for method in ("GET", *UNSAFE, "OPTIONS"):
        for path in ("/", "/help/", "/-/theme.css") if method == "GET" else ("/accounts/log-in",):
            assert ask(server, method, f"/acme{path}").comparable == expected.comparable, (method, path)
            assert ask(server, method, path, host="initech.localhost").comparable == expected.comparable
    assert ask(server, "HEAD", "/acme/").status == 403
    assert json.loads(server.get("/acme/api/v1.0/tasks").text)["status"] == 403


def test_log_ins_end_with_a_suspension_and_tokens_stay(lived_in: Path, serve: Serve) -> None:
    platform = Platform.from_file(lived_in / "tenants.toml")
    acme, globex = client_of(platform, "acme"), client_of(platform, "globex")
    for client in (acme, globex):
        client.log_in("ada")
    with platform.tenant("acme"):
        from datetime import timedelta

        user = db.session.query(User).one()
        token, _ = issue_token(user.id, "program", ("read",), timedelta(days=1))
    bearer = {"Authorization": f"Bearer {token}"}
    assert acme.get("/accounts/").status_code == 200
    set_status(lived_in, "suspended")
    closed = Platform.from_file(lived_in / "tenants.toml")
    assert close_sessions(closed, closed.registry["acme"], time.time()) == 1
    assert close_sessions(closed, closed.registry["acme"], time.time()) == 0
    assert len(closed.live) == 0, "no app is built for it"
    refused = client_of(closed, "acme")
    assert refused.get("/api/v1.0/users/me", headers=bearer).status_code == 403
    set_status(lived_in, "active")
    again = Platform.from_file(lived_in / "tenants.toml")
    later = client_of(again, "acme")
    later._cookies = acme._cookies
    assert later.get("/accounts/").status_code in (302, 401)
    assert later.get("/api/v1.0/users/me", headers=bearer).status_code == 200
    assert globex.get("/accounts/").status_code == 200


def test_the_states_follow_each_other_while_it_is_served(lived_in: Path, serve: Serve) -> None:
    """Edits are taken up by themselves, and a log-in from before a suspension is worth nothing after it."""
    client = client_of(Platform.from_file(lived_in / "tenants.toml"), "acme")
    client.log_in("ada")
    cookie = "Cookie: " + "; ".join(f"{each.key}={each.value}" for each in client._cookies.values())
    server = serve(lived_in, workers=2)

    def ask(method: str = "GET") -> Answer:
        return server.get("/acme/accounts/", "localhost", cookie, method=method)

    def edit_to(status: str, expected: int) -> Answer:
        set_status(lived_in, status)
        server.agree(status, "acme")
        assert {ask().status for _ in range(8)} == {expected}
        return ask()

    assert "ada" in ask().text.lower()
    assert "ada" in edit_to("read-only", 200).text.lower()
    assert ask("POST").status == 503
    assert "Back soon" in edit_to("maintenance", 503).text
    edit_to("active", 200)
    edit_to("suspended", 403)
    anonymous = server.get("/globex/accounts/").status
    edit_to("active", anonymous)
    assert edit_to("archived", 404).comparable == server.get("/nobody/", "localhost").comparable


def test_a_process_that_is_late_ends_no_log_in_from_after_it(lived_in: Path) -> None:
    """Another one has served the tenant again, and somebody logged in there, before this one gets to it."""
    set_status(lived_in, "suspended")
    late = Platform.from_file(lived_in / "tenants.toml")
    set_status(lived_in, "active")
    again = Platform.from_file(lived_in / "tenants.toml")
    before, after = client_of(again, "acme"), client_of(again, "acme")
    before.log_in("ada")
    since = time.time()
    after.log_in("ada")
    late.take_up(Registry.from_file(lived_in / "tenants.toml"), 3, since)
    assert before.get("/accounts/").status_code == 302
    assert after.get("/accounts/").status_code == 200


def test_a_worker_that_starts_late_ends_no_log_in_either(lived_in: Path, serve: Serve) -> None:
    """It begins with what gunicorn's master knows, which may be many generations old."""
    set_status(lived_in, "suspended")
    server = serve(lived_in, workers=1)
    set_status(lived_in, "active")
    wait_until(lambda: server.get("/acme/", "localhost").status == 200)
    client = client_of(Platform.from_file(lived_in / "tenants.toml"), "acme")
    client.log_in("ada")
    cookie = "Cookie: " + "; ".join(f"{each.key}={each.value}" for each in client._cookies.values())
    set_status(lived_in, "read-only", "globex")
    folder = Generations(lived_in / "var", lived_in / "tenants.toml")
    wait_until(lambda: getattr(folder.current(), "number", 0) == 3)
    server.kill_worker()
    server.agree()
    assert server.get("/acme/accounts/", "localhost", cookie).status == 200


def test_who_was_logged_in_before_a_suspension_is_not_after_it(lived_in: Path) -> None:
    """Also where the database is busy, at the one moment and at the other."""
    platform = Platform.from_file(lived_in / "tenants.toml")
    client = client_of(platform, "acme")
    client.log_in("ada")
    platform.databases.close_idle()
    file = lived_in / "tenants.toml"
    with closing(sqlite3.connect(platform.registry["acme"].database_file)) as busy:
        busy.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateError, match="The status is in force, but log-ins could not be ended of 'acme'"):
            set_statuses(file, ["acme"], "suspended")
        with pytest.raises(StateError, match="so these stay suspended: 'acme'"):
            set_statuses(file, ["acme"], "active")
        assert Registry.from_file(file)["acme"].status == "suspended"
        set_statuses(file, ["acme"], "archived")
        with pytest.raises(StateError, match="could not be ended"):
            set_statuses(file, ["acme"], "suspended")
        platform.take_up(Registry.from_file(file))
        assert list(platform.unended) == ["acme"]
        assert list(end_noted(platform)) == ["acme"]
    assert end_noted(platform) == {}
    set_statuses(file, ["acme"], "active")
    again = client_of(Platform.from_file(file), "acme")
    again._cookies = client._cookies
    assert again.get("/accounts/").status_code == 302


def test_a_database_that_is_broken_does_not_keep_a_suspension_up(lived_in: Path, caplog: Any) -> None:
    platform = Platform.from_file(lived_in / "tenants.toml")
    (lived_in / "var" / "tenants" / "acme" / "tenant.db").write_bytes(b"rubbish" * 1000)
    for slug in ("acme", "globex"):
        set_status(lived_in, "suspended", slug)
    client = client_of(platform, "globex")
    client.log_in("ada")
    platform.take_up(Registry.from_file(lived_in / "tenants.toml"))
    assert [client_of(platform, slug).get("/").status_code for slug in ("acme", "globex")] == [403, 403]
    assert "The log-ins of 'acme' could not be ended" in caplog.text
    assert close_sessions(platform, platform.registry["globex"], time.time()) == 0, "it was done already"


def test_there_may_be_no_database_to_end_log_ins_in(site: Path) -> None:
    platform = Platform.from_file(site / "tenants.toml")
    assert close_sessions(platform, platform.registry["acme"], time.time()) == 0
    assert not (site / "var" / "tenants" / "acme" / "tenant.db").exists()


def test_archived_is_as_if_it_never_was(lived_in: Path, serve: Serve) -> None:
    platform = Platform.from_file(lived_in / "tenants.toml")
    token = make_pass(platform, platform.registry["acme"], 60).partition("=")[2]
    set_status(lived_in, "archived")
    set_status(lived_in, "archived", "initech")
    server = serve(lived_in, workers=1)
    for method in ("GET", "HEAD", "OPTIONS", *UNSAFE):
        for path in ("", "/help/", "/api/v1.0/tasks", f"/?maintenance-pass={token}") if method == "GET" else ("/",):
            nobody = ask(server, method, f"/nobody{path}")
            assert ask(server, method, f"/acme{path}").comparable == nobody.comparable
            assert nobody.status == 404
        there, nowhere = (ask(server, method, "/help/", host=host) for host in ("initech.localhost", "n.localhost"))
        assert there.comparable == nowhere.comparable
    for spelling in ("/%61cme/", "/acme%2fx", "/acme;x/", "/ACME/"):
        other = spelling.replace("acme", "nbdy").replace("%61cme", "%6ebdy").replace("ACME", "NBDY")
        assert server.get(spelling).comparable == server.get(other).comparable


def test_no_app_is_built_for_who_is_refused(lived_in: Path) -> None:
    set_status(lived_in, "read-only")
    set_status(lived_in, "suspended", "globex")
    set_status(lived_in, "maintenance", "initech")
    platform = Platform.from_file(lived_in / "tenants.toml")
    assert client_of(platform, "acme").post("/").status_code == 503
    assert client_of(platform, "globex").get("/").status_code == 403
    assert client_of(platform, "initech").get("/api/v1.0/tasks").status_code == 503
    assert (len(platform.live), len(platform.fronts)) == (0, 0)
    assert client_of(platform, "initech").get("/").status_code == 503
    assert (len(platform.live), len(platform.fronts)) == (0, 1)
    assert platform.databases.lent == 0


def test_a_partner_that_is_not_active_is_not_built_and_one_that_is_archived_is_none(site: Path) -> None:
    from tenantry.errors import NotPartners, TenantUnavailable
    from tenantry.services import call, partners

    set_key(site, "acme", 'partners = ["globex"]')
    set_key(site, "globex", 'partners = ["acme"]')
    for status, error in (("maintenance", TenantUnavailable), ("archived", NotPartners)):
        set_status(site, status, "globex")
        platform = Platform.from_file(site / "tenants.toml")
        with platform.tenant("acme"):
            assert [tenant.slug for tenant in partners()] == ([] if status == "archived" else ["globex"])
            with pytest.raises(error):
                call("globex", "/x", {})
        assert len(platform.live) == 1


# Streams


def open_stream(server: Server, target: str, host: str = "localhost") -> socket.socket:
    """Ask, and wait until the answer has begun."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    begun = b""
    while b"\r\n\r\n" not in begun or begun.endswith(b"\r\n\r\n"):
        chunk = connection.recv(1000)
        assert chunk, begun
        begun += chunk
    assert begun.startswith(b"HTTP/1.1 200")
    return connection


def ends(connection: socket.socket, seconds: float) -> bytes | None:
    """All that comes until the other side closes; ``None`` if it has not after so many seconds."""
    deadline, last = time.monotonic() + seconds, b""
    while (left := deadline - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            chunk = connection.recv(65536)
        except TimeoutError:
            return None
        except ConnectionResetError:
            return last
        if not chunk:
            return last
        last = (last + chunk)[-1000:]
    return None


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("tick", "suspended"),
        ("tick", "archived"),
        ("silent", "suspended"),
        ("flood", "archived"),
        ("passed_on", "suspended"),
    ],
)
def test_row_30_a_stream_is_closed_within_five_seconds(own: Path, serve: Serve, kind: str, status: str) -> None:
    """Also where the app has nothing to send, and where the client does not read. Not as if the answer were whole."""
    server = serve(own, workers=1, threads=6)
    theirs = open_stream(server, "/globex/?what=tick")
    ours = open_stream(server, f"/acme/?what={kind}")
    assert server.get("/globex/?what=streams").text == "2"
    set_status(own, status)
    if kind == "flood":
        wait_until(lambda: not is_connected(server, ours))
    last = ends(ours, 15)
    assert last is not None, "it is still open"
    assert not last.endswith(b"0\r\n\r\n"), "it looks like a whole answer"
    assert ends(theirs, 1.5) is None
    theirs.close()
    ours.close()
    if kind != "silent":  # whose thread waits for what it waits for
        wait_until(lambda: server.get("/globex/?what=streams").text == "0")
    assert server.get("/globex/").status == 200
    assert "Traceback" not in server.output()


def is_connected(server: Server, connection: socket.socket) -> bool:
    """Whether the kernel still holds the server's side of a connection open (proc(5), net/tcp: 01 is established)."""
    port = f":{connection.getsockname()[1]:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(line[1].endswith(f":{server.port:04X}") and line[2].endswith(port) and line[3] == "01" for line in lines)


def test_a_connection_that_a_stream_has_left_is_not_closed(own: Path, serve: Serve) -> None:
    """Streams end, and the next request on the same connection may be another tenant's."""
    server = serve(own, workers=1, threads=4)
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    with closing(connection), closing(open_stream(server, "/acme/?what=tick")) as watched:
        for target, text in [("/acme/?what=short", b"0\n1\n2\n"), ("/globex/", b"the site itself")] * 2:
            connection.request("GET", target, headers={"Host": "localhost"})
            assert connection.getresponse().read() == text
        kept = connection.sock
        set_status(own, "suspended")
        assert ends(watched, 15) is not None
        connection.request("GET", "/globex/", headers={"Host": "localhost"})
        assert connection.getresponse().read() == b"the site itself"
        assert connection.sock is kept


def test_a_page_is_no_stream_and_a_stream_that_ends_is_forgotten(own: Path) -> None:
    platform = Platform.from_file(own / "tenants.toml")
    acme = client_of(platform, "acme")
    for path in ("/", "/help/", "/-/theme.css", "/-/static/tenantry.css"):
        acme.get(path)
    assert len(platform.streams) == 0
    assert "tenantry-streams" not in {thread.name for thread in threading.enumerate()}
    answer = acme.get("/?what=tick", buffered=False)
    chunks = iter(answer.response)
    assert next(chunks)
    assert len(platform.streams) == 1
    answer.close()
    wait_until(lambda: "tenantry-streams" not in {thread.name for thread in threading.enumerate()})
    assert len(platform.streams) == 0


def test_a_head_of_a_stream_leaves_nothing_open(own: Path) -> None:
    platform = Platform.from_file(own / "tenants.toml")
    assert client_of(platform, "acme").head("/?what=tick").status_code == 200
    assert len(platform.streams) == 0


def test_the_watch_follows_the_registry_in_force(own: Path) -> None:
    platform = Platform.from_file(own / "tenants.toml")
    answer = client_of(platform, "acme").get("/?what=tick", buffered=False)
    chunks = iter(answer.response)
    assert next(chunks)
    set_status(own, "suspended")
    platform.take_up(Registry.from_file(own / "tenants.toml"))
    with pytest.raises(ConnectionResetError):  # what servers take for a client that is gone
        for _ in range(100):
            next(chunks)
    answer.close()
