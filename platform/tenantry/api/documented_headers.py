"""The headers of the API, as its document has them: what is sent with an operation, and what comes back."""

from __future__ import annotations

from typing import Any

from .idempotency import HEADER, LONGEST_KEY, REPLAYED
from .operations import Operation

_TEXT, _NUMBER = {"type": "string"}, {"type": "integer", "minimum": 0}
_TAG, _SECONDS = {**_TEXT, "pattern": '^(W/)?".*"$'}, {**_TEXT, "pattern": r"^[0-9]+\.[0-9]{6}$"}


def _header(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "schema": schema}


#: Every header of an answer, by name.
COMPONENTS = {
    "ETag": _header("What the item is now; for If-Match and If-None-Match.", _TAG),
    "Link": _header("The parts of the list before (prev) and after (next) this one (RFC 8288).", _TEXT),
    "Location": _header("Address of what was made.", _TEXT),
    "Content-Disposition": _header("Name of the file.", _TEXT),
    "X-Runtime": _header("Seconds that it took.", _SECONDS),
    REPLAYED: _header(
        "true where this request was carried out before, and this is what was answered then.",
        {**_TEXT, "enum": ["true"]},
    ),
    "RateLimit-Limit": _header("Requests in a minute.", _NUMBER),
    "RateLimit-Remaining": _header("How many are left.", _NUMBER),
    "RateLimit-Reset": _header("Seconds until the next minute begins.", _NUMBER),
    "RateLimit-Policy": _header("The limit, and its window in seconds.", _TEXT),
    "Retry-After": _header("Seconds after which to try again.", _NUMBER),
    "Allow": _header("Methods that there are.", _TEXT),
    "WWW-Authenticate": _header("How to log in.", _TEXT),
}
_ALWAYS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy")
_OF_PROBLEMS = {401: ("WWW-Authenticate",), 405: ("Allow",), 429: ("Retry-After",), 503: ("Retry-After",)}


def answered_with(operation: Operation) -> dict[str, Any]:
    """Return the headers of an operation's answer."""
    names = [*_ALWAYS, "X-Runtime"]
    if operation.returns is str:
        names.append("Content-Disposition")
    elif operation.returns is not None and not operation.secret:
        names.append("ETag")
    if operation.query is not None and operation.returns is not str:
        names.append("Link")
    if operation.status == 201:
        names.append("Location")
    if operation.method == "POST":
        names.append(REPLAYED)
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def of_problem(status: int) -> dict[str, Any]:
    """Return the headers of an error."""
    names = (*_OF_PROBLEMS.get(status, ()), *_ALWAYS)
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def sent_with(operation: Operation) -> list[dict[str, Any]]:
    """Return the headers that may be sent with an operation, as parameters."""
    found = []
    if operation.method == "POST":
        text = "A key of your own choice, for this request alone: sent again with it, it is not carried out again."
        found.append(_parameter(HEADER, text, {"minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[ -~]+$"}))
    if operation.conditional:
        text = "The ETag of what you have seen: if it is another by now, nothing is done, and the answer is 412."
        found.append(_parameter("If-Match", text, {}))
    if operation.method == "GET" and operation.produces == "application/json":
        found.append(_parameter("If-None-Match", "The ETag of what you have: if it is still that, 304.", {}))
    return found


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string", **schema}}
