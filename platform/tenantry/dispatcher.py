"""Which tenant a request is for: by its host, else by the prefix of its path. Data in, forward out; no Flask.

The path is checked before it is routed, because servers, proxies and browsers read ``..``, ``//`` and ``%2f``
differently, and a door that two of them read differently is a way into another tenant. The raw request line is needed
for that, as WSGI's ``PATH_INFO`` is decoded already: gunicorn hands it over as ``RAW_URI``, Werkzeug's server too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from werkzeug.middleware.dispatcher import DispatcherMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: RFC 9112 section 3.2: a Host field is a host and at most a port. The port is dropped: doors answer on every port. No
#: wider than what Werkzeug reads, which would make links without any host of the rest.
_HOST = re.compile(r"(?:([a-z0-9-]+(?:\.[a-z0-9-]+)*)\.?|(\[[0-9a-f:.]+\]))(?::([1-9][0-9]{0,4}))?", re.ASCII)
_PORTS = {"http": 80, "https": 443}
#: RFC 3986 section 5.2.4 calls ``.`` and ``..`` dot segments; some servers take ``..;x`` for one too.
_DOT_SEGMENT = re.compile(r"/\.\.?(?:;[^/]*)?(?:/|$)")


class Dispatcher(DispatcherMiddleware):
    """Werkzeug's dispatcher, with hosts beside its mounts and a strict look at the path.

    :param app: answers where no door fits; the same answer for every unknown host and prefix.
    :param mounts: path prefix, e.g. ``/acme``, to WSGI application. The longest prefix wins.
    :param hosts: folded host name to WSGI application, which gets the whole path.
    :param path_hosts: host names at which the mounts answer; ``None`` is every name.
    :param bad_request: answers what is refused before it is routed.
    """

    mounts: Mapping[str, WSGIApplication]  # type: ignore[assignment]  # never written here, so any mapping will do

    def __init__(
        self,
        app: WSGIApplication,
        mounts: Mapping[str, WSGIApplication] | None = None,
        *,
        hosts: Mapping[str, WSGIApplication] | None = None,
        path_hosts: Iterable[str] | None = None,
        bad_request: WSGIApplication,
    ) -> None:
        super().__init__(app)
        self.mounts = mounts or {}
        self.hosts = hosts or {}
        self.path_hosts = None if path_hosts is None else frozenset(path_hosts)
        self.bad_request = bad_request
        self._depth = max((prefix.count("/") for prefix in self.mounts), default=0)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.find(environ)(environ, start_response)

    def find(self, environ: WSGIEnvironment) -> WSGIApplication:
        """Return the application of a request; move the door's prefix from PATH_INFO to SCRIPT_NAME."""
        field = environ.get("HTTP_HOST", "")
        path = environ.get("PATH_INFO", "")
        raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or path
        app = self.hosts.get(field)  # most fields are a name in its one form already
        host = read_host(field) if app is None else field
        if host is None or not is_plain_path(path):
            return self.bad_request
        if raw[:1] != "/" and raw and not agrees_with(raw, field):
            return self.bad_request
        if app is None:
            app = self.hosts.get(host)
        if app is not None:
            return app
        if self.path_hosts is not None and host not in self.path_hosts:
            return self.app
        return self._find_mount(environ, path, raw)

    def _find_mount(self, environ: WSGIEnvironment, path: str, raw: str) -> WSGIApplication:
        prefix = self._longest_prefix(path)
        if prefix is None:
            return self.app
        if "%" in raw and not spells(raw, prefix):
            return self.bad_request
        environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
        environ["PATH_INFO"] = path[len(prefix) :]
        return self.mounts[prefix]

    def _longest_prefix(self, path: str) -> str | None:
        """Return the longest mounted prefix of ``path``, looking at no more segments than the deepest mount has."""
        end, found = 0, None
        for _ in range(self._depth):
            end = path.find("/", end + 1)
            prefix = path if end < 0 else path[:end]
            if prefix in self.mounts:
                found = prefix
            if end < 0:
                break
        return found


@lru_cache(maxsize=1024)  # few names are asked for again and again; made-up ones push each other out
def read_host(field: str) -> str | None:
    """Return the name in a Host field, folded and without port or trailing dot; ``None`` if it is not one name."""
    match = _HOST.fullmatch(field.lower())
    if match is None or (match[3] and int(match[3]) > 65535):
        return None
    return match[1] or match[2]


def is_plain_path(path: str) -> bool:
    """Whether a decoded path has one reading only: rooted, no empty segment, no dot segment, no backslash, no NUL."""
    if path[:1] != "/":
        return not path
    if "//" in path or "\\" in path or "\0" in path:
        return False
    # One character is found 90 times faster than two in a path made of slashes, so ask for the dot alone first.
    return "." not in path or "/." not in path or _DOT_SEGMENT.search(path) is None


def agrees_with(target: str, field: str) -> bool:
    """Whether an absolute-form request target (RFC 9112 section 3.2.2) has the host and port of the Host field."""
    try:
        named = urlsplit(target)
        port = urlsplit(f"//{field}").port
    except ValueError:
        return False
    own = _PORTS.get(named.scheme)
    same_port = (named.port or own) == (port or own)
    return own is not None and same_port and read_host(named.netloc) == read_host(field) is not None


def spells(raw: str, prefix: str) -> bool:
    """Whether the first segments of an undecoded path are ``prefix``, so that no ``%2f`` was taken for a slash."""
    start = 0 if raw[:1] == "/" else raw.find("/", raw.find("//") + 2)
    end = start
    for _ in range(prefix.count("/")):
        end = raw.find("/", end + 1)
        if end < 0:
            end = len(raw)
            break
    own = raw[start:end].partition("?")[0]
    return own.count("/") == prefix.count("/") and unquote_to_bytes(own) == prefix.encode("latin-1")
