"""What is done to accounts, without a word about pages: each function is a part of its caller's unit of work."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, select
from werkzeug.exceptions import NotFound

from tenantry import current_language, current_tenant, db
from tenantry.times import now
from tenantry.users import Invitation, User, end_logins

#: How long a link to confirm an address, and one to set a password, is accepted.
CONFIRM_WITHIN, RESET_WITHIN, ACCEPT_WITHIN = timedelta(days=3), timedelta(hours=2), timedelta(days=14)


class NameTaken(ValueError):
    """Somebody else has this user name."""


def register(username: str, name: str, email: str, password_hash: str) -> User | None:
    """Return a new account that waits for its address to be confirmed; ``None`` if the address has one that is in use.

    One that waits for the same address gives way: whoever can read the mail decides.

    :raises NameTaken: if somebody else has the user name.
    """
    waiting = User.activated_at.is_(None)
    db.session.execute(delete(User).where(waiting, User.created_at < now() - CONFIRM_WITHIN))
    taken = db.session.scalar(select(User).where(User.username == username))
    if taken is not None and (taken.email != email or taken.activated_at is not None):
        raise NameTaken()
    if db.session.scalar(select(User.id).where(User.email == email, ~waiting)) is not None:
        return None
    db.session.execute(delete(User).where(waiting, User.email == email))
    return _add(User(username=username, name=name, email=email, password_hash=password_hash))


def _add(user: User) -> User:
    user.language = current_language()
    db.session.add(user)
    db.session.flush()
    return user


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


def accept(invitation: Invitation, username: str, name: str, password_hash: str) -> User:
    """Make the account of somebody who was invited: their address is proved by the link.

    :raises NameTaken: if somebody else has the user name.
    :raises NotFound: if the invitation was used meanwhile, or the address has an account by now.
    """
    email = invitation.email
    if invitation.accepted_at is not None or db.session.scalar(select(User.id).where(*_in_use(email))) is not None:
        raise NotFound()
    if db.session.scalar(select(User.id).where(User.username == username, User.email != email)) is not None:
        raise NameTaken()
    db.session.execute(delete(User).where(User.email == email))  # one that waited for it to be confirmed
    invitation.accepted_at = now()
    role = invitation.role
    return _add(
        User(username=username, name=name, email=email, password_hash=password_hash, role=role, activated_at=now())
    )


def _in_use(email: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return User.email == email, User.activated_at.is_not(None)


def set_password(user: User, password_hash: str) -> None:
    """Give an account another password, and end all its log-ins."""
    user.password_hash = password_hash
    end_logins(user.id)


def move_to(user: User, email: str) -> bool:
    """Give an account the address that it confirmed. Return whether nobody else had it meanwhile."""
    if db.session.scalar(select(User.id).where(User.id != user.id, *_in_use(email))) is not None:
        return False
    db.session.execute(delete(User).where(User.id != user.id, User.email == email))
    user.email = email
    return True
