"""Checking a password: throttled, and the same for an account that is there and one that is not."""

from __future__ import annotations

from flask import request
from sqlalchemy import or_, select

from .. import db
from .models import User
from .names import fold_username
from .passwords import hash_password, is_outdated, is_right
from .throttle import Throttle

#: Wrong passwords for one account, from anywhere; and from one address, for any account.
FOR_ACCOUNT = Throttle("password of", "10 per 15 minute")
FROM_ADDRESS = Throttle("passwords from", "60 per 15 minute")


def check_password(name: str, password: str) -> User | None:
    """Return the account that a user name or mail address and a password belong to; whether it is active is not asked.

    The attempt is counted and kept before the password is looked at, so that a thousand at once are no way around it;
    and while Argon2 works, nobody waits for this request's lock. Afterwards the unit of work writes, and has written
    nothing yet but that.

    :raises TooManyAttempts: if there were too many wrong ones.
    :raises BegunTooLate: if something was written before.
    """
    address = address_of_visitor()
    db.begin(write=True)
    user = _find(fold_username(name))
    known = (user.id, user.password_hash) if user is not None else None
    account = f"id {known[0]}" if known else f"name {name}"
    _count(account, address)
    if not is_right(known[1] if known else None, password) or known is None:
        return None
    FOR_ACCOUNT.forget(account)
    FROM_ADDRESS.take_back(address)
    user = db.session.get(User, known[0], populate_existing=True)
    if user is None or user.password_hash != known[1]:  # changed in this very moment
        return None
    if is_outdated(known[1] or ""):
        user.password_hash = hash_password(password)
    return user


def address_of_visitor() -> str:
    """Return where a request comes from, in the unit that one customer of a provider has: IPv6 by its first half."""
    address = request.remote_addr or ""
    return ":".join(address.split(":")[:4]) if ":" in address else address


def _count(account: str, address: str) -> None:
    FROM_ADDRESS.check(address)
    FOR_ACCOUNT.count(account)
    FROM_ADDRESS.count(address)
    db.session.commit()


def _find(name: str) -> User | None:
    return db.session.scalar(select(User).where(or_(User.username == name, User.email == name)))
