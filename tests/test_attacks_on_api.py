"""The attack matrix on every route that there is: rows 24, 25, 27, 37 and 38. The tests walk the URL map, so a route is
covered the day it is added."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from walking import (
    NOBODYS,
    PUBLIC,
    Belongings,
    Walker,
    comparable,
    example_of,
    first_difference,
    furnish,
    operation_of,
    routes,
    shift_ids,
)

from blueprints.projects import services as projects
from blueprints.projects.models import Comment, Project, Task
from conftest import Server
from tenantry import Platform, db
from tenantry.api import PREFIX
from tenantry.organizations import Membership, Organization
from tenantry.testing import client_of, make_platform
from tenantry.users import CurrentUser, User, become

TWO = """
[defaults]
languages = ["en", "de"]
sections = ["help"]
limits = { api_per_minute = 1_000_000 }

[tenants.acme]
title = "Acme"
path = "/acme"

[tenants.globex]
title = "Globex"
hosts = ["globex.localhost"]
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENANTRY_ENV", "production")  # where errors are answered
        made = make_platform(tmp_path_factory.mktemp("site"), TWO)
    made.tenant_app("globex")
    shift_ids(made, "globex")
    yield made
    made.databases.close_idle()


@pytest.fixture(scope="module")
def ada(platform: Platform) -> Belongings:
    return furnish(platform, "acme", "ada")


@pytest.fixture(scope="module")
def bob(platform: Platform, ada: Belongings) -> Belongings:
    """Of the same tenant as ada, and of another organization."""
    return furnish(platform, "acme", "bob", "member")


@pytest.fixture(scope="module")
def zoe(platform: Platform) -> Belongings:
    """Of another tenant."""
    return furnish(platform, "globex", "zoe")


#: What belongs to one organization, or one person, and to nobody else of their own tenant.
PRIVATE = {"organization_id", "membership_id", "project_id", "task_id", "comment_id", "token_id", "login_id"}


def test_the_ids_of_the_tenants_are_others(ada: Belongings, bob: Belongings, zoe: Belongings) -> None:
    for name, value in zoe.ids.items():
        assert value not in (ada.ids[name], bob.ids[name]), name


def test_every_value_of_a_route_is_known_here(platform: Platform, ada: Belongings) -> None:
    named = {name for slug in ("acme", "globex") for rule, _ in routes(platform, slug) for name in rule.arguments}
    assert named - PUBLIC == set(ada.ids)


@pytest.mark.parametrize("whose", ["zoe", "bob"])
def test_row_27_another_ones_id_is_none(
    platform: Platform, ada: Belongings, bob: Belongings, zoe: Belongings, whose: str
) -> None:
    """Every route with an id, by each method, by a browser and by a token: as for no such id."""
    other, names = (zoe, set(ada.ids)) if whose == "zoe" else (bob, PRIVATE)
    browser, program = Walker.of(platform, "acme"), Walker.of(platform, "acme")
    browser.log_in("ada", "admin")
    walked = 0
    for rule, method in routes(platform, "acme"):
        for name in sorted(rule.arguments & names):
            operation = operation_of(platform, "acme", rule, method)
            client, headers = (program, ada.bearer) if operation else (browser, {})
            theirs, nobodys = (
                _path(rule, name, value, ada) for value in (other.ids[name], _none_like(other.ids[name]))
            )
            found = client.ask(method, theirs, operation, headers=headers)
            expected = client.ask(method, nobodys, operation, headers=headers)
            assert found.status_code == 404, f"{method} {theirs} answered {found.status}:\n{found.text[:500]}"
            told = (other.ids[name], _none_like(other.ids[name]))
            if difference := first_difference(comparable(found, *told), comparable(expected, *told)):
                pytest.fail(f"{method} {theirs}: {difference}")
            walked += 1
    assert walked > (40 if whose == "zoe" else 30), "few routes were walked; is the URL map read?"
    _check_untouched(platform, other)


