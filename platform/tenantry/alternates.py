"""The same page in the tenant's other languages: links for its foot, and addresses for search engines in its head.

Where the language is a part of a page's address, ``lang_code``, it is exchanged; elsewhere ``?lang=`` is added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from flask import has_request_context, request
from flask.globals import request_ctx
from werkzeug.routing import BuildError

from .context import current_tenant_app
from .gate import SAFE_METHODS
from .languages import ARGUMENT

if TYPE_CHECKING:
    from werkzeug.routing import MapAdapter

    from .tenant_app import TenantApp

_IN_ADDRESS = "lang_code"
#: What RFC 3986 allows in a path as it is.
_PLAIN = "/!$&'()*+,;=:@-._~"


def language_links() -> list[tuple[str, str]]:
    """Return the code and the address, within this door, of the current page in each language of the tenant.

    Of a page that cannot be asked for again, as the answer to a form with no page of its own, it is the home page's.
    Empty where there is one language only.
    """
    app = current_tenant_app("language_links")
    languages = app.tenant.languages
    if len(languages) < 2 or not has_request_context():
        return []
    rule = request.url_rule
    if request.method not in SAFE_METHODS and (rule is None or "GET" not in (rule.methods or ())):
        return [(code, f"{request.script_root}/?{ARGUMENT}={code}") for code in languages]
    adapter, path, query = request_ctx.url_adapter, request.script_root + _path(), _query()
    return [(code, _in_address(app, adapter, code, query) or path + _with(query, code)) for code in languages]


def alternates() -> list[tuple[str, str]]:
    """Return the languages of the current page with its address in each, at the tenant's canonical door.

    ``x-default`` is the address at which the visitor's own language is spoken. Empty where there is one language only,
    and for what is no page that was asked for and found.
    """
    app = current_tenant_app("alternates")
    languages = app.tenant.languages
    if len(languages) < 2 or not has_request_context():
        return []
    if request.method not in SAFE_METHODS or request.url_rule is None or request.routing_exception is not None:
        return []
    adapter, page, query = app.create_url_adapter(None), app.home + _path(), _query()
    return [
        (code or "x-default", _in_address(app, adapter, code, query, external=True) or page + _with(query, code))
        for code in (*languages, None)
    ]


def _in_address(
    app: TenantApp, adapter: MapAdapter | None, code: str | None, query: str, external: bool = False
) -> str | None:
    """Return the page's address in a language, or in none, where the language is a part of it and can be."""
    endpoint = request.endpoint
    if endpoint is None or adapter is None or not app.url_map.is_endpoint_expecting(endpoint, _IN_ADDRESS):
        return None
    values = dict(request.view_args or {})
    app.inject_url_defaults(endpoint, values)
    values[_IN_ADDRESS] = code
    if code is None:
        del values[_IN_ADDRESS]  # which a default has put there
    try:
        return adapter.build(endpoint, values, force_external=external) + _with(query, None)
    except BuildError:
        return None if code else _in_address(app, adapter, app.tenant.languages[0], query, external)


def _path() -> str:
    """Return the page's path, which begins with one slash."""
    return quote(request.path, safe=_PLAIN)


def _query() -> str:
    """Return the page's query without a language."""
    if not request.query_string:
        return ""
    return urlencode([pair for pair in request.args.items(multi=True) if pair[0] != ARGUMENT])


def _with(query: str, code: str | None) -> str:
    """Return a query with a language, or with none, as the end of an address."""
    parts = [part for part in (query, code and f"{ARGUMENT}={code}") if part]
    return f"?{'&'.join(parts)}" if parts else ""
