"""The WSGI applications that are measured, each made by gunicorn in its own process: ``bench.apps:plain()``.

Each imports only what it needs, since a larger process is a slower one for Python's garbage collector.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from flask import Flask, Response

#: Names the environment variable with the headers, as JSON pairs, that ``plain_with_headers`` adds.
HEADERS = "BENCH_HEADERS"
#: What stands as the name of the app in the pages of both sides.
CANARY = "bench"


def tenantry() -> WSGIApplication:
    """Return the platform of the file that ``TENANTRY_CONFIG`` names."""
    from tenantry import Platform

    return Platform.from_file(os.environ["TENANTRY_CONFIG"])


def plain() -> Flask:
    """Return the same views in one Flask app, as Flask ships it."""
    from flask import Flask

    from .blueprints.demo import bp

    app = Flask("bench")
    app.config.update(SECRET_KEY="0123456789abcdef" * 4, CANARY=CANARY)  # it signs nothing that anyone keeps
    app.register_blueprint(bp)
    return app


def plain_with_headers() -> Flask:
    """Return the plain app with the headers that Tenantry adds, in the way that one would add them by hand."""
    app = plain()
    headers: list[tuple[str, str]] = json.loads(os.environ[HEADERS])

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in headers:
            response.headers.setdefault(name, value)
        return response

    return app


def plain_database() -> Flask:
    """Return the plain side of the database pages: Flask with Flask-SQLAlchemy."""
    from .plain_database import make_app

    return make_app()


def plain_everything() -> Flask:
    """Return one plain app with all the pages."""
    from .blueprints.demo import bp

    app = plain_database()
    app.register_blueprint(bp)
    return app


def bare() -> WSGIApplication:
    """Return the least that can answer the hello page: the limit of every framework on this server."""
    body = b"Hello, World!"
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]

    def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", headers)
        return [body]

    return hello
