"""The pages that are measured."""

from __future__ import annotations

from flask import Blueprint, Response, session

bp = Blueprint("demo", __name__, url_prefix="/demo")


@bp.get("/")
def hello() -> Response:
    """Answer a constant: what remains is what the framework costs."""
    return Response("Hello, World!", mimetype="text/plain")


@bp.get("/session")
def count_visits() -> Response:
    """Read and change the session, so that a cookie is verified and a new one signed."""
    session["visits"] = session.get("visits", 0) + 1
    return Response(f"Visit {session['visits']}", mimetype="text/plain")
