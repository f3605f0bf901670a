"""Checking a password: throttled, and the same for an account that is there and one that is not."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from flask import request

from .. import db
from .models import User
from .names import find_account, fold_name
from .passwords import hash_password, is_outdated, is_right
from .refusals import Crowded, TooManyAttempts
from .throttle import Throttle

#: Wrong passwords for what was typed as a name, and from one address of the network: who is over it is told so.
FOR_NAME = Throttle("passwords for", "10 per 15 minute")
FROM_ADDRESS = Throttle("passwords from", "60 per 15 minute")
#: And for one account, by whichever of its names. Beyond it every password is wrong, and nobody is told: it would tell
#: which names are of one account, and that there is one.
FOR_ACCOUNT = Throttle("passwords of", "15 per 15 minute")


def check_password(name: str, password: str) -> User | None:
    """Return the account that a user name or mail address and a password belong to; whether it is active is not asked.

    The attempt is counted, and that is kept, before the password is looked at: so a thousand at once are no way around
    it, and nobody waits for this request's lock while Argon2 works. Afterwards nothing is pending.

    :raises TooManyAttempts: if there were too many wrong ones.
    :raises Crowded: if too many others have theirs checked just now.
    :raises BegunTooLate: if something was written before, which would be kept with it whatever comes after.
    """
    db.begin(write=False)
    db.begin(write=True)
    user = find_account(name)
    known = (user.id, user.password_hash) if user is not None else (0, None)
    attempt = _Attempt(fold_name(name), known[0])
    attempt.count()
    try:
        right = is_right(known[1] if attempt.may_be_right else None, password)
        renewed = hash_password(password) if right and is_outdated(known[1] or "") else None
    except Crowded:  # it was not looked at, so it was no attempt
        attempt.take_back()
        raise
    user = db.session.get(User, known[0], populate_existing=True) if right else None
    if user is None or user.password_hash != known[1]:  # changed in this very moment
        return None
    user.password_hash = renewed or user.password_hash
    attempt.take_back()
    forget_attempts(user)
    db.session.commit()
    return user


class _Attempt:
    """One attempt to log in, in all that counts it: the same work whether there is such an account or not."""

    def __init__(self, name: str, user_id: int) -> None:
        self._name = name
        self._account = str(user_id) if user_id else f"none {name}"
        self._address = address_of_visitor()
        self.may_be_right = True

    def count(self) -> None:
        """Count it, and keep that."""
        FROM_ADDRESS.check(self._address)
        FOR_NAME.count(self._name)
        FROM_ADDRESS.count(self._address)
        try:
            FOR_ACCOUNT.count(self._account)
        except TooManyAttempts:
            self.may_be_right = False
        db.session.commit()

    def take_back(self) -> None:
        """Count it no more: it was no guess."""
        FROM_ADDRESS.take_back(self._address)
        FOR_NAME.take_back(self._name)
        FOR_ACCOUNT.take_back(self._account)
        db.session.commit()


def forget_attempts(user: User) -> None:
    """Let an account's owner, who has shown to be that, begin anew."""
    FOR_ACCOUNT.forget(str(user.id))
    for name in (user.username, user.email):
        FOR_NAME.forget(name)


def address_of_visitor() -> str:
    """Return where a request comes from, in the unit that one customer of a provider has: of IPv6 the first half."""
    sent = request.remote_addr or ""
    try:
        address = ip_address(sent.partition("%")[0])
    except ValueError:
        return sent
    if address.version == 4:
        return str(address)
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False).network_address)
