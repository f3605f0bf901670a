"""The API's document holds every route, status, header and field, and nothing else; and the page of it shows it all."""

from __future__ import annotations

import json
import os
import re
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from html import unescape
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31
from walking import NOBODYS, Belongings, furnish
from werkzeug.test import TestResponse

from blueprints.projects.api.schemas import TaskOut
from browsing import Person, chromium
from conftest import Server
from tenantry import Platform, db
from tenantry.api import PREFIX, ApiBlueprint, api_blueprints, example_of, shared_document
from tenantry.api.openapi import path_of, statuses_of
from tenantry.testing import client_of, make_platform
from tenantry.users import User, hash_password

TOML = """
[defaults]
sections = ["help"]
limits = { api_per_minute = 1_000_000 }
[tenants.acme]
title = "Acme"
path = "/acme"
[tenants.globex]
title = "Globex"
hosts = ["globex.localhost"]
[tenants.small]
title = "Small"
path = "/small"
features = ["front", "accounts", "api"]
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENANTRY_ENV", "production")
        made = make_platform(tmp_path_factory.mktemp("site"), TOML)
    yield made
    made.databases.close_idle()


@pytest.fixture(scope="module")
def ada(platform: Platform) -> Belongings:
    client_of(platform, "acme").log_in("bob")
    return furnish(platform, "acme", "ada")


@pytest.fixture(scope="module")
def document(platform: Platform) -> Any:
    return client_of(platform, "acme").get(f"{PREFIX}/openapi.json").json


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_it_is_openapi_3_1_and_names_its_door(platform: Platform, document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"] == "Acme: API"
    assert document["servers"] == [{"url": "http://localhost/acme/api/v1.0"}]
    other = client_of(platform, "globex").get(f"{PREFIX}/openapi.json").json
    assert other["servers"] == [{"url": "http://globex.localhost/api/v1.0"}]
    assert {**other, "info": 0, "servers": 0} == {**document, "info": 0, "servers": 0}
    assert "Acme" not in json.dumps({**document, "info": 0})


def test_it_is_made_once_for_all_who_have_the_same(platform: Platform) -> None:
    parts = [shared_document(api_blueprints(platform.tenant_app(slug))) for slug in ("acme", "globex", "small")]
    assert parts[0] is parts[1]
    assert parts[2] is not parts[0]
    assert "/tasks" not in parts[2]["paths"]


def test_every_route_is_in_it_and_no_other(platform: Platform, document: Any) -> None:
    app = platform.tenant_app("acme")
    routes = {
        (method, path_of(rule.rule.removeprefix(PREFIX)))
        for rule in app.url_map.iter_rules()
        if isinstance(app.blueprints.get(rule.endpoint.rpartition(".")[0]), ApiBlueprint)
        and rule.endpoint != "api.page"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(method, path) for method, path, _ in operations(document)} == routes
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names)) > 50


def test_it_is_valid(document: Any) -> None:
    jsonschema_rs.validate(OPENAPI_31, document)
    for schema in document["components"]["schemas"].values():
        assert jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})


def test_every_operation_says_what_it_does_and_who_may(platform: Platform, document: Any) -> None:
    for method, path, operation in operations(document):
        assert operation["summary"], (method, path)
        assert all(each["description"] for each in operation["parameters"]), (method, path)
        assert {each["name"] for each in operation["parameters"] if each.get("required")} == set(
            re.findall(r"{(\w+)}", path)
        )
        wanted = (
            [{"token": ["read"]}, {"password": []}] if method == "GET" else [{"token": ["write"]}, {"password": []}]
        )
        special = {"get_document": [{}], "create_token": [{"password": []}]}
        found = operation.get("security", document["security"])
        assert found == special.get(operation["operationId"], wanted), (method, path)


def test_what_is_made_leads_to_what_can_be_done_with_it(document: Any) -> None:
    known = {operation["operationId"]: operation for _, _, operation in operations(document)}
    linked = {
        name: operation["responses"]["201"]["links"]
        for name, operation in known.items()
        if "201" in operation["responses"]
    }
    assert set(linked) == {name for name in known if name.startswith("create_")}
    for links in linked.values():
        for name, link in links.items():
            needed = {each["name"] for each in known[name]["parameters"] if each.get("required")}
            assert set(link.get("parameters", ())) == needed
            if "requestBody" in link:
                sent = known[name]["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                assert set(link["requestBody"]) <= set(document["components"]["schemas"][sent]["required"])
    assert set(linked["create_organization"]) == {
        "get_organization", "change_organization", "delete_organization", "create_membership", "create_project",
    }  # fmt: skip


def test_every_status_of_row_37_is_in_it(document: Any) -> None:
    found = {status for _, _, operation in operations(document) for status in operation["responses"]}
    assert found >= {"200", "201", "204", "304", *map(str, (400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500))}


def test_every_field_is_in_it(document: Any) -> None:
    schemas = document["components"]["schemas"]
    assert set(schemas["TaskOut"]["properties"]) == set(TaskOut.model_fields) == set(schemas["TaskOut"]["required"])
    for name, schema in schemas.items():
        assert schema.get("properties"), name
        assert schema.get("description"), name


def test_every_reference_leads_somewhere(document: Any) -> None:
    for target in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        found: Any = document
        for part in target.split("/"):
            found = found[part]
        assert found


def test_every_example_fits_and_every_pattern_is_ecmas(document: Any) -> None:
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        example = example_of(schema, schemas)
        jsonschema_rs.validate({**schema, "components": {"schemas": schemas}}, example)


#: Headers that HTTP itself has, or that all answers of a tenant have.
NOT_OURS = {
    "cache-control", "content-length", "content-security-policy", "content-type", "cross-origin-opener-policy", "date",
    "permissions-policy", "referrer-policy", "strict-transport-security", "vary", "x-content-type-options",
    "x-frame-options",
}  # fmt: skip


class Checked:
    """A client that holds every answer against the document."""

    def __init__(self, platform: Platform, document: Any) -> None:
        self.client, self.document = client_of(platform, "acme"), document
        self.seen: set[tuple[str, str, str]] = set()

    def ask_as(
        self,
        bearer: dict[str, str],
        method: str,
        path: str,
        operation: Any,
        own: dict[str, Any],
        values: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> TestResponse:
        return self.ask(method, path, operation, values or own, headers={**bearer, **(headers or {})}, **kwargs)

    def ask(self, method: str, path: str, operation: Any, values: dict[str, Any], **kwargs: Any) -> TestResponse:
        answer = self.client.open(PREFIX + path.format(**values), method=method, **kwargs)
        status = str(answer.status_code)
        assert status in operation["responses"], f"{method} {path} answered {answer.status}, which is not documented"
        self.seen.add((method, path, status))
        described = operation["responses"][status]
        if "$ref" in described:
            described = self.document["components"]["responses"][status]
        self._check(answer, described, f"{method} {path} {status}")
        return answer

    def _check(self, answer: TestResponse, described: Any, where: str) -> None:
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in NOT_OURS}
        assert set(headers) <= set(described["headers"]), f"{where}: {set(headers)} are not all documented"
        for name, value in headers.items():
            schema = self.document["components"]["headers"][name]["schema"]
            jsonschema_rs.validate(schema, int(value) if schema["type"] == "integer" else value)
        if not (content := described.get("content")):
            assert answer.data == b"", where
            return
        assert answer.content_type.partition(";")[0] in content, f"{where}: {answer.content_type}"
        schema = content[answer.content_type.partition(";")[0]]["schema"]
        if "json" in answer.mimetype and answer.mimetype != "application/jsonl":
            whole = {**closed(schema), "components": closed(self.document["components"])}
            jsonschema_rs.validate(whole, json.loads(answer.text))
        if answer.mimetype == "application/problem+json":
            assert answer.json["status"] == answer.status_code, where


def closed(schema: Any) -> Any:
    """The same, but fields that it does not name are mistakes."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(each) for name, each in schema.items()}
    return (
        {**found, "additionalProperties": False} if "properties" in schema and schema.get("type") == "object" else found
    )


