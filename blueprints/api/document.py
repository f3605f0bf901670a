"""The document of the API, as JSON for programs and as a page for people. Imported when it is first asked for."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from flask import Response, current_app, render_template, request

from tenantry.api import PREFIX, api_blueprints, document_of, example_of, shared_document

Groups = dict[str, list[tuple[str, str, dict[str, Any]]]]


def as_json() -> Response:
    response = current_app.response_class(document_of(_app(), _address()), content_type="application/json")
    response.add_etag()
    response.make_conditional(request)
    return response


def page() -> str:
    document = shared_document(api_blueprints(_app()))
    example = partial(_example, document["components"]["schemas"])
    return render_template(
        "api/page.html", document=document, groups=_grouped(document), address=_address(), example=example
    )


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


def _example(schemas: dict[str, Any], operation: dict[str, Any]) -> str:
    """Return a body that an operation takes, as JSON."""
    sent = operation["requestBody"]["content"]["application/json"]["schema"]
    return json.dumps(example_of(sent, schemas), ensure_ascii=False)
