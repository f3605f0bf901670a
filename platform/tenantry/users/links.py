"""Links that prove something once: signed, and bound to the state that their use changes.

Nothing of them is stored. A link carries a stamp of its account's password, address and activation; using it changes
one of these, and with it the stamp. So it works once, however often it is sent at the same time, as units of work that
write come one after the other; and it dies when the password changes.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from flask import current_app

from .. import db, signing
from ..errors import BadToken
from .models import User
from .refusals import DeadLink


def sign_link(purpose: str, user: User, lifetime: timedelta, extra: Any = None) -> str:
    """Return a signed value for an account's link.

    :param purpose: what it is for; it is refused for anything else.
    :param extra: anything of JSON that goes with it.
    """
    return signing.sign(f"link:{purpose}", [user.id, stamp(user), extra], lifetime.total_seconds())


def open_link(purpose: str, token: str) -> tuple[User, Any]:
    """Return the account of a link, and what goes with it.

    :raises DeadLink: if it is forged, expired, used, or another tenant's; the answer does not say which.
    """
    try:
        user_id, stamped, extra = signing.verify(f"link:{purpose}", token)
    except (BadToken, ValueError, TypeError) as error:
        current_app.logger.info("%s", error)
        raise DeadLink() from None
    user = db.session.get(User, user_id, populate_existing=True)
    if user is None or user.blocked_at is not None or stamp(user) != stamped:
        raise DeadLink()
    return user, extra


def stamp(user: User) -> str:
    """Return a digest of what the use of a link changes."""
    state = f"{user.password_hash}|{user.email}|{user.activated_at is not None}"
    return hashlib.sha256(state.encode()).hexdigest()[:24]
