"""The gate: whether a request may go in to its tenant. Only the tenant's state is asked so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import pages

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from .registry import Tenant

#: Methods that only read (RFC 9110 section 9.2.1).
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))


def refusal(tenant: Tenant, method: str) -> WSGIApplication | None:
    """Return the page that answers instead of the tenant, or ``None`` if the request may go in."""
    if tenant.status == "active":
        return None
    if tenant.status == "read-only":
        return None if method in SAFE_METHODS else pages.READ_ONLY
    return pages.SUSPENDED if tenant.status == "suspended" else pages.MAINTENANCE
