"""Answers of the platform itself: small, ready-made pages that name no tenant. Each is a WSGI application.

Programs get them as problems (RFC 9457): those that ask below a tenant's ``/api/``, or for JSON, unless they would
rather have HTML.
"""

from __future__ import annotations

import base64
import hashlib
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
{style}</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""
_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_SAFETY = [
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
    :param style: a stylesheet, which the content policy allows by its digest.
    """

    __slots__ = ("body", "headers", "problem", "status")

    def __init__(self, status: str, title: str, body: str, *headers: tuple[str, str], style: str = "") -> None:
        self.status = status
        sheet = f"<style>{style}</style>\n" if style else ""
        self.body = _HTML.format(title=escape(title), style=sheet, body=body).encode()
        code, _, words = status.partition(" ")
        detail = Markup(body).striptags()  # noqa: S704  # its tags are taken away
        self.problem = json.dumps(
            {"type": "about:blank", "title": words, "status": int(code), "detail": detail}
        ).encode()
        self.headers = [_policy(style), *_SAFETY, *headers]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        kind, body = (PROBLEM, self.problem) if wants_problem(environ) else ("text/html; charset=utf-8", self.body)
        start_response(self.status, [("Content-Type", kind), ("Content-Length", str(len(body))), _VARY, *self.headers])
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


def _policy(style: str) -> tuple[str, str]:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return "Content-Security-Policy", f"{_POLICY}; style-src 'sha256-{digest}'" if style else _POLICY


def wants_problem(environ: WSGIEnvironment) -> bool:
    """Whether the one who asks takes an error as a problem."""
    return takes_problem(environ.get("HTTP_ACCEPT", ""), environ.get("PATH_INFO", "").startswith(API_ROOT))


def takes_problem(accept: str, is_of_api: bool) -> bool:
    """Whether somebody takes an error as a problem: by default below the API, elsewhere if they ask for JSON.

    :param accept: what they take, as the header ``Accept`` says.
    """
    problem, html = (PROBLEM, "application/json"), ("text/html",)
    offered = (*problem, *html) if is_of_api else (*html, *problem)
    return parse_accept_header(accept, MIMEAccept).best_match(offered, offered[0]) not in html


#: Headers of answers that hold for the moment only, and when to ask again, in seconds.
NO_STORE, RETRY = ("Cache-Control", "no-store"), ("Retry-After", "300")

NOT_FOUND = Page("404 Not Found", "Not found", "<p>There is nothing at this address.</p>")
BAD_REQUEST = Page("400 Bad Request", "Bad request", "<p>This address cannot be read in one way only.</p>")
ERROR = Page("500 Internal Server Error", "Something went wrong", "<p>The error was noted. Please try again.</p>")
READ_ONLY = Page(
    "503 Service Unavailable",
    "Reading only",
    "<p>Pages can be read here at the moment, and nothing can be changed. Please try again later.</p>",
    NO_STORE,
    RETRY,
)
_BACK_SOON = "<p>This site is being worked on. Please try again in a few minutes.</p>"
MAINTENANCE = Page("503 Service Unavailable", "Back soon", _BACK_SOON, NO_STORE, RETRY)
SUSPENDED = Page("403 Forbidden", "Suspended", "<p>This site is suspended.</p>", NO_STORE)


def maintenance(title: str, color: str) -> Page:
    """Return the page of a tenant in maintenance whose own cannot be made: plain, with its name and colour.

    :param color: like ``#0b6e99``.
    """
    style = f"body{{margin:0;padding:1.5rem;border-top:.5rem solid {color};font-family:system-ui,sans-serif}}"
    return Page("503 Service Unavailable", f"{title}: back soon", _BACK_SOON, NO_STORE, RETRY, style=style)


def unavailable(seconds: float, reason: str = "") -> WSGIApplication:
    """Return the answer of a tenant that cannot be served for ``seconds`` more.

    :param reason: why, for developers; never given in production, as it may name files and other tenants.
    """
    retry = ("Retry-After", str(max(1, round(seconds))))
    text = "<p>This site cannot be reached at the moment. Please try again shortly.</p>"
    text += f"\n<p>{escape(reason)}</p>" if reason else ""
    return Page("503 Service Unavailable", "Unavailable", text, NO_STORE, retry)


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
        return Page("200 OK", "Tenants", body, NO_STORE)(environ, start_response)

    return page
