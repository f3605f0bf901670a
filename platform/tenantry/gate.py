"""The gate: whether a request may go in to its tenant. Only the tenant's state is asked so far.

Who is refused is answered here, mostly by a page that is made already, and no app is built for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import pages

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from .app import Platform
    from .registry import Tenant

#: Methods that only read (RFC 9110 section 9.2.1).
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
#: States in which nobody gets in, and what is answered.
_SHUT = {"suspended": pages.SUSPENDED, "archived": pages.NOT_FOUND}


def refusal(platform: Platform, tenant: Tenant, environ: WSGIEnvironment) -> WSGIApplication | None:
    """Return what answers instead of a tenant that is not active, or ``None`` if the request may go in."""
    if tenant.status == "read-only":
        return None if environ["REQUEST_METHOD"] in SAFE_METHODS else pages.READ_ONLY
    if tenant.status == "maintenance":
        from . import maintenance  # which needs what reads SAFE_METHODS here

        return maintenance.answer(platform, tenant, environ)
    return _SHUT[tenant.status]


def privately(start_response: StartResponse) -> StartResponse:
    """Let no cache keep what is answered to those who have a pass: others would get it, without one."""

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        kept = [pair for pair in headers if pair[0].lower() != "cache-control"]
        return start_response(status, [*kept, pages.NO_STORE, ("Vary", "Cookie")], exc_info)

    return start
