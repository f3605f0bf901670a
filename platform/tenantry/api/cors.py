"""Pages from elsewhere that may use a tenant's API from a browser: those whose origins the operator names (CORS).

They may bring a token. A cookie never comes along, as credentials are not allowed.
"""

from __future__ import annotations

from flask import Response, request

from ..context import current_tenant

#: Headers that such a page may send, and those that it may read.
_SENT = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match"
_READ = (
    "Content-Disposition, ETag, Idempotency-Replayed, Link, Location, RateLimit-Limit, RateLimit-Policy, "
    "RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Runtime"
)
#: Seconds for which a browser need not ask again what is allowed.
_REMEMBERED = 3600


def allow_origin(response: Response) -> Response:
    """Let the page that asks read the answer, if the tenant lets its origin."""
    origins = current_tenant.cors_origins
    if not origins:
        return response
    response.vary.add("Origin")
    origin = request.headers.get("Origin", "")
    if origin not in origins and "*" not in origins:
        return response
    response.headers["Access-Control-Allow-Origin"] = origin if "*" not in origins else "*"
    response.headers["Access-Control-Expose-Headers"] = _READ
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "GET")
        response.headers["Access-Control-Allow-Headers"] = _SENT
        response.headers["Access-Control-Max-Age"] = str(_REMEMBERED)
    return response
