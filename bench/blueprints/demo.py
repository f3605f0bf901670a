"""The pages that are measured, but for those of the database."""

from __future__ import annotations

import os
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, render_template, request, session

bp = Blueprint("demo", __name__, url_prefix="/demo", template_folder="templates")


@bp.get("/")
def hello() -> Response:
    """Answer a constant: what remains is what the framework costs."""
    return Response("Hello, World!", mimetype="text/plain")


@bp.get("/session")
def count_visits() -> Response:
    """Read and change the session, so that a cookie is verified and a new one signed."""
    session["visits"] = session.get("visits", 0) + 1
    return Response(f"Visit {session['visits']}", mimetype="text/plain")


@bp.get("/name")
def name() -> Response:
    """Say hello with the door that was asked for and the name of the app that answers, which must go together."""
    return Response(f"Hello! {request.script_root} is {current_app.config['CANARY']}.", mimetype="text/plain")


@bp.get("/template")
def show_rows() -> str:
    """Render a template that extends another one, with a loop, links, and values that need escaping."""
    return render_template("bench/rows.html", rows=_rows())


@bp.get("/json")
def list_rows() -> Response:
    """Answer a small JSON document."""
    return jsonify(message="Hello, World!", rows=_rows())


@bp.get("/rows/<int:number>")
def show_row(number: int) -> Response:
    """Answer one row: what the links of the template page lead to."""
    return jsonify(_rows()[number - 1])


@bp.get("/worker")
def worker() -> Response:
    """Answer the id of the process, for a client that has to know which worker its connection goes to."""
    return Response(str(os.getpid()), mimetype="text/plain")


def _rows() -> list[dict[str, Any]]:
    return [{"number": number, "title": f"Row <{number}> & more", "price": number * 1.5} for number in range(1, 11)]
