"""The API's document holds every route, status and field, and nothing else; and the page of it shows it all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import jsonschema_rs
import pytest
from walking import NOBODYS, Belongings, furnish
from werkzeug.test import TestResponse

from blueprints.projects.api.schemas import TaskOut
from tenantry import Platform
from tenantry.api import PREFIX, ApiBlueprint, example_of
from tenantry.api.openapi import path_of, statuses_of
from tenantry.testing import client_of, make_platform

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
    from tenantry.api import api_blueprints, shared_document

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
        for name in ("ETag", "Link", "Location", "Retry-After", "WWW-Authenticate", "X-Runtime", "Content-Disposition"):
            if name in answer.headers and answer.status_code not in (304,) and answer.status_code < 400:
                assert name in described["headers"], f"{where}: the header {name} is not documented"
        content = described.get("content")
        if not content or (not answer.data and answer.status_code == 304):
            assert answer.data == b"", where
            return
        assert answer.content_type.partition(";")[0] in content, f"{where}: {answer.content_type}"
        schema = content[answer.content_type.partition(";")[0]]["schema"]
        if "json" in answer.mimetype and answer.mimetype != "application/jsonl":
            whole = {**closed(schema), "components": closed(self.document["components"])}
            jsonschema_rs.validate(whole, json.loads(answer.text))


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
        checked.ask(method, path, operation, own, **json_body)
        if "{" in path:
            ask(dict.fromkeys(own, NOBODYS), **json_body)
        if method == "GET":
            etag = ask().headers.get("ETag")
            ask(headers={"If-None-Match": etag or '"x"'})
            if any(each["in"] == "query" for each in operation["parameters"]):
                checked.ask(method, path + "?none=1", operation, own, headers=ada.bearer)
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
    done = {(method, path) for method, path, status in checked.seen if status.startswith("2") or method == "DELETE"}
    told = {(method, path) for method, path, _ in operations(document)}
    # A token makes none, one's own role is not changed, and an organization keeps an owner.
    assert told - done == {
        ("POST", "/tokens"),
        ("PATCH", "/users/{user_id}"),
        ("PATCH", "/memberships/{membership_id}"),
    }
    assert {status for _, _, status in checked.seen} >= {
        "200",
        "201",
        "304",
        "400",
        "401",
        "403",
        "404",
        "409",
        "412",
        "413",
        "415",
        "422",
    }


def _own_ids(sent: Any, schemas: Any, ada: Belongings) -> dict[str, Any]:
    names = schemas[sent["$ref"].rpartition("/")[2]]["properties"]
    return {name: ada.ids.get(name) for name in names if name.endswith("_id") and name in ada.ids}


def test_statuses_follow_from_what_an_operation_is(platform: Platform) -> None:
    for blueprint in platform.tenant_app("acme").blueprints.values():
        for operation in blueprint.operations.values() if isinstance(blueprint, ApiBlueprint) else ():
            found = statuses_of(operation)
            assert {401, 405, 429, 500} <= set(found)
            assert (404 in found) >= ("<" in operation.rule)
            assert (412 in found) == operation.conditional


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

    def test_it_is_translated(self, tmp_path: Any) -> None:
        made = make_platform(tmp_path, '[tenants.acme]\npath = "/acme"\nlanguages = ["de"]\n')
        assert "So fangen Sie an" in client_of(made, "acme").get(f"{PREFIX}/").text
