"""The document of the API, as JSON for programs and as a page for people. Imported when it is first asked for."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, render_template, request

from tenantry.api import PREFIX, document_of
from tenantry.api.openapi import api_blueprints, shared_document


def as_json() -> Response:
    document = document_of(current_app._get_current_object(), _address())  # type: ignore[attr-defined]  # a LocalProxy
    response = current_app.response_class(document, content_type="application/json")
    response.add_etag()
    response.make_conditional(request)
    return response


def page() -> str:
    document = shared_document(api_blueprints(current_app._get_current_object()))  # type: ignore[attr-defined]  # as above
    return render_template("api/page.html", document=document, groups=_grouped(document), address=_address())


def _address() -> str:
    return f"{request.url_root.rstrip('/')}{PREFIX}"


def _grouped(document: dict[str, Any]) -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    """Return method, path and operation of each, by what they are about."""
    groups: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    return groups