def _none_like(value: Any) -> Any:
    return NOBODYS if isinstance(value, int) else "0" * len(value)


def _path(rule: Any, name: str, value: Any, own: Belongings) -> str:
    """The path of a rule with one value that is another's, and the rest one's own."""
    values = {each: own.ids.get(each, "todo" if each == "state" else "x") for each in rule.arguments} | {name: value}
    defaults = {key: given for key, given in (rule.defaults or {}).items() if key != name}
    _, path = rule.build({**values, **defaults}) or ("", "")
    assert path, f"{rule} cannot be built from {values}"
    return str(path)


def _check_untouched(platform: Platform, other: Belongings) -> None:
    with platform.tenant(other.slug):
        for model, name in (
            (Organization, "organization_id"),
            (Membership, "membership_id"),
            (Project, "project_id"),
            (Task, "task_id"),
            (Comment, "comment_id"),
        ):
            row = db.session.scalar(model.unscoped().where(model.id == other.ids[name]))
            assert row is not None, name
            assert other.username in (
                getattr(row, "name", None) or getattr(row, "title", None) or getattr(row, "body", other.username)
            )


@pytest.mark.parametrize("whose", ["zoe", "bob"])
def test_row_27_another_ones_id_in_a_body_is_none(
    platform: Platform, ada: Belongings, bob: Belongings, zoe: Belongings, whose: str
) -> None:
    other, walked = {"zoe": zoe, "bob": bob}[whose], 0
    client = client_of(platform, "acme")
    for rule, method in routes(platform, "acme"):
        operation = operation_of(platform, "acme", rule, method)
        if operation is None or operation.body is None:
            continue
        names = [name for name in operation.body.model_fields if name.endswith("_id")]
        for name in names:
            path = _path(rule, "", None, ada)
            known = "user_id" if name == "assignee_id" else name
            bodies = [example_of(operation.body, **{**ada.ids, name: value}) for value in (other.ids[known], NOBODYS)]
            found, expected = (client.open(path, method=method, json=body, headers=ada.bearer) for body in bodies)
            assert found.status_code == 409, f"{method} {path} {bodies[0]} answered {found.status} {found.text}"
            assert comparable(found) == comparable(expected)
            walked += 1
    assert walked >= 5


@pytest.mark.parametrize("whose", ["zoe", "bob"])
def test_row_27_another_ones_id_in_a_filter_finds_nothing(
    platform: Platform, ada: Belongings, bob: Belongings, zoe: Belongings, whose: str
) -> None:
    other, walked = {"zoe": zoe, "bob": bob}[whose], 0
    client = client_of(platform, "acme")
    for rule, method in routes(platform, "acme"):
        operation = operation_of(platform, "acme", rule, method)
        if operation is None or operation.query is None or rule.endpoint.endswith(("_csv", "_jsonl")):
            continue
        for name in set(operation.query.model_fields) & PRIVATE:
            found = client.get(f"{rule.rule}?{name}={other.ids[name]}", headers=ada.bearer)
            assert found.status_code == 200, f"{rule.rule}?{name} {found.text}"
            assert found.json["items"] == [], f"{rule.rule} by {name}"
            assert found.json["count"] == 0
            walked += 1
    assert walked > 5


def test_no_list_or_export_shows_what_is_anothers(
    platform: Platform, ada: Belongings, bob: Belongings, zoe: Belongings
) -> None:
    """Every page and operation without an id, read whole: nothing that bob or zoe wrote is in it."""
    browser, program = Walker.of(platform, "acme"), Walker.of(platform, "acme")
    browser.log_in("ada", "admin")
    words = [f"{what} of {who}" for who in ("bob", "zoe") for what in ("organization", "project", "task", "comment")]
    for rule, method in routes(platform, "acme"):
        if (
            method == "GET"
            and not rule.arguments - PUBLIC
            and "filename" not in rule.arguments
            and "token" not in rule.arguments
        ):
            path = _path(rule, "slug", "page-of-ada", ada) if "slug" in rule.arguments else _path(rule, "", None, ada)
            operation = operation_of(platform, "acme", rule, method)
            answer = (program if operation else browser).get(path, headers=ada.bearer if operation else {})
            assert not [word for word in words if word in answer.text], path


