"""The toolkit of the API: results, errors, schemas, lists, conditions, keys, limits, and what a browser may."""

from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from flask import Request
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field
from sqlalchemy import select

from blueprints.projects import services as projects
from blueprints.projects.models import Project
from tenantry import Platform, db, rates
from tenantry.api import PREFIX, ApiBlueprint, Line, Lines, Schema
from tenantry.api.conditions import etag_of
from tenantry.api.idempotency import KeptAnswer
from tenantry.api.streaming import stream_csv
from tenantry.rates import Rates
from tenantry.testing import TenantClient, client_of, make_platform
from tenantry.users import CurrentUser, User, become, hash_password, issue_token


def token_of(platform: Platform, slug: str, username: str, *scopes: str, role: str = "member") -> dict[str, str]:
    user = client_of(platform, slug).log_in(username, role)
    with platform.tenant(slug):
        token, _ = issue_token(user.id, "test", scopes or ("read", "write"), timedelta(days=1))
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def ada(platform: Platform) -> dict[str, str]:
    return token_of(platform, "acme", "ada")


@pytest.fixture
def project(platform: Platform, acme: TenantClient, ada: dict[str, str]) -> int:
    made = acme.post(f"{PREFIX}/organizations", json={"name": "Rockets"}, headers=ada)
    made = acme.post(f"{PREFIX}/projects", json={"organization_id": made.json["id"], "name": "Moon"}, headers=ada)
    return int(made.json["id"])


class NoteIn(Schema):
    """A note."""

    title: Annotated[Line, Field(max_length=20)]
    text: Annotated[Lines, Field(max_length=100)] = ""
    tags: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list)
    due: date | None = None


class Thing:
    def __init__(self, name: str) -> None:
        self.name = name

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "at": datetime(2026, 1, 2)}


class TestPlainViews:
    """The pieces in any blueprint, as an author writes it."""

    @pytest.fixture
    def client(self, tmp_path: Path, write: Callable[[str, str], Path], package: str) -> TenantClient:
        write(
            f"{package}/notes.py",
            """
            from flask import Blueprint, abort
            from sqlalchemy import select
            from tenantry import ApiException, ApiResult, dataschema, paginate
            from tenantry.api import timed
            from tenantry.users import User
            from test_api import NoteIn, Thing
            from pydantic import BaseModel

            bp = Blueprint("notes", __name__)

            class UserOut(BaseModel):
                model_config = {"from_attributes": True}
                id: int
                username: str

            def view(path, function):
                bp.add_url_rule(path, path.strip("/"), function)

            view("/result", lambda: ApiResult({"a": 1}, 201, {"X-A": "b"}))
            view("/empty", lambda: ApiResult(status=204))
            view("/object", lambda: Thing("x"))
            view("/object-and-status", lambda: (Thing("x"), 202, {"X-A": "b"}))
            view("/within", lambda: {"things": [Thing("x"), Thing("y")]})
            view("/text", lambda: "text")
            view("/timed", timed(lambda: ("slow", 203)))
            view("/people", lambda: paginate(select(User), UserOut))

            @bp.get("/refused")
            def refused():
                raise ApiException(409, "Not now.", [{"pointer": "/a", "message": "no"}], {"Retry-After": "5"})

            @bp.get("/gone")
            def gone():
                abort(410)

            @bp.get("/broken")
            def broken():
                raise RuntimeError("secret of the server")

            @bp.post("/notes")
            @dataschema(NoteIn)
            def make(data):
                return ApiResult(data.model_dump(mode="json"), 201)

            @bp.post("/loose")
            @dataschema(NoteIn, extra="remove")
            def loose(data):
                return data.model_dump(mode="json")

            @bp.get("/find")
            @dataschema(NoteIn, source="query")
            def find(data):
                return {"title": data.title}
            """,
        )
        toml = f'[platform]\nblueprints = "{package}"\n[tenants.a]\ntitle = "A"\npath = "/a"\n'
        return client_of(make_platform(tmp_path, toml), "a")

    def test_a_result_has_value_status_and_headers(self, client: TenantClient) -> None:
        answer = client.get("/result")
        assert (answer.status_code, answer.json, answer.headers["X-A"]) == (201, {"a": 1}, "b")
        answer = client.get("/empty")
        assert (answer.status_code, answer.data) == (204, b"")

    def test_objects_know_themselves_as_json(self, client: TenantClient) -> None:
        assert client.get("/object").json["name"] == "x"
        answer = client.get("/object-and-status")
        assert (answer.status_code, answer.json["name"], answer.headers["X-A"]) == (202, "x", "b")
        assert [each["name"] for each in client.get("/within").json["things"]] == ["x", "y"]
        assert client.get("/text").text == "text"

    def test_an_exception_is_a_problem_for_programs_and_a_page_for_people(self, client: TenantClient) -> None:
        answer = client.get("/refused", headers={"Accept": "application/json"})
        assert answer.content_type == "application/problem+json"
        assert answer.json == {
            "type": "about:blank", "title": "Conflict", "status": 409, "detail": "Not now.",
            "errors": [{"pointer": "/a", "message": "no"}],
        }  # fmt: skip
        assert answer.headers["Retry-After"] == "5"
        page = client.get("/refused", headers={"Accept": "text/html,*/*;q=0.8"})
        assert (page.status_code, page.mimetype) == (409, "text/html")
        assert "Not now." in page.text
        assert client.get("/refused").mimetype == "text/html", "a page is what a blueprint's visitors expect"

    @pytest.mark.parametrize(("path", "status"), [("/gone", 410), ("/broken", 500), ("/nowhere", 404)])
    def test_every_error_has_the_one_form(self, client: TenantClient, path: str, status: int) -> None:
        answer = client.get(path, headers={"Accept": "application/problem+json"})
        assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
        assert answer.json["status"] == status
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text

    def test_what_is_sent_is_checked_and_every_mistake_told(self, client: TenantClient) -> None:
        answer = client.post("/notes", json={"title": " Ä ", "due": "2026-01-02"})
        assert (answer.status_code, answer.json["title"], answer.json["due"]) == (201, "Ä", "2026-01-02")
        answer = client.post(
            "/notes",
            json={"titel": "x", "text": 5, "tags": ["a", ""], "due": "soon"},
            headers={"Accept": "*/json, application/json"},
        )
        assert answer.status_code == 422
        told = {each["pointer"]: each["message"] for each in answer.json["errors"]}
        assert set(told) == {"/title", "/titel", "/text", "/tags/1", "/due"}
        assert told["/titel"] == "There is no 'titel' here; did you mean 'title'?"

    def test_keys_that_nobody_knows_are_removed_where_that_is_asked_for(self, client: TenantClient) -> None:
        answer = client.post("/loose", json={"title": "x", "more": 1})
        assert (answer.status_code, "more" in answer.json) == (200, False)

    def test_the_address_is_checked_alike(self, client: TenantClient) -> None:
        assert client.get("/find?title=x").json == {"title": "x"}
        answer = client.get("/find?titel=x", headers={"Accept": "application/json"})
        assert answer.status_code == 422
        assert {each["parameter"] for each in answer.json["errors"]} == {"title", "titel"}

    def test_how_long_it_took(self, client: TenantClient) -> None:
        answer = client.get("/timed")
        assert (answer.status_code, answer.text) == (203, "slow")
        assert 0 <= float(answer.headers["X-Runtime"]) < 5

    def test_a_list_in_parts_in_any_view(self, client: TenantClient) -> None:
        for name in ("ada", "bob", "eve"):
            client.log_in(name)
        first = client.get("/people?limit=2").json
        assert [each["username"] for each in first["items"]] == ["ada", "bob"]
        assert first["count"] == 3
        assert first["prev"] is None
        assert [each["username"] for each in client.get(first["next"].partition("/a")[2]).json["items"]] == ["eve"]


