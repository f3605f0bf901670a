"""The document of the API, OpenAPI 3.1, made of its routes and schemas: once for all tenants that have the same."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema
from werkzeug.http import HTTP_STATUS_CODES

from ..pages import PROBLEM
from . import documented_headers as headers
from .examples import example_of
from .operations import Operation
from .problems import Problem
from .schemas import LARGEST_ID, LARGEST_JSON

if TYPE_CHECKING:
    from ..tenant_app import TenantApp
    from .blueprint import ApiBlueprint

VERSION = "1.0"
_VALUE = re.compile(r"<(?:(?P<kind>\w+)(?:\((?P<options>[^)]*)\))?:)?(?P<name>\w+)>")
_REF = "#/components/schemas/{model}"
_DESCRIPTION = """\
Everything in this workspace that you may see, as JSON.

Log in with `Authorization: Bearer` and an API token, or with HTTP Basic and your password. Make a token at
`POST /tokens` with your password, or on the page of your account. A token has scopes: `read` is for GET, `write` for
all else. Errors are problem details (RFC 9457), or a page where `Accept` asks for HTML.

Lists come in parts: follow `next`. Items have an `ETag`: send it in `If-Match` when you change one, and nothing that
somebody else has changed meanwhile is lost. Send an `Idempotency-Key` with a POST, and for a day you can send it again
when its answer does not arrive. How many requests are left to you is in `RateLimit-Remaining`.
"""
#: What an error means for the one who asked.
_MEANINGS = {
    400: "It cannot be read: the body is no JSON, or a value is none that the API gives.",
    401: "Nobody is known to ask: log in, or look at what you have sent for that.",
    403: "You may not do this: your role, your place in the organization, or your token's scope does not let you.",
    404: "There is nothing at this address, or it is not yours to see.",
    405: "What is at this address does not answer this method.",
    409: "It does not go with what is there; `detail` says with what.",
    412: "It has been changed meanwhile: get it anew, and try again.",
    413: f"The body is too large: more than {LARGEST_JSON // 1024} KiB, as it is sent.",
    415: "The body is not said to be JSON.",
    422: "It does not fit: `errors` lists every mistake. Or the `Idempotency-Key` was another request's.",
    429: "You have asked too often.",
    500: "Something went wrong, and was noted. Nothing of this request was kept.",
    503: "Not at the moment; nothing of this request was kept.",
    507: "There is no room left in this workspace.",
}
_NOT_MODIFIED = "It is what you have already"


def document_of(app: TenantApp, address: str) -> bytes:
    """Return the document of a tenant's API, as JSON.

    :param address: of the API, at the door that is asked.
    """
    info = {"title": f"{app.tenant.title}: API", "version": VERSION, "description": _DESCRIPTION}
    head = json.dumps({"openapi": "3.1.0", "info": info, "servers": [{"url": address}]}, ensure_ascii=False)
    return head[:-1].encode() + b"," + _shared_bytes(api_blueprints(app))[1:]


def api_blueprints(app: TenantApp) -> tuple[ApiBlueprint, ...]:
    """Return what an app has of the API, in the order of registration."""
    from .blueprint import ApiBlueprint

    return tuple(each for each in app.blueprints.values() if isinstance(each, ApiBlueprint))


@lru_cache(maxsize=16)
def _shared_bytes(blueprints: tuple[ApiBlueprint, ...]) -> bytes:
    return json.dumps(shared_document(blueprints), ensure_ascii=False).encode()


@lru_cache(maxsize=16)
def shared_document(blueprints: tuple[ApiBlueprint, ...]) -> dict[str, Any]:
    """Return what the document has of some blueprints. It names no tenant, and is not to be changed."""
    operations = [each for blueprint in blueprints for each in blueprint.operations.values()]
    bodies, schemas = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        described = _describe(operation, bodies)
        if links := dict(_links(operation, operations)):
            described["responses"]["201"]["links"] = links
        paths.setdefault(path_of(operation.rule), {})[operation.method.lower()] = described
    return {
        "tags": [{"name": name} for name in dict.fromkeys(each.tag for each in operations)],
        "security": [{"token": ["read"]}, {"password": []}],
        "paths": paths,
        "components": {
            "schemas": {
                name: {"examples": [example_of(schema, schemas)], **schema} for name, schema in schemas.items()
            },
            "responses": {str(status): _problem(status) for status in _all_statuses(operations)},
            "headers": headers.COMPONENTS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An API token, with its scopes."},
                "password": {"type": "http", "scheme": "basic", "description": "Your user name and password."},
            },
        },
    }


def path_of(rule: str) -> str:
    """Return a rule of Flask's as a path of OpenAPI: ``/tasks/{task_id}``."""
    return _VALUE.sub(lambda found: f"{{{found['name']}}}", rule)


def statuses_of(operation: Operation) -> list[int]:
    """Return every status that an operation may answer with, but for those of what it returns."""
    found = {401, 405, 429, 500, 503, *operation.errors}
    found |= {403} if operation.role is not None or operation.writes else set()
    found |= {404} if _VALUE.search(operation.rule) else set()
    found |= {422} if operation.query is not None else set()
    found |= {400, 413, 415, 422} if operation.body is not None else set()
    found |= {400, 409, 413, 422} if operation.method == "POST" else set()
    found |= {412} if operation.conditional else set()
    found |= {507} if operation.writes else set()
    return sorted(found)


def _all_statuses(operations: list[Operation]) -> list[int]:
    return sorted({status for operation in operations for status in statuses_of(operation)})


