"""Log-ins of browsers: made, found, ended. The cookie holds a random secret, the database its digest."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from flask import request, session
from sqlalchemy import delete

from .. import db
from ..times import now
from .models import Login, User

#: Where the session keeps the secret of its log-in.
SESSION_KEY = "_login"
#: How long a log-in lasts, at most: that of a browser which is to remember it, and that of one which is not.
REMEMBERED = timedelta(days=31)
NOT_REMEMBERED = timedelta(days=1)
_KEPT = ("_language",)  # of the session from before, which belonged to nobody


def digest(secret: str) -> str:
    """Return what is kept of a random secret: its SHA-256 in hex. It has 256 bits, so it needs no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def log_in(user: User, remember: bool = False) -> Login:
    """Log an account in with this browser, in a session that has nothing of the one from before.

    :param remember: keep it when the browser is closed.
    """
    from .current import CurrentUser, become

    if isinstance(before := session.get(SESSION_KEY), str):
        db.session.execute(delete(Login).where(Login.id == digest(before)))
    secret = secrets.token_urlsafe(32)
    kept = {name: session[name] for name in _KEPT if name in session}
    session.clear()
    session.update({**kept, SESSION_KEY: secret})
    session.permanent = remember
    login = Login(
        id=digest(secret),
        user_id=user.id,
        expires_at=now() + (REMEMBERED if remember else NOT_REMEMBERED),
        address=(request.remote_addr or "")[:45],
        browser=(request.user_agent.string or "")[:200],
    )
    db.session.execute(delete(Login).where(Login.expires_at < now()))
    db.session.add(login)
    become(CurrentUser.of(user, "session", login.id))
    return login


def log_out() -> None:
    """End this browser's log-in, in the database too: a copy of its cookie is worth nothing any more."""
    from .current import NOBODY, become, find

    db.session.execute(delete(Login).where(Login.id == find().login))
    kept = {name: session[name] for name in _KEPT if name in session}
    session.clear()
    session.update(kept)
    become(NOBODY)


def end_logins(user_id: int, but: str = "") -> int:
    """End an account's log-ins, in all browsers but the one with an id. Return how many there were."""
    done = db.session.execute(delete(Login).where(Login.user_id == user_id, Login.id != but))
    return int(done.rowcount)  # type: ignore[attr-defined]  # a DELETE has one
