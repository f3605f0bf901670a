"""Where somebody wanted to go before they had to log in: only ever a page of the same tenant, through the same door."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode

from flask import request, url_for
from flask.globals import request_ctx
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, RequestRedirect, RoutingException

#: What a browser would resolve before it asks, and so get out of the door: dot segments (RFC 3986 section 5.2.4).
_UPWARDS = re.compile(r"\\|(^|/)\.{1,2}(/|$)")


def this_page() -> str:
    """Return the page that is asked for, as :func:`way_back` takes it."""
    query = request.query_string.decode("ascii", "replace")
    return request.path + (f"?{query}" if query else "")


def way_back(target: str | None) -> str | None:
    """Return the address of a page that somebody named, e.g. in ``?next=``; ``None`` if it is none of this tenant's.

    The address is made anew from the route that the name leads to, and never of the name itself: so it cannot lead
    anywhere else, however a browser reads it.

    :param target: a path within the tenant, such as ``/help/welcome/?page=2``.
    """
    path, _, query = (target or "").partition("?")
    adapter: MapAdapter | None = request_ctx.url_adapter
    if not path.startswith("/") or adapter is None:
        return None
    try:
        endpoint, values = adapter.match(path, method="GET")
        address = url_for(endpoint, **values)
    except (HTTPException, RequestRedirect, RoutingException, ValueError):
        return None
    if _UPWARDS.search(path):  # a value that holds slashes, as a static file's name does, may hold these
        return None
    pairs = parse_qsl(query, keep_blank_values=True)
    return address + (f"?{urlencode(pairs)}" if pairs else "")
