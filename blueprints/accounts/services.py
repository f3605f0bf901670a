"""What is done to accounts, without a word about pages: each function is a part of its caller's unit of work."""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy import delete, func, select

from tenantry import current_language, current_tenant, db
from tenantry.events import record
from tenantry.times import now
from tenantry.users import ApiToken, DeadLink, Invitation, User, end_logins, forget_attempts

#: How long a link is accepted: to confirm an address, to set a password, and to accept an invitation.
CONFIRM_WITHIN, RESET_WITHIN, ACCEPT_WITHIN = timedelta(days=3), timedelta(hours=2), timedelta(days=14)


#: The end of the address of an account that only keeps its name from being taken (RFC 2606).
NOWHERE = "@nobody.invalid"


class LastAdmin(ValueError):
    """Nobody would look after the workspace any more."""


class NameTaken(ValueError):
    """Somebody else has this user name."""


def register(user: User) -> bool:
    """Keep a new account, which waits for its address to be confirmed. Return whether: not if the address is in use.

    One that waits for the same address gives way: whoever can read the mail, and knows the password, decides.

    :raises NameTaken: if somebody else has the user name.
    """
    _make_room(user)
    is_new = not _has_account(user.email)
    if not is_new:  # the name is taken all the same, for as long, or it would tell
        user.email, user.password_hash = f"{secrets.token_hex(16)}{NOWHERE}", None
    _add(user)
    return is_new


def _make_room(user: User) -> None:
    """Remove the accounts in the way of a new one that were never confirmed: of its address, and old ones."""
    waiting = User.activated_at.is_(None)
    db.session.execute(delete(User).where(waiting, User.created_at < now() - CONFIRM_WITHIN))
    taken = db.session.scalar(select(User).where(User.username == user.username))
    if taken is not None and (taken.email != user.email or taken.activated_at is not None):
        raise NameTaken()
    db.session.execute(delete(User).where(waiting, User.email == user.email))


def _has_account(email: str) -> bool:
    return db.session.scalar(select(User.id).where(User.email == email)) is not None


def _add(user: User) -> None:
    user.language = current_language()
    db.session.add(user)
    db.session.flush()


def activate(user: User) -> bool:
    """Let an account in, now that its address is confirmed. Return whether it was made administrator.

    That is the first one of a workspace in the development environment, so that everything can be tried at once.
    Elsewhere the operator appoints the first: ``tenantry users add``.
    """
    user.activated_at = now()
    first = current_tenant.settings.environment == "development" and not count_admins()
    if first:
        user.role = "admin"
    return first


def count_admins() -> int:
    """Return how many administrators can log in."""
    active = (User.role == "admin", User.activated_at.is_not(None), User.blocked_at.is_(None))
    return db.session.scalar(select(func.count()).select_from(User).where(*active)) or 0


def set_role(user: User, role: str) -> None:
    """Give somebody another role in the workspace.

    :raises LastAdmin: if nobody would look after it any more.
    """
    if role != "admin":
        _check_others(user)
    if user.role != role:
        user.role = role
        record("user.changed", user.id, user.name)


def set_blocked(user: User, is_blocked: bool) -> None:
    """Let somebody log in no more, and log them out everywhere; or let them again.

    :raises LastAdmin: if nobody would look after the workspace any more.
    """
    if not is_blocked:
        user.blocked_at = None
        return
    _check_others(user)
    user.blocked_at = user.blocked_at or now()
    end_logins(user.id)


def _check_others(user: User) -> None:
    """Two who demote each other come one by one, as units of work that write do."""
    if user.role == "admin" and user.is_active and count_admins() <= 1:
        raise LastAdmin()


def accept(invitation: Invitation, user: User) -> None:
    """Keep the account of somebody who was invited: their address is proved by the link.

    :raises NameTaken: if somebody else has the user name.
    :raises DeadLink: if the address has an account by now.
    """
    _make_room(user)
    if _has_account(user.email):
        raise DeadLink()
    invitation.accepted_at = user.activated_at = now()
    user.role = invitation.role
    _add(user)


def set_password(user: User, password_hash: str) -> None:
    """Give an account another password, and end all its log-ins."""
    user.password_hash = password_hash
    end_logins(user.id)
    forget_attempts(user)


def revoke_tokens(user: User) -> None:
    """Revoke all API tokens of an account."""
    db.session.execute(delete(ApiToken).where(ApiToken.user_id == user.id))


def move_to(user: User, email: str) -> bool:
    """Give an account the address that it confirmed. Return whether nobody else had it meanwhile."""
    others = (User.id != user.id, User.email == email)
    if db.session.scalar(select(User.id).where(*others, User.activated_at.is_not(None))) is not None:
        return False
    db.session.execute(delete(User).where(*others))
    user.email = email
    return True