def test_pointers_are_escaped() -> None:
    from tenantry.api.mistakes import pointer

    assert pointer(["a/b", "c~d", 0]) == "/a~1b/c~0d/0"
    assert pointer([]) == ""


class TestLists:
    @pytest.fixture
    def tasks(self, platform: Platform, acme: TenantClient, ada: dict[str, str], project: int) -> list[int]:
        """Twenty-five tasks, of which many are equal in what they may be sorted by."""
        with platform.tenant("acme"):
            user = db.session.scalars(select(User)).one()
            become(CurrentUser.of(user, "session"))
            made = db.session.get(Project, project)
            days = [date(2026, 1, 1 + number % 3) if number % 4 else None for number in range(25)]
            return [
                projects.create_task(
                    made, f"Task {number % 5}", due_on=days[number], state="done" if number % 2 else "todo"
                ).id
                for number in range(25)
            ]

    @pytest.mark.parametrize("sort", ["id", "-id", "title", "-title", "due_on", "-due_on", "created_at", "-updated_at"])
    @pytest.mark.parametrize("limit", [1, 7, 25])
    def test_following_next_and_prev_shows_each_once(
        self, acme: TenantClient, ada: dict[str, str], tasks: list[int], sort: str, limit: int
    ) -> None:
        forth, path = [], f"{PREFIX}/tasks?sort={sort}&limit={limit}"
        while path:
            part = acme.get(path, headers=ada).json
            forth.append([each["id"] for each in part["items"]])
            last, path = path, part["next"] and part["next"].partition("/acme")[2]
            assert part["count"] == 25
        assert sorted(number for part in forth for number in part) == sorted(tasks)
        back, path = [], last
        while path:
            part = acme.get(path, headers=ada).json
            back.append([each["id"] for each in part["items"]])
            path = part["prev"] and part["prev"].partition("/acme")[2]
        assert [number for part in reversed(back) for number in part] == [number for part in forth for number in part]

    def test_pages_by_number(self, acme: TenantClient, ada: dict[str, str], tasks: list[int]) -> None:
        part = acme.get(f"{PREFIX}/tasks?page=2&limit=10&sort=-id", headers=ada)
        assert [each["id"] for each in part.json["items"]] == tasks[::-1][10:20]
        assert part.json["prev"].endswith("?limit=10&sort=-id&page=1")
        assert part.json["next"].endswith("?limit=10&sort=-id&page=3")
        assert part.headers["Link"] == f'<{part.json["prev"]}>; rel="prev", <{part.json["next"]}>; rel="next"'
        assert acme.get(f"{PREFIX}/tasks?page=3&limit=10", headers=ada).json["next"] is None
        beyond = acme.get(f"{PREFIX}/tasks?page=4&limit=10", headers=ada)
        assert beyond.status_code == 404
        assert "the last one is 3" in beyond.json["detail"]

    def test_what_comes_meanwhile_shifts_nothing(
        self, acme: TenantClient, ada: dict[str, str], project: int, tasks: list[int]
    ) -> None:
        first = acme.get(f"{PREFIX}/tasks?sort=-id&limit=5", headers=ada).json
        acme.post(f"{PREFIX}/tasks", json={"project_id": project, "title": "new"}, headers=ada)
        acme.delete(f"{PREFIX}/tasks/{tasks[-1]}", headers=ada)
        second = acme.get(first["next"].partition("/acme")[2], headers=ada).json
        assert [each["id"] for each in second["items"]] == tasks[::-1][5:10]

    def test_filters(self, acme: TenantClient, ada: dict[str, str], project: int, tasks: list[int]) -> None:
        def count(query: str) -> int:
            return int(acme.get(f"{PREFIX}/tasks?{query}", headers=ada).json["count"])

        assert count("state=done") == 12
        assert count("state=done&due_before=2026-01-02") + count("state=done&due_after=2026-01-01") == 12
        assert count("q=task 3") == 5
        assert count("q=%25") == 0, "no wildcard"
        assert count(f"project_id={project}") == 25
        assert count("project_id=77") == 0

    def test_exports(self, acme: TenantClient, ada: dict[str, str], tasks: list[int]) -> None:
        answer = acme.get(f"{PREFIX}/tasks.csv?state=done&sort=-id", headers=ada)
        assert answer.content_type.startswith("text/csv")
        assert answer.headers["Content-Disposition"] == 'attachment; filename="tasks.csv"'
        lines = answer.text.splitlines()
        assert lines[0].startswith("id,organization_id,project_id,title")
        assert [int(line.partition(",")[0]) for line in lines[1:]] == sorted(tasks[1::2], reverse=True)
        answer = acme.get(f"{PREFIX}/tasks.jsonl", headers=ada)
        rows = [json.loads(line) for line in answer.text.splitlines()]
        assert rows == acme.get(f"{PREFIX}/tasks?limit=200", headers=ada).json["items"]


