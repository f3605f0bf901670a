"""Entity tags: what need not be sent again, and what must not be overwritten unseen (RFC 9110, section 13)."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from flask import Response, request
from pydantic import BaseModel

from .problems import ApiException


def etag_of(body: bytes) -> str:
    """Return the entity tag of a representation: a digest of its bytes."""
    return blake2b(body, digest_size=12).hexdigest()


def tagged(response: Response, body: bytes) -> Response:
    """Give a response its entity tag; to who has it already, answer 304."""
    response.set_etag(etag_of(body))
    if request.method in ("GET", "HEAD"):
        response.make_conditional(request)
    return response


def etag_for(schema: type[BaseModel], item: Any) -> str:
    """Return the entity tag that an item has as it is now.

    :param schema: by which it is answered.
    """
    return etag_of(schema.model_validate(item).model_dump_json().encode())


def check_unchanged(schema: type[BaseModel], item: Any) -> None:
    """Go on only if an item is still as the one who changes it has seen it: where ``If-Match`` says what that was.

    :param schema: by which it is answered.
    :raises ApiException: 412 if it is another by now.
    """
    if "If-Match" not in request.headers:
        return
    if not request.if_match.contains(etag_for(schema, item)):
        raise ApiException(412, "It has been changed meanwhile. Get it anew, look at what it is now, and try again.")
