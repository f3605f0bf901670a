"""``GET /tenantry/ask?domain=NAME``: whether a certificate may be got for a name, as Caddy's on-demand TLS asks.

200 for a name of this platform, 404 for every other. Source: https://caddyserver.com/docs/automatic-https#on-demand-tls

Only a proxy has to know. So it is told to those who ask from this machine and by its own name, with no sign that they
ask for somebody else, and to those who have the token. Everybody else finds nothing here, as at any unknown address.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Container, Iterable
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from .dispatcher import read_host
from .errors import StateError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from .registry import Registry

#: Where it answers, at any name that is no tenant's.
PATH = "/tenantry/ask"
#: Characters that a token has at least.
_SHORTEST = 32
#: A query has the domain and the token; more is no proxy's.
_FIELDS = 8
#: Headers by which proxies tell that they ask for somebody else, beside all those that begin with X-Forwarded.
_OF_PROXIES = (
    "HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP", "HTTP_X_CLIENT_IP", "HTTP_X_CLUSTER_CLIENT_IP",
    "HTTP_TRUE_CLIENT_IP", "HTTP_CF_CONNECTING_IP", "HTTP_X_ORIGINAL_URL", "HTTP_X_ORIGINAL_FORWARDED_FOR",
    "HTTP_FASTLY_CLIENT_IP", "HTTP_X_ENVOY_EXTERNAL_ADDRESS", "HTTP_CDN_LOOP",
)  # fmt: skip


class Asking:
    """Answers such questions, and hands every other request on. A WSGI application.

    :param otherwise: answers all that is not told, as it answers an unknown address.
    :param hosts: the names of tenants; those that the dispatcher serves.
    :param own: the names of [platform] hosts.
    :raises StateError: if the token in ``TENANTRY_ASK_TOKEN`` is too short.
    """

    def __init__(self, otherwise: WSGIApplication, hosts: Container[str], own: Container[str] = ()) -> None:
        self._otherwise = otherwise
        self._hosts = hosts
        self._own = own
        self._token = _token()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != PATH or not self._is_told(environ):
            return self._otherwise(environ, start_response)
        start_response(
            "200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4"), ("Cache-Control", "no-store")]
        )
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"yes\n"]

    def _is_told(self, environ: WSGIEnvironment) -> bool:
        sent = environ.get("QUERY_STRING", "")
        if sent:
            environ["RAW_URI"] = PATH  # which the access log prints, and a token may stand in the query
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return False
        try:
            query = parse_qs(sent, keep_blank_values=True, max_num_fields=_FIELDS)
        except ValueError:
            return False
        may_ask = self._has_token(environ, query.get("token", [])) or is_from_here(environ)
        domains = query.get("domain", [])
        return may_ask and len(domains) == 1 and self._is_ours(domains[0])

    def _has_token(self, environ: WSGIEnvironment, sent: list[str]) -> bool:
        scheme, _, bearer = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        given = [*sent, *([bearer.strip()] if scheme.lower() == "bearer" else [])]
        return bool(self._token) and any(hmac.compare_digest(_bytes(each), self._token) for each in given)

    def _is_ours(self, domain: str) -> bool:
        # Of ASCII only, as a name in other letters that folds to one of ours is another name.
        name = domain.removesuffix(".").lower() if domain.isascii() else ""
        return may_be_certified(name) and (name in self._hosts or name in self._own)


def certificate_names(registry: Registry) -> list[tuple[str, str | None]]:
    """Return each name for which a certificate is needed, and the slug of its tenant; ``None`` for the platform's own.

    Those of archived tenants are not among them, nor addresses of the network and ``localhost``.
    """
    own = registry.settings.hosts if isinstance(registry.settings.hosts, tuple) else ()
    names: list[tuple[str, str | None]] = [(name, None) for name in own]
    names += [(name, tenant.slug) for tenant in registry.served() for name in tenant.hosts]
    return [each for each in names if may_be_certified(each[0])]


def may_be_certified(name: str) -> bool:
    """Whether a folded host name is one that certificates are made for: a name, and not this machine's or a number."""
    return name not in ("", "localhost") and not name.startswith("[") and not name.rpartition(".")[2].isdigit()


def is_from_here(environ: WSGIEnvironment) -> bool:
    """Whether a request comes from this machine and is for it by its own name, with no proxy's mark."""
    host = read_host(environ.get("HTTP_HOST", "")) or ""
    return (
        _is_loopback(environ.get("REMOTE_ADDR", ""))
        and (host == "localhost" or _is_loopback(host.strip("[]")))
        and not any(name.startswith("HTTP_X_FORWARDED") or name in _OF_PROXIES for name in environ)
    )


def _is_loopback(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def _token() -> bytes:
    token = os.environ.get("TENANTRY_ASK_TOKEN", "")
    if token and len(token) < _SHORTEST:
        raise StateError(
            f"TENANTRY_ASK_TOKEN has {len(token)} characters; expected at least {_SHORTEST} random ones, or none. "
            "'openssl rand -hex 32' makes one."
        )
    return _bytes(token)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