def test_every_answer_is_as_documented(platform: Platform, document: Any, ada: Belongings) -> None:
    """Each operation, asked in every way that the document knows: with good input and bad, by nobody, for what is not there."""
    checked, schemas = Checked(platform, document), document["components"]["schemas"]
    order = {"GET": 0, "POST": 1, "PATCH": 2, "DELETE": 3}
    for method, path, operation in sorted(operations(document), key=lambda each: order[each[0]]):
        own = {name: ada.ids[name] for name in re.findall(r"{(\w+)}", path)}
        json_body = {}
        if "requestBody" in operation:
            sent = operation["requestBody"]["content"]["application/json"]["schema"]
            json_body = {"json": {**example_of(sent, schemas), **_own_ids(sent, schemas, ada)}}

        ask = partial(checked.ask_as, ada.bearer, method, path, operation, own)
        ask(headers={"Authorization": "Bearer tenantry_x"}, **json_body)
        refused = checked.ask(method, path, operation, own, **json_body)
        assert (refused.status_code == 401) == (operation.get("security") != [{}]), (method, path)
        if refused.status_code == 401:
            asked = {"headers": {"Accept": "text/html"}, **json_body}
            assert checked.ask(method, path, operation, own, **asked).mimetype == "text/html"
        if "{" in path:
            assert ask(dict.fromkeys(own, NOBODYS), **json_body).status_code == 404
        if method == "GET":
            etag = ask().headers.get("ETag")
            ask(headers={"If-None-Match": etag or '"x"'})
            if any(each["in"] == "query" for each in operation["parameters"]):
                assert checked.ask(method, path + "?none=1", operation, own, headers=ada.bearer).status_code == 422
            continue
        if json_body:
            ask(data=b"{", headers={"Content-Type": "application/json"})
            ask(data=b"{}", headers={"Content-Type": "text/plain"})
            ask(json={"none": 1})
            ask(data=b'"' + b"x" * 2_000_000 + b'"', headers={"Content-Type": "application/json"})
        if any(each["name"] == "If-Match" for each in operation["parameters"]):
            ask(headers={"If-Match": '"x"'}, **json_body)
        if method != "DELETE":
            ask(**json_body)
    done = {(method, path) for method, path, status in checked.seen if status.startswith("2")}
    told = {(method, path) for method, path, _ in operations(document)}
    # A token makes none, one's own role is not changed, and an organization keeps an owner: see the next test.
    assert told - done == {
        ("POST", "/tokens"), ("PATCH", "/users/{user_id}"), ("PATCH", "/memberships/{membership_id}"),
        *((method, path) for method, path in told if method == "DELETE"),
    }  # fmt: skip
    found = {status for _, _, status in checked.seen}
    assert found >= {"200", "201", "304", "400", "401", "403", "404", "409", "412", "413", "415", "422"}