def test_a_stream_reads_in_a_context_of_its_own(platform: Platform, acme: TenantClient) -> None:
    """What is read while the answer is sent is read in the tenant's context, by who asks, and given back at its end."""
    from tenantry import current_tenant, current_user

    seen: list[Any] = []

    class Row(Schema):
        name: str

    def rows() -> Iterator[list[Any]]:
        for row in db.session.execute(select(User.username.label("name"))).all():
            seen.append((current_tenant.slug, current_user.username, platform.databases.lent))
            yield [User(name=row.name)]

    app = platform.tenant_app("acme")
    app.view_functions["demo.hello"] = lambda: stream_csv(rows, Row, "x.csv")
    acme.log_in("ada")
    assert acme.get("/demo/").text == "name\r\nada\r\n"
    assert seen == [("acme", "ada", 1)] or seen == [("acme", "", 1)]
    assert platform.databases.lent == 0


def test_cells_are_no_formulas(platform: Platform, acme: TenantClient, ada: dict[str, str], project: int) -> None:
    for title in ("=1+1", "+1", "-1", "@x", 'say "hi", all'):
        assert (
            acme.post(f"{PREFIX}/tasks", json={"project_id": project, "title": title}, headers=ada).status_code == 201
        )
    text = acme.get(f"{PREFIX}/tasks.csv", headers=ada).text
    for cell in (",'=1+1,", ",'+1,", ",'-1,", ",'@x,", ',"say ""hi"", all",'):
        assert cell in text


