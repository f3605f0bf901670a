"""Invitations on their way to somebody of another workspace: kept until they are accepted, withdrawn, or too old.

The other workspace gets a signed ticket, which names the row and no more. So it is good for once, and only as long as
the row is there.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Select, and_, delete, func, or_, select

from tenantry import current_user, db, signing
from tenantry.errors import BadToken
from tenantry.events import record
from tenantry.organizations import Organization, unscoped
from tenantry.times import now

from .models import PartnerInvitation

#: For how long an invitation is good.
GOOD_FOR = timedelta(days=14)
#: How many of one organization may be on their way at once.
MOST_WAITING = 100
_TICKET = "partner invitation"
_WHY = "somebody of a partner, who is not known here yet, comes with its ticket"


class TooManyWaiting(ValueError):
    """So many invitations of an organization are on their way that nobody would see them all."""


def keep(organization: Organization, workspace: str, username: str, role: str) -> PartnerInvitation:
    """Keep a new invitation, which is then to be passed on.

    :raises TooManyWaiting: if there are ``MOST_WAITING`` already.
    """
    if (db.session.scalar(waiting(organization).with_only_columns(func.count()).order_by(None)) or 0) >= MOST_WAITING:
        raise TooManyWaiting()
    invitation = PartnerInvitation(
        organization_id=organization.id,
        workspace=workspace,
        username=username,
        role=role,
        inviter_id=current_user.id,
        expires_at=now() + GOOD_FOR,
    )
    db.session.add(invitation)
    db.session.flush()
    return invitation


def take_place(organization_id: int, workspace: str, username: str, number: int) -> None:
    """Let an invitation that was passed on stand for those before it, of which none must be left once they came."""
    same = and_(
        PartnerInvitation.workspace == workspace,
        PartnerInvitation.username == username,
        PartnerInvitation.id < number,
    )
    gone = or_(same, PartnerInvitation.expires_at < now())
    db.session.execute(delete(PartnerInvitation).where(PartnerInvitation.organization_id == organization_id, gone))
    record("invitation.created", number, username, organization_id)


def remove(number: int) -> None:
    """Remove an invitation that was not passed on, if it is still there."""
    db.session.execute(delete(PartnerInvitation).where(PartnerInvitation.id == number))


def withdraw(invitation: PartnerInvitation) -> None:
    """Let an invitation lead to nothing."""
    record("invitation.withdrawn", invitation.id, invitation.username, invitation.organization_id)
    db.session.delete(invitation)


def waiting(organization: Organization) -> Select[PartnerInvitation]:
    """Return a select of what is neither accepted nor too old, the newest first."""
    chosen = select(PartnerInvitation).where(
        PartnerInvitation.organization_id == organization.id, PartnerInvitation.expires_at >= now()
    )
    return chosen.order_by(PartnerInvitation.id.desc())


def ticket_of(invitation: PartnerInvitation) -> str:
    """Return what the other workspace has to come back with."""
    return signing.sign(_TICKET, invitation.id, GOOD_FOR.total_seconds())


def find(ticket: str, workspace: str, username: str) -> PartnerInvitation | None:
    """Return the invitation of a ticket, if it is this workspace's, for this person, and still there."""
    try:
        number = int(signing.verify(_TICKET, ticket))
    except (BadToken, ValueError, TypeError):
        return None
    chosen = select(PartnerInvitation).where(
        PartnerInvitation.id == number,
        PartnerInvitation.workspace == workspace,
        PartnerInvitation.username == username,
        PartnerInvitation.expires_at >= now(),
    )
    return db.session.scalar(unscoped(chosen, _WHY))