@pytest.mark.parametrize("slug", ["acme", "globex"])
def test_rows_24_and_25_a_token_of_elsewhere_is_garbage(
    platform: Platform, ada: Belongings, bob: Belongings, zoe: Belongings, slug: str
) -> None:
    """On every route: another tenant's token answers as garbage does, and no cookie that comes along helps."""
    own, other = (ada, zoe) if slug == "acme" else (zoe, ada)
    client, browser = Walker.of(platform, slug), Walker.of(platform, slug)
    browser.log_in(own.username, "admin")
    garbage = {"Authorization": "Bearer tenantry_garbage"}
    asked, refused = 0, 0
    for rule, method in routes(platform, slug):
        operation = operation_of(platform, slug, rule, method)
        path = _path(rule, "", None, own)
        if (method != "GET" and operation is None) or rule.endpoint.endswith("static"):
            continue  # a file is no answer to anybody in particular, and forms need the session's own CSRF token, which no token's bearer has
        answers = [
            client.ask(method, path, operation, headers=other.bearer),
            client.ask(method, path, operation, headers=garbage),
            browser.ask(method, path, operation, headers=other.bearer),
        ]
        first, *others = [comparable(answer) for answer in answers]
        if operation is None:  # a page may be for everybody, and then says of a visitor with a cookie that it is theirs
            first, *others = [(each[0], each[2]) for each in (first, *others)]
        if difference := next(filter(None, (first_difference(each, first) for each in others)), ""):
            pytest.fail(f"{method} {path}: {difference}")
        asked += 1
        if operation is not None:
            assert answers[0].status_code == 401, f"{method} {path} answered {answers[0].status}"
            refused += 1
    assert refused > 40
    assert asked > refused + 10


def test_row_38_a_token_cannot_mint_a_token(platform: Platform, ada: Belongings) -> None:
    client, browser = client_of(platform, "acme"), Walker.of(platform, "acme")
    browser.log_in("ada", "admin")
    body = {"name": "more", "scopes": ["read"]}
    assert client.post(f"{PREFIX}/tokens", json=body, headers=ada.bearer).status_code == 403
    assert browser.post(f"{PREFIX}/tokens", json=body, headers={"X-CSRF-Token": browser.csrf()}).status_code == 403


BAD_BODIES = {
    "not JSON": (b"{", "application/json", 400),
    "nothing": (b"", "application/json", 400),
    "invalid UTF-8": (b'{"name": "\xff\xfe"}', "application/json", 400),
    "half a surrogate": (b'{"name": "\\ud800"}', "application/json", 400),
    "deep": (b"[" * 100_000 + b"]" * 100_000, "application/json", 400),
    "deep in an object": (b'{"name":' * 10_000 + b"1" + b"}" * 10_000, "application/json", 400),
    "a list": (b"[]", "application/json", 422),
    "null": (b"null", "application/json", 422),
    "a number": (b"1", "application/json", 422),
    "a huge number": (b'{"name": 1' + b"0" * 100_000 + b"}", "application/json", (400, 422)),
    "a number out of range": (
        b'{"organization_id": 1e400, "project_id": 99999999999999999999, "name": "x"}',
        "application/json",
        (400, 422),
    ),
    "not a number": (b'{"name": NaN}', "application/json", (400, 422)),
    "too large": (b'{"name": "' + b"x" * 2_000_000 + b'"}', "application/json", 413),
    "larger than all": (b"x" * 11 * 1024 * 1024, "application/json", 413),
    "a form": (b"name=x", "application/x-www-form-urlencoded", 415),
    "ten thousand fields": (b"&".join(b"a%d=1" % n for n in range(10_000)), "application/x-www-form-urlencoded", 415),
    "text": (b"{}", "text/plain", 415),
    "no media type": (b"{}", "", 415),
    "unknown keys": (b'{"__proto__": 1, "constructor": 2}', "application/json", 422),
    "a control character": (
        b'{"name": "a\\u0000b", "title": "a\\u0000b", "body": "a\\u0000b", "username": "\\u0000", "role": "x", "section": "\\u0000", "is_blocked": 1, "days": 0}',
        "application/json",
        422,
    ),
}