def _describe(operation: Operation, bodies: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    text = inspect.getdoc(operation.function) or ""
    summary, _, more = text.partition("\n\n")
    described: dict[str, Any] = {
        "operationId": operation.function.__name__,
        "tags": [operation.tag],
        "summary": summary.rstrip("."),
        "parameters": [*_path_values(operation), *_query_values(operation, bodies), *headers.sent_with(operation)],
        "responses": {
            str(operation.status): _answer(operation, bodies),
            **({"304": _not_modified(operation)} if _has_etag(operation) else {}),
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses_of(operation)},
        },
    }
    if more := "\n\n".join(part for part in (more, _for_whom(operation)) if part):
        described["description"] = more
    if operation.body is not None:
        content = {"application/json": {"schema": bodies[operation.body, "validation"]}}
        described["requestBody"] = {"required": True, "content": content}
    if (security := _security(operation)) is not None:
        described["security"] = security
    return described


def _for_whom(operation: Operation) -> str:
    return f"Needs the role `{operation.role}`, in the workspace." if operation.role not in (None, "member") else ""


def _security(operation: Operation) -> list[dict[str, list[str]]] | None:
    """Return what has to be sent to be let in, with the scope of a token; ``None`` where it is as everywhere."""
    if operation.role is None:
        return [{}]
    if operation.password:
        return [{"password": []}]
    return [{"token": ["write"]}, {"password": []}] if operation.writes else None


def _links(operation: Operation, operations: list[Operation]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what can be done with what an operation has made.

    That is all at the address of such an item and below it, and what is made of it, which names it in its body.
    """
    if operation.status != 201:
        return
    for item in operations:
        values = _VALUE.findall(item.rule)
        if item.method == "GET" and len(values) == 1 and _is_same(item.returns, operation.returns):
            name, value = values[0][2], {values[0][2]: "$response.body#/id"}
            for each in operations:
                if f"{each.rule}/".startswith(f"{item.rule}/") and len(_VALUE.findall(each.rule)) == 1:
                    yield each.function.__name__, {"operationId": each.function.__name__, "parameters": value}
                elif each.body is not None and _needs(each.body, name):
                    text = f"With what was made as `{name}`, beside what else there is to say."
                    link = {"operationId": each.function.__name__, "requestBody": value, "description": text}
                    yield each.function.__name__, link


def _needs(body: type[BaseModel], name: str) -> bool:
    return name in body.model_fields and body.model_fields[name].is_required()


def _is_same(item: Any, made: Any) -> bool:
    """Whether what was made is such an item, or one and more."""
    return _is_model(item) and _is_model(made) and issubclass(made, item)


def _has_etag(operation: Operation) -> bool:
    return operation.method == "GET" and operation.produces == "application/json"


def _answer(operation: Operation, bodies: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": HTTP_STATUS_CODES[operation.status],
        "headers": headers.answered_with(operation),
    }
    if operation.returns is str:
        answer["content"] = {operation.produces: {"schema": {"type": "string"}}}
    elif operation.returns is not None:
        answer["content"] = {operation.produces: {"schema": bodies[operation.returns, "serialization"]}}
    return answer


def _not_modified(operation: Operation) -> dict[str, Any]:
    return {"description": _NOT_MODIFIED, "headers": headers.answered_with(operation)}


def _problem(status: int) -> dict[str, Any]:
    return {
        "description": _MEANINGS.get(status) or HTTP_STATUS_CODES.get(status, "Error"),
        "headers": headers.of_problem(status),
        "content": {
            PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}},
            "text/html": {"schema": {"type": "string"}},  # for those who ask for it
        },
    }


def _path_values(operation: Operation) -> Iterator[dict[str, Any]]:
    for found in _VALUE.finditer(operation.rule):
        schema: dict[str, Any] = {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}
        if found["kind"] == "int":
            schema = {"type": "integer", "minimum": 0, "maximum": LARGEST_ID}
        what = found["name"].removesuffix("_id").replace("_", " ")
        text = f"The `id` of the {what}." if found["name"].endswith("_id") else f"The {what}."
        yield {"name": found["name"], "in": "path", "required": True, "description": text, "schema": schema}


def _query_values(operation: Operation, bodies: dict[Any, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    if operation.query is None:
        return
    schema = TypeAdapter(operation.query).json_schema(ref_template=_REF)
    for name, described in schema["properties"].items():
        described = {key: value for key, value in described.items() if key != "title"}
        description = described.pop("description", "")
        yield {"name": name, "in": "query", "description": description, "schema": _without_null(described)}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Leave out that a parameter may be null: it is then not sent."""
    kinds: list[dict[str, Any]] = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(kinds) == 1:
        return kinds[0]
    return {key: value for key, value in schema.items() if key != "default" or value is not None}


def _schemas(operations: list[Operation]) -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    """Return what stands for each body, by type and direction, and the schemas that these refer to."""
    sent = [each.body for each in operations if each.body is not None]
    answered = [each.returns for each in operations if each.returns not in (None, str)]
    models: list[Any] = [(model, "validation") for model in dict.fromkeys(sent)]
    models += [(model, "serialization") for model in dict.fromkeys(answered) if _is_model(model)]
    found, definitions = models_json_schema([*models, (Problem, "serialization")], ref_template=_REF)
    bodies: dict[Any, dict[str, Any]] = dict(found)
    schemas = definitions.get("$defs", {})
    for each in dict.fromkeys(answered):
        if not _is_model(each):
            schema = TypeAdapter(each).json_schema(mode="serialization", ref_template=_REF)
            schemas.update(schema.pop("$defs", {}))
            bodies[each, "serialization"] = schema
    return bodies, schemas


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