def test_so_is_what_is_not_done_twice_or_to_oneself(platform: Platform, document: Any) -> None:
    """Each DELETE, of somebody's who has one of everything; and what is for others than the one who asks with a token."""
    checked, known = Checked(platform, document), {each["operationId"]: at for *at, each in operations(document)}
    operation = {each["operationId"]: each for _, _, each in operations(document)}
    for name, (method, path) in known.items():
        if method == "DELETE":
            zoe = furnish(platform, "acme", f"zoe-{name.replace('_', '-')}")
            answer = checked.ask_as(zoe.bearer, method, path, operation[name], zoe.ids)
            assert answer.status_code == (409 if name == "delete_membership" else 204), name

    owner, other = furnish(platform, "acme", "zoe"), client_of(platform, "acme").log_in("yan")
    with platform.tenant("acme"):
        db.session.get_one(User, owner.ids["user_id"]).password_hash = hash_password("correct horse battery")
    ask = partial(checked.ask_as, owner.bearer)
    made = ask(
        "POST", known["create_membership"][1], operation["create_membership"], owner.ids, json={"username": "yan"}
    )
    ids = {"membership_id": made.json["id"], "user_id": other.id}
    for name, body in (("change_membership", {"role": "viewer"}), ("change_user", {"role": "staff"})):
        assert ask(*known[name], operation[name], ids, json=body).status_code == 200
    assert ask(*known["delete_membership"], operation["delete_membership"], ids).status_code == 204
    basic = {"Authorization": "Basic " + b64encode(b"zoe:correct horse battery").decode()}
    token = {"name": "new", "scopes": ["read"]}
    assert checked.ask_as(basic, *known["create_token"], operation["create_token"], {}, json=token).status_code == 201


def test_other_methods_are_refused_and_the_right_ones_named(platform: Platform, document: Any, ada: Belongings) -> None:
    checked = Checked(platform, document)
    for path, methods in document["paths"].items():
        own = {name: ada.ids[name] for name in re.findall(r"{(\w+)}", path)}
        operation = next(iter(methods.values()))
        for method in {"get", "post", "put", "patch", "delete"} - set(methods):
            answer = checked.ask_as(ada.bearer, method.upper(), path, operation, own)
            assert answer.status_code == 405, (method, path)
            allowed = set(answer.headers["Allow"].lower().split(", "))
            assert allowed - {"head", "options"} == set(methods), (method, path)


def _own_ids(sent: Any, schemas: Any, ada: Belongings) -> dict[str, Any]:
    names = schemas[sent["$ref"].rpartition("/")[2]]["properties"]
    found = {name: ada.ids[name] for name in names if name.endswith("_id") and name in ada.ids}
    return {**found, "username": "bob"} if "username" in names else found  # who belongs to no organization yet


