"""The document of the API, as JSON for programs and as a page for people. Imported when it is first asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from flask import Response, current_app, render_template, request
from markupsafe import Markup, escape

from tenantry import cache, current_language
from tenantry.api import PREFIX, api_blueprints, document_of, example_of, shared_document

Groups = dict[str, list[tuple[str, str, dict[str, Any]]]]

#: Stands in what is kept of the page for the address, which depends on the door. No such name can be registered.
_ADDRESS = "https://address.invalid"


def as_json() -> Response:
    response = current_app.response_class(document_of(_app(), _address()), content_type="application/json")
    response.add_etag()
    response.make_conditional(request)
    return response


def page() -> str:
    """Show the document. Its long part is written once for each language, and kept."""
    blueprints = api_blueprints(_app())
    document = shared_document(blueprints)
    key = ("page of the document", current_language(), *(each.name for each in blueprints))
    shown = cache.get_or_set(key, lambda: _show(document)).replace(_ADDRESS, escape(_address()))
    operations = Markup(shown)  # noqa: S704  # a template has written it
    return render_template("api/page.html", groups=_grouped(document), address=_address(), operations=operations)


def _show(document: dict[str, Any]) -> str:
    commands = {
        operation["operationId"]: _command(method, path, operation, document["components"]["schemas"])
        for each in _grouped(document).values()
        for method, path, operation in each
    }
    return render_template("api/document.html", document=document, groups=_grouped(document), commands=commands)


def _app() -> Any:
    return current_app._get_current_object()  # type: ignore[attr-defined]  # a LocalProxy


def _address() -> str:
    return f"{request.url_root.rstrip('/')}{PREFIX}"


def _grouped(document: dict[str, Any]) -> Groups:
    """Return method, path and operation of each, by what they are about."""
    groups: Groups = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    return groups


def _command(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    """Return what can be typed into a shell to try an operation, with examples for what it takes."""
    values = {each["name"]: example_of(each["schema"], schemas) for each in operation["parameters"]}
    address = _ADDRESS + re.sub(r"{(\w+)}", lambda found: str(values[found[1]]), path)
    method = "" if method == "GET" else f"-X {method} "
    return " \\\n  ".join((f"curl {method}{_quoted(address)}", *_sent_with(operation, schemas)))


def _sent_with(operation: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    security = operation.get("security", [{"token": []}])
    if any("token" in each for each in security):
        yield '-H "Authorization: Bearer $TOKEN"'
    elif {} not in security:
        yield '-u "$USERNAME"'
    if "requestBody" in operation:
        sent = example_of(operation["requestBody"]["content"]["application/json"]["schema"], schemas)
        yield "-H 'Content-Type: application/json'"
        yield f"-d {_quoted(json.dumps(sent, ensure_ascii=False))}"


def _quoted(text: str) -> str:
    """Return a text as a shell takes it literally."""
    return "'" + text.replace("'", "'\\''") + "'"
