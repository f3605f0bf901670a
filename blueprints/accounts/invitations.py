"""Invitations: a row that can be looked at and taken back, and a signed link that names it."""

from __future__ import annotations

from sqlalchemy import delete

from tenantry import current_tenant, db, signing
from tenantry.errors import BadToken
from tenantry.times import now
from tenantry.users import DeadLink, Invitation, User, current_user

from . import mails
from .services import ACCEPT_WITHIN

_PURPOSE = "invitation"


def send_invitation(email: str, role: str) -> None:
    """Invite somebody; an invitation of before to the same address is void."""
    db.session.execute(delete(Invitation).where(Invitation.email == email, Invitation.accepted_at.is_(None)))
    invitation = Invitation(email=email, role=role, invited_by_id=current_user.id, expires_at=now() + ACCEPT_WITHIN)
    db.session.add(invitation)
    db.session.flush()
    value = [invitation.id, email]
    token = signing.sign(_PURPOSE, value, ACCEPT_WITHIN.total_seconds())
    mails.invite(invitation, current_user.name, token)


def open_invitation(token: str) -> Invitation:
    """Return the invitation of a link.

    :raises DeadLink: if it is forged, used, taken back, or too old.
    """
    try:
        number, email = signing.verify(_PURPOSE, token)
    except (BadToken, ValueError, TypeError):
        raise DeadLink() from None
    found = db.session.get(Invitation, number, populate_existing=True) if current_tenant.sign_up != "closed" else None
    if found is None or found.accepted_at is not None or found.email != email or found.expires_at < now():
        raise DeadLink()
    inviter = db.session.get(User, found.invited_by_id) if found.invited_by_id else None
    if inviter is None or not inviter.is_active or inviter.role != "admin":  # who may not invite any more
        raise DeadLink()
    return found
