"""The ``Authorization`` header: an API token as Bearer or as Basic's user name, or a password as Basic."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta

from flask import request
from sqlalchemy import bindparam, select

from .. import db
from ..context import current_tenant
from ..gate import SAFE_METHODS
from ..times import now
from .check import check_password
from .current import CurrentUser
from .models import ApiToken, User
from .refusals import LoginRequired

#: What a token begins with, so that a person, or a scanner of repositories, knows it for what it is.
PREFIX = "tenantry_"
SCOPES = ("read", "write")
#: Whose a token is; made once, as every request of a program asks.
_HOLDER = (
    select(User, ApiToken.scopes)
    .join(ApiToken, ApiToken.user_id == User.id)
    .where(ApiToken.digest == bindparam("digest"), ApiToken.expires_at > bindparam("now"))
)


def issue_token(user_id: int, name: str, scopes: Iterable[str], lifetime: timedelta) -> tuple[str, ApiToken]:
    """Return a new token, to be shown once, and its row, of which it cannot be had again."""
    token = PREFIX + secrets.token_urlsafe(32)
    row = ApiToken(
        user_id=user_id, name=name, digest=_digest(token), scopes=" ".join(sorted(scopes)), expires_at=now() + lifetime
    )
    db.session.add(row)
    return token, row


def find_by_header() -> CurrentUser:
    """Return who the header says is asking.

    :raises LoginRequired: if it is not accepted, whatever is wrong with it.
    :raises TooManyAttempts: if passwords were tried too often.
    """
    sent = request.authorization
    if sent is None or sent.type not in ("bearer", "basic"):
        raise LoginRequired(by_header=True)
    if sent.type == "bearer":
        return _by_token(sent.token or "")
    if (sent.username or "").startswith(PREFIX):
        return _by_token(sent.username or "")
    return _by_password(sent.username or "", sent.password or "")


def _by_token(token: str) -> CurrentUser:
    found = db.session.execute(_HOLDER, {"digest": _digest(token), "now": now()}).first()
    if found is None or not found[0].is_active:
        raise LoginRequired(by_header=True)
    return CurrentUser.of(found[0], "token", scopes=frozenset(found[1].split()))


def _by_password(name: str, password: str) -> CurrentUser:
    if current_tenant.status == "read-only":  # an attempt would have to be counted, and nothing may be written
        raise LoginRequired(by_header=True)
    user = check_password(name, password)
    if user is None or not user.is_active:
        raise LoginRequired(by_header=True)
    found = CurrentUser.of(user, "password")
    db.begin(write=request.method not in SAFE_METHODS)
    return found


def _digest(token: str) -> str:
    """The deed is a part of it: a copy of the database under another deed accepts none of its tokens."""
    deed = current_tenant.deed
    return hashlib.sha256(f"{deed.hex if deed else ''}:{token}".encode("utf-8", "replace")).hexdigest()
