"""Maintenance: the page that answers instead of a tenant that is worked on, and the pass by which its staff gets in.

The page is in the tenant's look, and may be its own: ``tenants/<slug>/templates/tenantry/maintenance.html``. It is made
by an app that has no database, as that may be what is worked on. That app also gives out the static files that the page
names, and nothing else.

A pass is a link with a token that the tenant's keys have signed. Whoever opens it in time gets a cookie, and with that
through the gate, to the live app; there they have to log in as ever.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import uuid4

from flask import Response, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.http import dump_cookie, parse_cookie
from werkzeug.wrappers import Response as PlainResponse

from . import pages
from .errors import BadToken, StateError, TenantUnavailable
from .factory import assemble
from .holding import read_deed
from .keys import TenantKeys
from .languages import use_language
from .sessions import name_of_cookie
from .signing import TenantSigner
from .tenant_app import start_safely
from .users.current import NOBODY, become

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from .app import Platform
    from .registry import Tenant
    from .tenant_app import TenantApp

log = logging.getLogger("tenantry")

#: The argument of an address that carries a pass.
ARGUMENT = "maintenance-pass"
#: What the name of its cookie ends with, after the tenant's slug.
_COOKIE = "_maintenance"
_PURPOSE = "maintenance"
#: How many cookies of that name are looked at; a visitor may send thousands.
_TRIED = 8
#: What stays as it is in a path, and in a query (RFC 3986 sections 3.3 and 3.4).
_IN_PATH, _IN_QUERY = "/!$&'()*+,;=:@", "/?!$&'()*+,;=:@%"


def make_pass(platform: Platform, tenant: Tenant, seconds: float) -> str:
    """Return the address that lets whoever opens it in to a tenant in maintenance, for so many seconds.

    :raises StateError: if the tenant has no database yet, and so no keys.
    """
    signer = _signer(platform, tenant)
    if signer is None:
        raise StateError(f"'{tenant.slug}' has no database yet, and so no keys. Run: tenantry provision {tenant.slug}")
    return f"{platform.addresses(tenant)[0]}?{ARGUMENT}={signer.sign(_PURPOSE, True, seconds)}"


def answer(platform: Platform, tenant: Tenant, environ: WSGIEnvironment) -> WSGIApplication | None:
    """Return what answers instead of a tenant in maintenance, or ``None`` for those who have a pass."""
    query = environ.get("QUERY_STRING", "")
    if ARGUMENT in query and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
        parts = query.split("&")
        sent = [part.removeprefix(f"{ARGUMENT}=") for part in parts if part.startswith(f"{ARGUMENT}=")]
        if len(sent) == 1 and _is_accepted(platform, tenant, sent):
            rest = "&".join(part for part in parts if not part.startswith(f"{ARGUMENT}="))
            return _redirect(tenant, environ, sent[0], rest)
    if _has_pass(platform, tenant, environ):
        return None
    return partial(_closed, platform, tenant)


def make_front(platform: Platform, tenant: Tenant) -> TenantApp:
    """Make the app that has no database, which makes the page."""
    return assemble(platform, tenant, read_deed(tenant.state) or uuid4())


def _has_pass(platform: Platform, tenant: Tenant, environ: WSGIEnvironment) -> bool:
    sent = environ.get("HTTP_COOKIE", "")
    if _COOKIE not in sent:
        return False
    # A browser may send several of one name, as another tenant's page can set one for a longer path.
    name = name_of_cookie(tenant, _COOKIE, _door(environ))
    return _is_accepted(platform, tenant, parse_cookie(sent).getlist(name)[:_TRIED])


def _is_accepted(platform: Platform, tenant: Tenant, tokens: list[str]) -> bool:
    """Whether one of them is a pass of this tenant that has not expired."""
    signer = _signer(platform, tenant) if tokens else None
    for token in tokens if signer else ():
        try:
            signer.verify(_PURPOSE, token)  # type: ignore[union-attr]  # there are none without a signer
        except BadToken:
            continue
        return True
    return False


def _signer(platform: Platform, tenant: Tenant) -> TenantSigner | None:
    deed = read_deed(tenant.state)
    return TenantSigner(TenantKeys(platform.keys, deed)) if deed else None


def _door(environ: WSGIEnvironment) -> str:
    return str(environ.get("SCRIPT_NAME", "")).rstrip("/")


def _redirect(tenant: Tenant, environ: WSGIEnvironment, token: str, query: str) -> WSGIApplication:
    """Return the answer to a pass: the cookie, and the same address without the token."""
    door = _door(environ)
    path = f"{door}{environ.get('PATH_INFO', '')}".lstrip("/\\")  # two slashes would be another host
    location = "/" + quote(path.encode("latin-1"), safe=_IN_PATH)
    location += f"?{quote(query.encode('latin-1'), safe=_IN_QUERY)}" if query else ""
    environ["RAW_URI"] = location  # which the access log prints
    cookie = dump_cookie(
        name_of_cookie(tenant, _COOKIE, door),
        token,
        path=door or "/",
        secure=tenant.settings.scheme == "https",
        httponly=True,
        samesite="Lax",
    )
    headers = {
        "Set-Cookie": cookie,
        "Location": location,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
    }
    return PlainResponse(status=302, headers=headers)


def _closed(
    platform: Platform, tenant: Tenant, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    if pages.wants_problem(environ):
        return pages.MAINTENANCE(environ, start_response)
    try:
        return _ask_front(platform.fronts.get(tenant), environ, start_response)
    except TenantUnavailable:  # which was logged, with its reason
        pass
    except Exception:
        log.exception("The maintenance page of tenant '%s' could not be made; a plain one is shown", tenant.slug)
    return pages.maintenance(tenant.title, tenant.color)(environ, start_response)


def _ask_front(app: TenantApp, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    with app.request_context(environ):
        become(NOBODY)  # who asks stands in the database
        response = _static_file(app) or _page(app)
        return response(environ, start_safely(start_response, app.safety_headers))


def _static_file(app: TenantApp) -> Response | None:
    endpoint = request.endpoint or ""
    if endpoint != "tenantry.theme" and endpoint.rpartition(".")[2] != "static":
        return None
    try:
        return app.make_response(app.dispatch_request())
    except HTTPException:  # there is no such file
        return None


def _page(app: TenantApp) -> Response:
    first = request.path.split("/")[1]
    if first in app.tenant.languages:
        use_language(first)
    response = app.make_response(render_template("tenantry/maintenance.html"))
    response.status_code = 503
    response.headers.extend([pages.NO_STORE, pages.RETRY])
    response.vary.update(("Accept", "Cookie"))
    return response
