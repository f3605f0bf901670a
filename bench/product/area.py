"""One area of the product: ten rules of every common kind, and hooks as products have them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, g, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, NotFound

from . import page


def make_area(name: str) -> Blueprint:
    """Return a blueprint of ten rules under ``/<name>``."""
    area = Blueprint(name, __name__, url_prefix=f"/{name}", template_folder="templates")
    _add_rules(area)
    area.url_value_preprocessor(_pull_language)
    area.url_defaults(_put_language_back)
    area.before_request(_note_area)
    area.after_request(_forbid_caching)
    area.context_processor(page.values_of_every_page)
    area.register_error_handler(NotFound, _not_found)
    return area


def _add_rules(area: Blueprint) -> None:
    area.add_url_rule("/", view_func=index)
    area.add_url_rule("/<any(en, de):language>/", view_func=index)
    area.add_url_rule("/new", view_func=create, methods=["GET", "POST"])
    area.add_url_rule("/<int:number>", view_func=show)
    area.add_url_rule("/<int:number>/edit", view_func=edit, methods=["GET", "POST"])
    area.add_url_rule("/<int:number>/delete", view_func=delete, methods=["POST"])
    area.add_url_rule("/<int:number>/files/<path:name>", view_func=attachment)
    area.add_url_rule("/export.<any(csv, json, xml):kind>", view_func=export)
    area.add_url_rule("/api/items", view_func=items, methods=["GET", "POST"])
    area.add_url_rule("/api/items/<uuid:key>", view_func=item, methods=["GET", "PUT", "PATCH", "DELETE"])


def index() -> str:
    """Render the page of ten templates."""
    return page.render(request.blueprint or "", g.get("language", "en"))


def create() -> ResponseReturnValue:
    return redirect(url_for(".index")) if request.method == "POST" else "A form."


def show(number: int) -> str:
    return f"Number {number} of {current_app.name}"


def edit(number: int) -> ResponseReturnValue:
    return redirect(url_for(".show", number=number)) if request.method == "POST" else f"A form for {number}."


def delete(number: int) -> ResponseReturnValue:
    return redirect(url_for(".index"))


def attachment(number: int, name: str) -> Response:
    return Response(f"{number}: {name}", mimetype="text/plain")


def export(kind: str) -> Response:
    return Response(f"Exported as {kind}", mimetype="text/plain")


def items() -> Response:
    return jsonify(items=[])


def item(key: Any) -> Response:
    return jsonify(key=str(key))


def _pull_language(endpoint: str | None, values: dict[str, Any] | None) -> None:
    g.language = values.pop("language", "en") if values else "en"


def _put_language_back(endpoint: str, values: dict[str, Any]) -> None:
    if g.get("language", "en") != "en" and current_app.url_map.is_endpoint_expecting(endpoint, "language"):
        values.setdefault("language", g.language)


def _note_area() -> None:
    g.area = request.blueprint


def _forbid_caching(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "private")
    return response


def _not_found(error: HTTPException) -> ResponseReturnValue:
    return "There is no such thing here.", 404