class TestConditions:
    @pytest.fixture
    def task(self, acme: TenantClient, ada: dict[str, str], project: int) -> Any:
        return acme.post(f"{PREFIX}/tasks", json={"project_id": project, "title": "Fly"}, headers=ada)

    def test_what_one_has_is_not_sent_again(self, acme: TenantClient, ada: dict[str, str], task: Any) -> None:
        path = task.headers["Location"].removeprefix("/acme")
        etag = acme.get(path, headers=ada).headers["ETag"]
        assert etag == task.headers["ETag"] == f'"{etag_of(task.data)}"'
        again = acme.get(path, headers={**ada, "If-None-Match": etag})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)

    def test_a_lost_update_is_refused(self, acme: TenantClient, ada: dict[str, str], task: Any) -> None:
        path, etag = task.headers["Location"].removeprefix("/acme"), task.headers["ETag"]
        first = acme.patch(path, json={"title": "Fly high"}, headers={**ada, "If-Match": etag})
        assert (first.status_code, first.json["title"]) == (200, "Fly high")
        second = acme.patch(path, json={"title": "Fly low"}, headers={**ada, "If-Match": etag})
        assert second.status_code == 412
        assert acme.get(path, headers=ada).json["title"] == "Fly high"
        assert (
            acme.patch(path, json={"title": "Fly low"}, headers={**ada, "If-Match": first.headers["ETag"]}).status_code
            == 200
        )
        assert acme.delete(path, headers={**ada, "If-Match": etag}).status_code == 412
        assert acme.delete(path, headers={**ada, "If-Match": "*"}).status_code == 204

    def test_every_operation_that_changes_an_item_takes_if_match(self, platform: Platform) -> None:
        for blueprint in platform.tenant_app("acme").blueprints.values():
            for operation in blueprint.operations.values() if isinstance(blueprint, ApiBlueprint) else ():
                assert operation.conditional == (operation.method in ("PATCH", "DELETE")), operation.rule

    def test_nothing_is_changed_by_nothing(self, acme: TenantClient, ada: dict[str, str], task: Any) -> None:
        path = task.headers["Location"].removeprefix("/acme")
        same = acme.patch(path, json={}, headers=ada)
        assert (same.status_code, same.headers["ETag"]) == (200, task.headers["ETag"])

    def test_eight_at_once_with_one_etag_change_it_once(
        self, platform: Platform, ada: dict[str, str], task: Any
    ) -> None:
        path, etag = task.headers["Location"].removeprefix("/acme"), task.headers["ETag"]
        statuses: list[int] = []

        def change(number: int) -> None:
            client = client_of(platform, "acme")
            answer = client.patch(path, json={"title": f"by {number}"}, headers={**ada, "If-Match": etag})
            statuses.append(answer.status_code)

        threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200] + [412] * 7


class TestWords:
    """What is told to people, and what they look for, is in their words."""

    @pytest.mark.parametrize(
        ("field", "value", "told"),
        [
            ("title", "x" * 201, "It has 201 characters; expected 200 at the most."),
            ("title", "  ", "It is empty; expected some text."),
            ("title", "a\nb", "It has an end of a line"),
            ("title", "a\u202eb", "It has a character that cannot be seen (U+202E)"),
            ("title", "\u3164", "It has nothing that can be seen"),
            ("title", "a\tb", "It has a character that cannot be seen (U+0009)"),
            ("description", "one\n\ttwo\u202e", "It has a character that cannot be seen (U+202E)"),
            ("description", "one\rtwo", "It has an end of a line"),
            ("due_on", "tomorrow", "Found 'tomorrow'; expected a day, as 2026-02-28."),
            ("due_on", "2026-02-30", "There is no such day."),
            ("due_on", "0226-02-3", "Found '0226-02-3'"),
            ("titel", "x", "There is no 'titel' here; did you mean 'title'?"),
        ],
    )
    def test_mistakes(
        self, acme: TenantClient, ada: dict[str, str], project: int, field: str, value: str, told: str
    ) -> None:
        body = {"project_id": project, "title": "x", field: value}
        answer = acme.post(f"{PREFIX}/tasks", json=body, headers=ada)
        assert answer.status_code == 422
        assert [each["pointer"] for each in answer.json["errors"]] == [f"/{field}"]
        assert answer.json["errors"][0]["message"].startswith(told)

    def test_a_mistake_does_not_keep_its_request(self, acme: TenantClient, ada: dict[str, str], project: int) -> None:
        """An error of a validator in Python holds frames, and pydantic's, which holds that, is not traversed."""

        def requests() -> int:
            gc.collect()
            return sum(isinstance(each, Request) for each in gc.get_objects())

        before = requests()
        for _ in range(3):
            acme.post(f"{PREFIX}/tasks", json={"project_id": project, "title": "x", "due_on": "tomorrow"}, headers=ada)
        assert requests() == before

    def test_an_empty_body(self, acme: TenantClient, ada: dict[str, str]) -> None:
        answer = acme.post(f"{PREFIX}/tasks", data="", content_type="application/json", headers=ada)
        assert (answer.status_code, "It is empty; expected an object." in answer.json["detail"]) == (400, True)

    def test_how_large_a_body_may_be(self, acme: TenantClient, ada: dict[str, str]) -> None:
        answer = acme.post(f"{PREFIX}/tasks", json={"title": "x" * 1_100_000}, headers=ada)
        assert (answer.status_code, answer.json["detail"]) == (413, "The body is too large; the most is 1024 KiB.")

    def test_which_scope_a_token_needs(self, platform: Platform, acme: TenantClient) -> None:
        answer = acme.post(f"{PREFIX}/tasks", json={}, headers=token_of(platform, "acme", "bob", "read"))
        assert (answer.status_code, "the scope 'write'" in answer.json["detail"]) == (403, True)

    def test_nothing_has_no_type(self, acme: TenantClient, ada: dict[str, str], project: int) -> None:
        answer = acme.delete(f"{PREFIX}/projects/{project}", headers=ada)
        assert (answer.status_code, "Content-Type" in answer.headers, answer.data) == (204, False, b"")

    def test_case_is_no_difference_beyond_ascii_either(
        self, acme: TenantClient, ada: dict[str, str], project: int
    ) -> None:
        for title in ("Zebra", "Äpfel", "apple", "äther"):
            acme.post(f"{PREFIX}/tasks", json={"project_id": project, "title": title}, headers=ada)
        found = acme.get(f"{PREFIX}/tasks", query_string={"q": "äP"}, headers=ada).json
        assert [each["title"] for each in found["items"]] == ["Äpfel"]
        seen, at = [], f"{PREFIX}/tasks?sort=title&limit=1"
        while at:
            part = acme.get(at, headers=ada).json
            seen += [each["title"] for each in part["items"]]
            at = (part["next"] or "").removeprefix("http://localhost/acme")
        assert seen == ["apple", "Zebra", "Äpfel", "äther"]


