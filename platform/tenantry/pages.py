"""Answers of the platform itself: small, ready-made pages that name no tenant. Each is a WSGI application.

Programs get them as problems (RFC 9457): those that ask below a tenant's ``/api/``, or for JSON, unless they would
rather have HTML.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from markupsafe import Markup
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from .registry import Registry

#: The media type of errors as programs get them (RFC 9457).
PROBLEM = "application/problem+json"
#: Below this, in each tenant, every error is a problem, unless somebody asks for HTML.
API_ROOT = "/api/"
_HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""
_SAFETY = [
    ("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
]


_VARY = ("Vary", "Accept")


class Page:
    """A whole response, made once.

    :param status: the status line, e.g. ``404 Not Found``.
    :param title: heading, plain text.
    :param body: HTML below it.
    :param headers: more headers.
    """

    __slots__ = ("body", "headers", "problem", "status")

    def __init__(self, status: str, title: str, body: str, *headers: tuple[str, str]) -> None:
        self.status = status
        self.body = _HTML.format(title=escape(title), body=body).encode()
        code, _, words = status.partition(" ")
        detail = Markup(body).striptags()  # noqa: S704  # its tags are taken away
        self.problem = json.dumps(
            {"type": "about:blank", "title": words, "status": int(code), "detail": detail}
        ).encode()
        self.headers = [*_SAFETY, *headers]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        takes = takes_problem(environ.get("HTTP_ACCEPT", ""), environ.get("PATH_INFO", "").startswith(API_ROOT))
        kind, body = (PROBLEM, self.problem) if takes else ("text/html; charset=utf-8", self.body)
        start_response(self.status, [("Content-Type", kind), ("Content-Length", str(len(body))), _VARY, *self.headers])
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


def takes_problem(accept: str, is_of_api: bool) -> bool:
    """Whether somebody takes an error as a problem: by default below the API, elsewhere if they ask for JSON.

    :param accept: what they take, as the header ``Accept`` says.
    """
    problem, html = (PROBLEM, "application/json"), ("text/html",)
    offered = (*problem, *html) if is_of_api else (*html, *problem)
    return parse_accept_header(accept, MIMEAccept).best_match(offered, offered[0]) not in html


_NO_STORE = ("Cache-Control", "no-store")

NOT_FOUND = Page("404 Not Found", "Not found", "<p>There is nothing at this address.</p>")
BAD_REQUEST = Page("400 Bad Request", "Bad request", "<p>This address cannot be read in one way only.</p>")
ERROR = Page("500 Internal Server Error", "Something went wrong", "<p>The error was noted. Please try again.</p>")
READ_ONLY = Page(
    "503 Service Unavailable",
    "Reading only",
    "<p>Pages can be read here at the moment, and nothing can be changed. Please try again later.</p>",
    _NO_STORE,
    ("Retry-After", "300"),
)
MAINTENANCE = Page(
    "503 Service Unavailable",
    "Back soon",
    "<p>This site is being worked on. Please try again in a few minutes.</p>",
    _NO_STORE,
    ("Retry-After", "300"),
)
SUSPENDED = Page("403 Forbidden", "Suspended", "<p>This site is suspended.</p>", _NO_STORE)


def unavailable(seconds: float, reason: str = "") -> WSGIApplication:
    """Return the answer of a tenant that cannot be served for ``seconds`` more.

    :param reason: why, for developers; never given in production, as it may name files and other tenants.
    """
    retry = ("Retry-After", str(max(1, round(seconds))))
    text = "<p>This site cannot be reached at the moment. Please try again shortly.</p>"
    text += f"\n<p>{escape(reason)}</p>" if reason else ""
    return Page("503 Service Unavailable", "Unavailable", text, _NO_STORE, retry)


def doors(registry: Registry) -> WSGIApplication:
    """Return the page at ``/`` in development: every tenant's doors as links, at the port that was asked."""

    def page(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        port = environ.get("HTTP_HOST", "").rpartition(":")[2]
        number = int(port) if port.isascii() and port.isdigit() else None
        items = [
            f'<li>{escape(tenant.title)}: <a href="{escape(address)}">{escape(address)}</a></li>'
            for tenant in registry.served()
            for address in tenant.addresses(number)
        ]
        body = "<p>Shown in the development environment only.</p>\n<ul>\n" + "\n".join(items) + "\n</ul>"
        return Page("200 OK", "Tenants", body, _NO_STORE)(environ, start_response)

    return page