@pytest.mark.parametrize("kind", BAD_BODIES)
def test_row_37_bad_bodies_on_every_operation(platform: Platform, ada: Belongings, kind: str) -> None:
    body, media_type, expected = BAD_BODIES[kind]
    statuses = expected if isinstance(expected, tuple) else (expected,)
    client, asked = client_of(platform, "acme"), 0
    for rule, method in routes(platform, "acme"):
        operation = operation_of(platform, "acme", rule, method)
        if operation is None or operation.body is None:
            continue
        path = _path(rule, "", None, ada)
        answer = client.open(path, method=method, data=body, content_type=media_type, headers=ada.bearer)
        assert answer.status_code in statuses, f"{method} {path} answered {answer.status} {answer.text[:300]}"
        _check_problem(answer)
        asked += 1
    assert asked >= 12


def _check_problem(answer: Any) -> None:
    assert answer.content_type == "application/problem+json"
    problem = json.loads(answer.text)
    assert set(problem) <= {"type", "title", "status", "detail", "errors"}
    assert problem["status"] == answer.status_code
    assert problem["detail"]
    for each in problem.get("errors", ()):
        assert each["message"]
        assert ("pointer" in each) != ("parameter" in each)
        assert each.get("pointer", "/").startswith("/") or each["pointer"] == ""


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "limit=1e3", "limit= 5", "limit=1_0", "limit=9999999999999999999999", "page=0", "page=-1",
     "page=1&page=2", "cursor=x", "cursor=" + "A" * 2000, "cursor=WyJpZCIsMCwxLDFd!", "sort=password_hash", "sort=-", "sort=id;drop", "foo=1", "q=%00", "q="],
)  # fmt: skip
def test_row_37_bad_parameters_on_every_list(platform: Platform, ada: Belongings, query: str) -> None:
    client, asked = client_of(platform, "acme"), 0
    for rule, method in routes(platform, "acme"):
        operation = operation_of(platform, "acme", rule, method)
        if operation is None or operation.query is None:
            continue
        answer = client.get(f"{rule.rule}?{query}", headers=ada.bearer)
        assert answer.status_code in (400, 422), f"{rule.rule}?{query} answered {answer.status} {answer.text[:200]}"
        _check_problem(answer)
        asked += 1
    assert asked >= 8


def test_row_37_cursors_that_were_made_up(platform: Platform, ada: Belongings) -> None:
    """A cursor is read as what anybody might have written: none of them is an error of the server."""
    import base64

    client = client_of(platform, "acme")
    for value in ([], {}, [1], ["id", 0, 1], ["id", 0, 1, 1, 1], ["id", 2, 1, 1], ["id", 0, "x", 1], ["id", 0, None, 1],
                  ["id", 0, 1.5, 1], ["id", 0, 2**70, 1], ["id", 0, 1, 2**70], ["id", 0, [1], 1], ["id", 0, {"a": 1}, 1],
                  ["title", 0, 5, 1], ["created_at", 0, "yesterday", 1], [["id"], 0, 1, 1], ["id", True, True, True], "x", 5, None):  # fmt: skip
        text = base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
        answer = client.get(f"{PREFIX}/tasks?cursor={text}", headers=ada.bearer)
        assert answer.status_code == 400, f"{value}: {answer.status} {answer.text[:200]}"