class TestKeys:
    def test_the_same_request_is_carried_out_once(self, acme: TenantClient, ada: dict[str, str], project: int) -> None:
        headers = {**ada, "Idempotency-Key": "first"}
        body = {"project_id": project, "title": "Once"}
        answers = [acme.post(f"{PREFIX}/tasks", json=body, headers=headers) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {201}
        assert len({(answer.text, answer.headers["ETag"], answer.headers["Location"]) for answer in answers}) == 1
        assert [answer.headers.get("Idempotency-Replayed") for answer in answers] == [None, "true", "true"]
        assert acme.get(f"{PREFIX}/tasks", headers=ada).json["count"] == 1

    def test_a_key_is_for_one_request(self, acme: TenantClient, ada: dict[str, str], project: int) -> None:
        headers = {**ada, "Idempotency-Key": "first"}
        acme.post(f"{PREFIX}/tasks", json={"project_id": project, "title": "a"}, headers=headers)
        other = acme.post(f"{PREFIX}/tasks", json={"project_id": project, "title": "b"}, headers=headers)
        assert other.status_code == 422
        assert "another request" in other.json["detail"]

    def test_a_key_is_its_users(self, platform: Platform, acme: TenantClient, ada: dict[str, str]) -> None:
        for headers in (ada, token_of(platform, "acme", "bob")):
            answer = acme.post(
                f"{PREFIX}/organizations", json={"name": "x"}, headers={**headers, "Idempotency-Key": "k"}
            )
            assert "Idempotency-Replayed" not in answer.headers

    def test_who_has_left_gets_no_answer_again(
        self, platform: Platform, acme: TenantClient, ada: dict[str, str], project: int
    ) -> None:
        headers = {**token_of(platform, "acme", "bob"), "Idempotency-Key": "k"}
        (organization,) = acme.get(f"{PREFIX}/organizations", headers=ada).json["items"]
        members = f"{PREFIX}/organizations/{organization['id']}/memberships"
        membership = acme.post(members, json={"username": "bob", "role": "member"}, headers=ada)
        body = {"project_id": project, "title": "Theirs"}
        assert [acme.post(f"{PREFIX}/tasks", json=body, headers=headers).status_code for _ in range(2)] == [201, 201]
        assert acme.delete(membership.headers["Location"].removeprefix("/acme"), headers=ada).status_code == 204
        answer = acme.post(f"{PREFIX}/tasks", json=body, headers=headers)
        assert answer.status_code == 404
        assert "Theirs" not in answer.text

    def test_what_failed_is_tried_again(self, acme: TenantClient, ada: dict[str, str], project: int) -> None:
        headers = {**ada, "Idempotency-Key": "first"}
        assert acme.post(f"{PREFIX}/tasks", json={"project_id": 99, "title": "a"}, headers=headers).status_code == 409
        assert acme.post(f"{PREFIX}/tasks", json={"project_id": 99, "title": "a"}, headers=headers).status_code == 409
        assert (
            acme.post(f"{PREFIX}/tasks", json={"project_id": project, "title": "a"}, headers=headers).status_code == 201
        )

    @pytest.mark.parametrize("key", ["", "x" * 201, "ä", "a\tb"])
    def test_keys_that_are_none(self, acme: TenantClient, ada: dict[str, str], key: str) -> None:
        answer = acme.post(f"{PREFIX}/organizations", json={"name": "x"}, headers={**ada, "Idempotency-Key": key})
        assert answer.status_code == 400
        assert acme.get(f"{PREFIX}/organizations", headers=ada).json["count"] == 0

    def test_many_at_once_do_it_once(self, platform: Platform, ada: dict[str, str]) -> None:
        answers: list[Any] = []

        def send() -> None:
            client = client_of(platform, "acme")
            headers = {**ada, "Idempotency-Key": "one"}
            answers.append(client.post(f"{PREFIX}/organizations", json={"name": "x"}, headers=headers))

        threads = [threading.Thread(target=send) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json["id"] for answer in answers}) == 1

    def test_a_secret_is_not_kept(self, platform: Platform, acme: TenantClient) -> None:
        basic = _with_password(platform, "ada")
        headers, body = {**basic, "Idempotency-Key": "t"}, {"name": "x", "scopes": ["read"]}
        first = acme.post(f"{PREFIX}/tokens", json=body, headers=headers)
        assert first.status_code == 201
        again = acme.post(f"{PREFIX}/tokens", json=body, headers=headers)
        assert again.status_code == 409
        with platform.tenant("acme"):
            (kept,) = db.session.scalars(select(KeptAnswer)).all()
            assert kept.body is None
            assert first.json["token"] not in kept.headers
        assert acme.get(f"{PREFIX}/tokens", headers=basic).json["count"] == 1

    def test_they_are_forgotten_after_a_day(self, platform: Platform, acme: TenantClient, ada: dict[str, str]) -> None:
        headers = {**ada, "Idempotency-Key": "k"}
        acme.post(f"{PREFIX}/organizations", json={"name": "x"}, headers=headers)
        with platform.tenant("acme"):
            db.session.scalars(select(KeptAnswer)).one().expires_at = datetime(2020, 1, 1)
        assert (
            "Idempotency-Replayed"
            not in acme.post(f"{PREFIX}/organizations", json={"name": "x"}, headers=headers).headers
        )
        assert acme.get(f"{PREFIX}/organizations", headers=ada).json["count"] == 2


