"""Who may use the API, and how often: asked before each operation, and said in the headers of each answer."""

from __future__ import annotations

from flask import Response, current_app, request
from flask.globals import app_ctx
from werkzeug.exceptions import TooManyRequests

from ..context import current_tenant_app
from ..forms import CSRF_HEADER, is_our_own_page
from ..gate import SAFE_METHODS
from ..rates import WINDOW, Usage
from ..users.check import address_of_visitor
from ..users.current import find, require
from ..users.refusals import LoginRequired
from .problems import ApiException


def admit(role: str | None) -> None:
    """Let an operation begin only if the one who asks may use it, and has not asked too often.

    :param role: the role that it needs; ``None`` if everybody may.
    :raises LoginRequired: (401) if nobody is known to ask.
    :raises werkzeug.exceptions.Forbidden: (403) if they have not the role, or their token only reads.
    :raises TooManyRequests: (429) if they have asked too often.
    :raises ApiException: 403 if a browser's session came from a page that is not ours.
    """
    try:
        user = find()
    except LoginRequired:
        _count(address_of_visitor())
        raise
    _count(f"user {user.id}" if user.is_authenticated else address_of_visitor())
    if role is not None:
        require(role)
    if user.via == "session" and request.method not in SAFE_METHODS and not is_our_own_page():
        raise ApiException(
            403, f"A browser's session needs the header {CSRF_HEADER}, with the token of one of our pages."
        )


def require_password() -> None:
    """Go on only if the one who asks has sent their password, by HTTP Basic.

    :raises ApiException: 403 if they are known otherwise.
    """
    if find().via != "password":
        raise ApiException(403, "This is done with your user name and password, by HTTP Basic, and not with a token.")


def _count(who: str) -> None:
    app = current_tenant_app("api")
    limit = app.tenant.limits.api_per_minute
    try:
        usage = app.platform.rates.count(f"{app.signer.keys.deed.hex} {who}", limit)
    except OSError as error:  # nobody is refused because the disk is full
        current_app.logger.error("Requests of the API cannot be counted: %s", error)
        return
    app_ctx._tenantry_usage = usage  # type: ignore[attr-defined]  # ours, and not in g, which is the application's
    if usage.is_over:
        raise TooManyRequests(retry_after=usage.reset)


def say_what_is_left(response: Response) -> Response:
    """Add how many requests are left (draft-ietf-httpapi-ratelimit-headers-06), where they were counted."""
    usage: Usage | None = getattr(app_ctx, "_tenantry_usage", None)
    if usage is not None:
        response.headers["RateLimit-Limit"] = str(usage.limit)
        response.headers["RateLimit-Remaining"] = str(usage.remaining)
        response.headers["RateLimit-Reset"] = str(usage.reset)
        response.headers["RateLimit-Policy"] = f"{usage.limit};w={WINDOW}"
    return response