def test_statuses_follow_from_what_an_operation_is(platform: Platform) -> None:
    for blueprint in platform.tenant_app("acme").blueprints.values():
        for operation in blueprint.operations.values() if isinstance(blueprint, ApiBlueprint) else ():
            found = statuses_of(operation)
            assert {401, 405, 429, 500} <= set(found)
            assert (404 in found) >= ("<" in operation.rule)
            assert (412 in found) == operation.conditional


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Belongings]]:
    folder = tmp_path_factory.mktemp("pasted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENANTRY_ENV", "testing")
        made = make_platform(folder, TOML)
        client_of(made, "acme").log_in("bob")
        ada = furnish(made, "acme", "ada")
    made.databases.close_idle()
    server = Server(folder, TENANTRY_ENV="testing")
    yield server, ada
    server.stop()


class TestPage:
    @pytest.mark.parametrize(("slug", "language"), [("acme", "en"), ("globex", "en")])
    def test_it_shows_everything_and_needs_nothing_from_outside(
        self, platform: Platform, document: Any, slug: str, language: str
    ) -> None:
        page = client_of(platform, slug).get(f"{PREFIX}/")
        assert (page.status_code, page.mimetype) == (200, "text/html")
        for _, path, operation in operations(document):
            assert f'id="{operation["operationId"]}"' in page.text
            assert path in page.text
        for name in document["components"]["schemas"]:
            assert f'id="schema-{name}"' in page.text
        targets = set(re.findall(r'href="#([^"]+)"', page.text))
        assert targets <= set(re.findall(r'id="([^"]+)"', page.text))
        assert not re.findall(r'(?:src|href)="(?:https?:)?//(?!localhost|globex\.localhost)', page.text)

    def test_its_commands_name_the_door_and_what_is_needed(self, platform: Platform) -> None:
        for slug, address in (("acme", "http://localhost/acme"), ("globex", "http://globex.localhost")):
            client = client_of(platform, slug)
            for text in (client.get(f"{PREFIX}/").text, client.get(f"{PREFIX}/").text):  # the second one is kept
                commands = [unescape(each) for each in re.findall(r'(?s)<pre class="command"><code>(.*?)</code>', text)]
                assert len(commands) > 50
                assert all(f"'{address}{PREFIX}/" in each for each in commands), commands
                assert "address.invalid" not in text
            assert f"""curl -X POST '{address}{PREFIX}/tokens' \\\n  -u "$USERNAME" \\\n""" in "\n".join(commands)
            assert f"""curl '{address}{PREFIX}/tasks/1' \\\n  -H "Authorization: Bearer $TOKEN\"""" in commands

    def test_its_commands_work_when_they_are_pasted(self, running: tuple[Server, Belongings]) -> None:
        server, ada = running
        page = server.get(f"/acme{PREFIX}/", f"localhost:{server.port}").text
        commands = [unescape(each) for each in re.findall(r'(?s)<pre class="command"><code>(.*?)</code>', page)]
        said = {}
        for each in commands:
            command = each.replace('"ada"', '"bob"')  # who does not belong to the organization yet
            if '-H "Authorization' in command and ("-X" not in command or "-X POST" in command):
                shown = f"{command} --silent --output /dev/null --write-out '%{{http_code}}'"
                environment = {"PATH": os.environ["PATH"], "TOKEN": ada.token, "NO_PROXY": "*"}
                done = subprocess.run(["sh", "-c", shown], env=environment, capture_output=True, text=True, timeout=20)
                said[command] = done.stdout
        assert len(said) > 40
        assert {command: status for command, status in said.items() if status not in ("200", "201")} == {}

    @pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (360, "dark"), (1200, "light")])
    def test_it_can_be_used_with_the_keyboard_alone(
        self, running: tuple[Server, Belongings], width: int, scheme: Any
    ) -> None:
        server, _ = running
        with chromium() as browser:
            person = Person(browser, f"http://localhost:{server.port}/acme/", width=width)
            person.page.emulate_media(color_scheme=scheme)
            person.open(f"{PREFIX}/"[1:])
            page = person.page
            operation = page.locator("details:has(#create_task)")
            assert not page.locator("#create_task").is_visible()
            operation.locator("summary").focus()
            page.keyboard.press("Enter")
            assert page.locator("#create_task").is_visible()
            link = operation.get_by_role("link", name="change_task")
            link.focus()
            page.keyboard.press("Enter")
            page.locator("#change_task").wait_for(state="visible")  # what is led to opens by itself
            page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
            person.look()

    def test_it_is_translated(self, tmp_path: Any) -> None:
        made = make_platform(tmp_path, '[tenants.acme]\npath = "/acme"\nlanguages = ["de"]\n')
        assert "So fangen Sie an" in client_of(made, "acme").get(f"{PREFIX}/").text