def _with_password(platform: Platform, username: str) -> dict[str, str]:
    from base64 import b64encode

    user = client_of(platform, "acme").log_in(username)
    with platform.tenant("acme"):
        db.session.get_one(User, user.id).password_hash = hash_password("correct horse battery")
    pair = b64encode(f"{username}:correct horse battery".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


class TestWhoAsks:
    def test_password_and_token(self, platform: Platform, acme: TenantClient) -> None:
        basic = _with_password(platform, "ada")
        assert acme.get(f"{PREFIX}/users/me", headers=basic).json["username"] == "ada"
        made = acme.post(f"{PREFIX}/tokens", json={"name": "x", "scopes": ["read"], "days": 7}, headers=basic)
        assert made.status_code == 201
        bearer = {"Authorization": f"Bearer {made.json['token']}"}
        assert acme.get(f"{PREFIX}/users/me", headers=bearer).json["email"] == "ada@example.com"
        assert acme.post(f"{PREFIX}/organizations", json={"name": "x"}, headers=bearer).status_code == 403, (
            "it only reads"
        )
        assert acme.post(f"{PREFIX}/tokens", json={"name": "y", "scopes": ["read"]}, headers=bearer).status_code == 403
        assert "token" not in acme.get(made.headers["Location"].removeprefix("/acme"), headers=basic).json
        assert acme.delete(made.headers["Location"].removeprefix("/acme"), headers=basic).status_code == 204
        assert acme.get(f"{PREFIX}/users/me", headers=bearer).status_code == 401

    def test_nobody(self, acme: TenantClient) -> None:
        answer = acme.get(f"{PREFIX}/tasks")
        assert (answer.status_code, answer.content_type) == (401, "application/problem+json")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        page = acme.get(f"{PREFIX}/tasks", headers={"Accept": "text/html"})
        assert (page.status_code, page.mimetype) == (401, "text/html"), "and no way to the log-in, as at a page"

    def test_a_browsers_session_needs_the_token_of_our_own_page(self, acme: TenantClient) -> None:
        import re

        acme.log_in("ada")
        assert acme.get(f"{PREFIX}/organizations").status_code == 200
        refused = acme.post(f"{PREFIX}/organizations", json={"name": "x"})
        assert refused.status_code == 403
        assert "X-CSRF-Token" in refused.json["detail"]
        csrf = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', acme.get("/accounts/").text)
        assert csrf
        assert (
            acme.post(f"{PREFIX}/organizations", json={"name": "x"}, headers={"X-CSRF-Token": csrf[1]}).status_code
            == 201
        )

    def test_answers_are_ones_own(self, acme: TenantClient, ada: dict[str, str]) -> None:
        answer = acme.get(f"{PREFIX}/tasks", headers=ada)
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert {"Authorization", "Cookie"} <= set(answer.headers["Vary"].split(", "))

    def test_administration(self, platform: Platform, acme: TenantClient, ada: dict[str, str]) -> None:
        root = token_of(platform, "acme", "root", role="admin")
        bob = token_of(platform, "acme", "bob")
        path = f"{PREFIX}/users/{acme.get(f'{PREFIX}/users/me', headers=bob).json['id']}"
        assert acme.patch(path, json={"role": "staff"}, headers=ada).status_code == 403
        assert acme.patch(path, json={"role": "staff"}, headers=root).json["role"] == "staff"
        assert acme.patch(path, json={"is_blocked": True}, headers=root).status_code == 200
        assert acme.get(f"{PREFIX}/users/me", headers=bob).status_code == 401
        assert acme.get(path, headers=ada).status_code == 404
        assert acme.get(path, headers=root).json["is_blocked"] is True
        blocked = {"is_blocked": "true"}
        assert acme.get(f"{PREFIX}/users", headers=ada, query_string=blocked).json["count"] == 0
        (found,) = acme.get(f"{PREFIX}/users", headers=root, query_string=blocked).json["items"]
        assert found["username"] == "bob"
        told = acme.get(f"{PREFIX}/events", headers=ada, query_string={"kind": "user.changed"}).json["items"]
        assert [each["subject_id"] for each in told] == [found["id"]]
        own = f"{PREFIX}/users/{acme.get(f'{PREFIX}/users/me', headers=root).json['id']}"
        assert acme.patch(own, json={"role": "member"}, headers=root).status_code == 409

    def test_oneself(self, acme: TenantClient, ada: dict[str, str]) -> None:
        path = f"{PREFIX}/users/me"
        changed = acme.patch(path, json={"name": "Ada L.", "timezone": "Europe/Berlin", "language": "de"}, headers=ada)
        assert (changed.status_code, changed.json["name"], changed.json["language"]) == (200, "Ada L.", "de")
        for body in ({"language": "fr"}, {"timezone": "Mars/Olympus"}):
            refused = acme.patch(path, json=body, headers=ada)
            assert refused.status_code == 409
            assert refused.json["errors"][0]["pointer"] == f"/{next(iter(body))}"
        assert acme.patch(path, json={"role": "admin"}, headers=ada).status_code == 422


class TestLimits:
    @pytest.fixture
    def tenants_toml(self) -> str:
        return '[tenants.acme]\ntitle = "Acme"\npath = "/acme"\nlimits = { api_per_minute = 3 }\n[tenants.globex]\npath = "/globex"\n'

    @pytest.fixture
    def standing_still(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """A clock for the counters that does not go on by itself."""
        moment = [1_000_000_020.0]
        monkeypatch.setattr(rates.time, "time", lambda: moment[0])
        return moment

    def test_headers_say_what_is_left_and_429_when(
        self, platform: Platform, acme: TenantClient, standing_still: list[float]
    ) -> None:
        from tenantry import rates

        usages = [platform.rates.count("x", 3) for _ in range(4)]
        assert [(usage.remaining, usage.is_over) for usage in usages] == [(2, False), (1, False), (0, False), (0, True)]
        assert usages[0].reset == rates.WINDOW - standing_still[0] % rates.WINDOW
        standing_still[0] += rates.WINDOW
        assert platform.rates.count("x", 3).remaining == 2

    def test_each_user_has_their_own(self, platform: Platform, acme: TenantClient, ada: dict[str, str]) -> None:
        bob = token_of(platform, "acme", "bob")
        while 60 - time.time() % 60 < 10:  # not at the turn of a minute
            time.sleep(1)
        answers = [acme.get(f"{PREFIX}/users/me", headers=ada) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
        assert {answer.headers["RateLimit-Limit"] for answer in answers} == {"3"}
        assert answers[3].headers["RateLimit-Policy"] == "3;w=60"
        assert 0 < int(answers[3].headers["Retry-After"]) <= 60
        assert answers[3].headers["Retry-After"] == answers[3].headers["RateLimit-Reset"]
        assert answers[3].json["status"] == 429
        assert acme.get(f"{PREFIX}/users/me", headers=bob).status_code == 200
        assert client_of(platform, "globex").get(f"{PREFIX}/openapi.json").headers["RateLimit-Limit"] == "600"

    def test_garbage_is_counted_by_its_address(self, acme: TenantClient) -> None:
        while 60 - time.time() % 60 < 10:
            time.sleep(1)
        garbage = {"Authorization": "Bearer tenantry_x"}
        assert [acme.get(f"{PREFIX}/tasks", headers=garbage).status_code for _ in range(4)] == [401, 401, 401, 429]

    def test_many_processes_count_together(self, tmp_path: Path) -> None:
        import multiprocessing

        context = multiprocessing.get_context("spawn")
        with context.Pool(4) as pool:
            pool.starmap(_count_in_one_minute, [(tmp_path / "rates", 250)] * 4)
        assert _count_in_one_minute(tmp_path / "rates", 1) == 1001

    def test_a_disk_that_is_full_refuses_nobody(
        self, platform: Platform, acme: TenantClient, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*args: Any) -> Any:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(platform.rates, "count", fail)
        answer = acme.get(f"{PREFIX}/users/me", headers=ada)
        assert (answer.status_code, "RateLimit-Limit" in answer.headers) == (200, False)


def _count_in_one_minute(path: Path, times: int) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rates.time, "time", lambda: 90.0)
        counters = Rates(path)
        return [counters.count("all", 10_000).count for _ in range(times)][-1]


class TestElsewhere:
    """Pages of other origins (CORS)."""

    @pytest.fixture
    def tenants_toml(self) -> str:
        return """
        [tenants.acme]
        path = "/acme"
        cors_origins = ["https://app.example.com", "http://localhost:3000"]
        [tenants.globex]
        path = "/globex"
        [tenants.open]
        path = "/open"
        cors_origins = ["*"]
        """

    def test_a_named_origin_may_read(self, acme: TenantClient, ada: dict[str, str]) -> None:
        answer = acme.get(f"{PREFIX}/tasks", headers={**ada, "Origin": "https://app.example.com"})
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
        assert "Origin" in answer.headers["Vary"]

    def test_so_it_may_an_error(self, acme: TenantClient) -> None:
        answer = acme.get(f"{PREFIX}/tasks", headers={"Origin": "https://app.example.com"})
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (401, "https://app.example.com")

    @pytest.mark.parametrize(
        "origin", ["https://evil.example", "https://app.example.com.evil.example", "null", "http://app.example.com", ""]
    )
    def test_others_may_not(self, acme: TenantClient, origin: str) -> None:
        answer = acme.get(f"{PREFIX}/tasks", headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Origin" in answer.headers["Vary"]

    def test_another_tenants_origin_is_none(self, platform: Platform) -> None:
        answer = client_of(platform, "globex").get(f"{PREFIX}/tasks", headers={"Origin": "https://app.example.com"})
        assert "Access-Control-Allow-Origin" not in answer.headers

    def test_asking_first(self, acme: TenantClient) -> None:
        asked = {
            "Origin": "https://app.example.com",
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization",
        }
        answer = acme.open(f"{PREFIX}/tasks/1", method="OPTIONS", headers=asked)
        assert answer.status_code == 200
        assert {"PATCH", "DELETE", "GET"} <= set(answer.headers["Access-Control-Allow-Methods"].split(", "))
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        assert "If-Match" in answer.headers["Access-Control-Allow-Headers"]

    def test_everybody(self, platform: Platform) -> None:
        answer = client_of(platform, "open").get(f"{PREFIX}/tasks", headers={"Origin": "https://any.example"})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


class TestFeatures:
    @pytest.fixture
    def tenants_toml(self) -> str:
        return """
        [tenants.acme]
        path = "/acme"
        features = ["front", "accounts", "projects"]
        [tenants.globex]
        path = "/globex"
        features = ["api", "front", "accounts"]
        """

    def test_a_tenant_has_what_its_features_say_in_any_order(self, platform: Platform, acme: TenantClient) -> None:
        rules = {
            slug: {rule.rule for rule in platform.tenant_app(slug).url_map.iter_rules()} for slug in ("acme", "globex")
        }
        assert not [rule for rule in rules["acme"] if rule.startswith(PREFIX)]
        assert f"{PREFIX}/users" in rules["globex"]
        assert f"{PREFIX}/tasks" not in rules["globex"]
        assert acme.get(f"{PREFIX}/tasks").status_code == 404


class Named(Schema):
    name: Annotated[Line, Field(max_length=50)]
    text: Annotated[Lines, Field(max_length=50)] = ""


@settings(max_examples=200)
@given(st.text(max_size=50))
def test_what_the_pattern_takes_is_clean(text: str) -> None:
    """A line that is taken has no control characters, nothing that turns, and something to be seen."""
    import unicodedata

    from pydantic import ValidationError

    try:
        taken = Named.model_validate_json(json.dumps({"name": text})).name
    except ValidationError:
        return
    assert taken == unicodedata.normalize("NFC", taken)
    assert taken.strip() == taken != ""
    assert not [each for each in taken if unicodedata.category(each) in ("Cc", "Zl", "Zp")]


@pytest.mark.parametrize(
    "text", ["a\u202eb", "\u200b", "\u2066", " ", "\t", "a\nb", "\x00", "\ufeff", "\u00ad", "\u2028"]
)
def test_what_cannot_be_seen_is_no_line(text: str) -> None:
    from pydantic import ValidationError

    with pytest.raises(ValidationError):
        Named(name=text)
