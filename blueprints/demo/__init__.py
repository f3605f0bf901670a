"""The field's classic benchmark pages, and its API that adds two numbers."""

from __future__ import annotations

from flask import Blueprint, Response, abort, jsonify, render_template, request

from tenantry import add_to_navigation

bp = Blueprint("demo", __name__, url_prefix="/demo", template_folder="templates")
add_to_navigation(bp, "environ", title="Demo")

#: Parts of the WSGI environ that say nothing about the server's insides, its paths or its settings.
_SHOWN = (
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "SERVER_PROTOCOL",
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
)


@bp.get("/")
def hello() -> Response:
    return Response("Hello, World!", mimetype="text/plain")


@bp.get("/add")
def add() -> Response:
    numbers = [request.args.get(name, type=int) for name in ("a", "b")]
    if None in numbers:
        abort(400, "Expected two whole numbers, a and b, as in ?a=1&b=2.")
    return jsonify(sum=sum(number for number in numbers if number is not None))


@bp.get("/environ")
def environ() -> str:
    shown = {k: v for k, v in request.environ.items() if k in _SHOWN or (k.startswith("HTTP_") and k != "HTTP_COOKIE")}
    return render_template("demo/environ.html", environ=dict(sorted(shown.items())))


@bp.get("/template")
def template() -> str:
    return render_template("demo/template.html", name=request.args.get("name", "World"))