def test_row_37_paths_that_are_none(platform: Platform, ada: Belongings) -> None:
    client = client_of(platform, "acme")
    for path in (
        "/tasks/x",
        "/tasks/-1",
        "/tasks/1.0",
        "/tasks/99999999999999999999999",
        "/tasks/1/",
        "/none",
        "/tasks/1%2f2",
    ):
        answer = client.get(PREFIX + path, headers=ada.bearer)
        assert answer.status_code == 404, path
        _check_problem(answer)
    answer = client.put(f"{PREFIX}/tasks", headers=ada.bearer)
    assert (answer.status_code, set(answer.headers["Allow"].split(", "))) == (405, {"GET", "HEAD", "OPTIONS", "POST"})
    _check_problem(answer)


EVIL = """<script>alert(1)</script>"'`{{ 7*7 }}{% raw %}</textarea>=HYPERLINK("x")"""


def test_row_38_what_is_written_is_inert_wherever_it_is_shown(platform: Platform) -> None:
    """Every page that shows it escapes it; a spreadsheet is not told a formula."""
    mal = Walker.of(platform, "acme")
    user_id = mal.log_in("mallory", "member").id
    with platform.tenant("acme"):
        user = db.session.get_one(User, user_id)
        user.name = user.about = EVIL[:80]
        become(CurrentUser.of(user, "session"))
        organization = projects.create_organization(EVIL[:80], EVIL)
        project = projects.create_project(organization, EVIL, EVIL)
        task = projects.create_task(project, f"={EVIL}", description=EVIL)
        comment = projects.create_comment(task, EVIL)
        ids = {
            "organization_id": organization.id, "project_id": project.id, "task_id": task.id, "comment_id": comment.id,
            "membership_id": db.session.scalar(Membership.unscoped().where(Membership.user_id == user_id)).id, "user_id": user_id,
        }  # fmt: skip
    own = Belongings("acme", "mallory", ids, "")
    shown = 0
    for rule, method in routes(platform, "acme"):
        if method != "GET" or rule.arguments - set(ids) - {"lang_code"} or rule.endpoint.endswith("static"):
            continue
        answer = mal.get(_path(rule, "lang_code", "en", own))
        if answer.mimetype == "text/html":
            assert "<script>alert" not in answer.text, rule.rule
            assert "49" not in answer.text.replace("…", "") or "7*7" in answer.text, rule.rule
            shown += "alert(1)" in answer.text
        elif answer.mimetype == "text/csv":
            assert "\n=" not in answer.text, rule.rule
            assert ",=" not in answer.text, rule.rule
            assert ',"=' not in answer.text, rule.rule
        elif answer.mimetype == "application/json":
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert shown >= 5


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A real gunicorn, and a token for it."""
    folder: Path = tmp_path_factory.mktemp("wire")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENANTRY_ENV", "production")
        made = make_platform(folder, TWO)
    token = furnish(made, "acme", "ada").token
    made.databases.close_idle()
    started = Server(folder)
    yield started, token
    started.stop()


@pytest.mark.parametrize(("size", "status"), [(1000, 201), (1_048_577, 413), (3_000_000, 413), (12_000_000, 413)])
def test_row_37_a_body_in_chunks_is_not_cut(wire: tuple[Server, str], size: int, status: int) -> None:
    server, token = wire
    start, end = b'{"name": "chunks", "description": "', b'"}'
    body = start + (b"x" * (size - len(start + end)) if status != 201 else b"") + end
    assert status == 201 or len(body) == size
    head = (
        f"POST /acme{PREFIX}/organizations HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head)
        try:
            for start in range(0, len(body), 65536):
                part = body[start : start + 65536]
                connection.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            connection.sendall(b"0\r\n\r\n")
        except OSError:
            pass  # it has answered already, and closed
        answer = connection.recv(65536)
    assert answer.split(b" ")[1] == str(status).encode(), answer[:300]


def test_row_37_a_body_of_exactly_the_limit_is_read(wire: tuple[Server, str]) -> None:
    server, token = wire
    body = b'{"name": "' + b"x" * (1_048_576 - 12) + b'"}'
    answer = server.raw(
        f"POST /acme{PREFIX}/organizations HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        + body
    )
    assert b" 422 " in answer[:30], "it is read, and its name is too long"
