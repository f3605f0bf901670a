"""``Idempotency-Key``: a POST that is sent again, as its answer did not arrive, is not carried out again.

The answer is kept in the tenant's database, in the transaction of the work itself: so it is there if the work is, and
only then. The header and its statuses are those of draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256

from flask import Response, current_app, request
from sqlalchemy import String, Text, delete
from sqlalchemy.orm import Mapped, mapped_column

from .. import db
from ..organizations.scope import get_available_organizations
from ..times import now
from ..users.current import current_user
from .problems import ApiException

HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
#: How long an answer is kept, and how long a key may be.
KEPT_FOR = timedelta(days=1)
LONGEST_KEY = 200
#: Headers that are kept with an answer.
_HEADERS = ("Content-Type", "ETag", "Location")


class KeptAnswer(db.Model):
    """The answer to a request that had a key.

    :ivar id: digest of the key and of whose it was.
    :ivar fingerprint: digest of the request, as a key is for one request only.
    :ivar body: ``None`` where it holds a secret, which is not to be kept.
    """

    __tablename__ = "tenantry_kept_answer"
    __table_args__ = {"info": {"secret": True}}  # noqa: RUF012  # as SQLAlchemy has it

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    headers: Mapped[str] = mapped_column(Text)
    body: Mapped[str | None] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(index=True)


def once(do: Callable[[], Response], secret: bool = False) -> Response:
    """Do the work of a request, unless its key says that it was done: then answer what was answered.

    :param secret: whether the answer holds what must not be kept; when it is asked for again, that is 409.
    :raises ApiException: 400 if the key cannot be one, 422 if it was another request's.
    """
    if HEADER not in request.headers:
        return do()
    key, fingerprint = _key(), _digest(request.method, request.full_path, request.get_data().decode("latin-1"))
    db.session.execute(delete(KeptAnswer).where(KeptAnswer.expires_at < now()))
    known = db.session.get(KeptAnswer, key)
    if known is not None:
        return _replay(known, fingerprint)
    response = do()
    if response.status_code < 300:
        db.session.add(_keep(key, fingerprint, response, secret))
    return response


def _key() -> str:
    sent = request.headers[HEADER]
    if not 0 < len(sent) <= LONGEST_KEY or not sent.isascii() or not sent.isprintable():
        raise ApiException(400, f"The {HEADER} is none; expected 1 to {LONGEST_KEY} printable ASCII characters.")
    return _digest(str(current_user.id), sent)


def _digest(*parts: str) -> str:
    return sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()


def _keep(key: str, fingerprint: str, response: Response, secret: bool) -> KeptAnswer:
    headers = {name: response.headers[name] for name in _HEADERS if name in response.headers}
    body = None if secret else response.get_data(as_text=True)
    return KeptAnswer(
        id=key,
        fingerprint=fingerprint,
        status=response.status_code,
        headers=json.dumps(headers),
        body=body,
        expires_at=now() + KEPT_FOR,
    )


def _replay(known: KeptAnswer, fingerprint: str) -> Response:
    if known.fingerprint != fingerprint:
        raise ApiException(422, f"This {HEADER} was sent with another request; expected a new key for a new request.")
    if known.body is None:
        raise ApiException(409, "This was done already, and its answer, which holds a secret, is not kept.")
    if not _is_seen(known.body):
        raise ApiException(404)
    response = current_app.response_class(known.body, known.status, json.loads(known.headers))
    response.headers[REPLAYED] = "true"
    return response


def _is_seen(body: str) -> bool:
    """Whether who gets an answer again may still see it: they may have left the organization that it is about."""
    try:
        answered = json.loads(body)
    except ValueError:  # no JSON
        return True
    organization_id = answered.get("organization_id") if isinstance(answered, dict) else None
    return organization_id is None or organization_id in get_available_organizations()
