"""Binding a tenant's URL map: to the request that came through its door, or to its home, for links made outside one."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Request
from werkzeug.routing import Map, MapAdapter
from werkzeug.wsgi import get_host

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from .tenant_app import TenantApp


def bind_to_request(app: TenantApp, request: Request) -> MapAdapter | None:
    """Do what Werkzeug's ``bind_to_environ`` does, for a request that came through a door.

    Return ``None`` where more is asked for than a path and a host, as with websockets; Flask's way does that.

    :raises werkzeug.exceptions.HTTPException: if the Host field is none.
    """
    environ, url_map = request.environ, app.url_map
    host = environ.get("HTTP_HOST")
    plain = "tenantry.tenant" in environ and "HTTP_UPGRADE" not in environ and type(url_map).bind is Map.bind
    trusts_some = app.config["TRUSTED_HOSTS"] is not None or request.trusted_hosts is not None
    if not plain or not host or trusts_some or url_map.host_matching or app.subdomain_matching:
        return None
    request.host, server_name = _read_host(environ["wsgi.url_scheme"], host)
    return MapAdapter(
        url_map,
        server_name,
        _text(environ, "SCRIPT_NAME"),
        url_map.default_subdomain or "",
        environ["wsgi.url_scheme"],
        _text(environ, "PATH_INFO"),
        environ["REQUEST_METHOD"],
        _text(environ, "QUERY_STRING"),
    )


def _text(environ: WSGIEnvironment, name: str) -> str:
    """Return a value of the environ as the UTF-8 that it is (PEP 3333 hands it over as Latin-1)."""
    value: str = environ.get(name, "")
    return value if value.isascii() else value.encode("latin-1").decode(errors="replace")


def bind_to_home(app: TenantApp) -> MapAdapter:
    """Bind a tenant's map to its canonical door."""
    home = urlsplit(app.home)
    return app.url_map.bind(home.netloc, home.path or "/", url_scheme=home.scheme)


@lru_cache(maxsize=1024)
def _read_host(scheme: str, field: str) -> tuple[str, str]:
    """Return the host of a Host field, as Flask reads it for a request, and as Werkzeug does for links."""
    host = get_host({"wsgi.url_scheme": scheme, "HTTP_HOST": field})
    return host, Map().bind(host).server_name
