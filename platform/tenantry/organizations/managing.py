"""What is done to organizations and their members: each function is a part of its caller's unit of work."""

from __future__ import annotations

from flask.globals import app_ctx
from sqlalchemy import func, select
from werkzeug.exceptions import Forbidden

from .. import db
from ..errors import LastOwner, NoReason
from ..languages import gettext
from ..users.current import find
from ..users.models import User
from .models import Membership, Organization
from .scope import ORGANIZATION_ROLES, get_available_organizations, unscoped


def act_for(organization_id: int, reason: str) -> None:
    """Let the rest of this context write for an organization that is not the asker's; it is seen no more than before.

    :param reason: why that has to be.
    :raises NoReason: without one.
    """
    if not reason:
        raise NoReason()
    acting: frozenset[int] = getattr(app_ctx, "_tenantry_acting_for", frozenset())
    app_ctx._tenantry_acting_for = acting | {organization_id}  # type: ignore[attr-defined]  # ours, and not in g


def found_organization(name: str, description: str = "") -> Organization:
    """Make an organization, whose owner is the one who asks."""
    organization = Organization(name=name, description=description)
    db.session.add(organization)
    db.session.flush()
    act_for(organization.id, "its founder is its first member")
    add_member(organization.id, find().id, "owner")
    db.session.refresh(organization)
    return organization


def role_in(organization_id: int) -> str:
    """Return the role of the one who asks in an organization; empty if they do not belong to it."""
    return get_available_organizations().get(organization_id, "")


def has_role(organization_id: int, role: str) -> bool:
    """Whether the one who asks may do what a role of an organization may: ``viewer``, ``member``, ``owner``."""
    return role_in(organization_id) in ORGANIZATION_ROLES[ORGANIZATION_ROLES.index(role) :]


def need_role(organization_id: int, role: str) -> None:
    """Go on only if the one who asks has a role in an organization, or one that may do more.

    :raises Forbidden: if they have not.
    """
    if not has_role(organization_id, role):
        raise Forbidden(
            gettext("Only owners of the organization may do this.")
            if role == "owner"
            else gettext("Only members of the organization who may work in it may do this.")
        )


def add_member(organization_id: int, user_id: int, role: str = "member") -> Membership:
    """Let somebody belong to an organization. Return their membership, the one that they had if they had one."""
    known = select(Membership).where(Membership.organization_id == organization_id, Membership.user_id == user_id)
    found = db.session.scalar(unscoped(known, "whether somebody is there already"))
    if found is None:
        found = Membership(organization_id=organization_id, user_id=user_id, role=role)
        db.session.add(found)
        db.session.flush()
    return found


def set_role(membership: Membership, role: str) -> None:
    """Give a member another role.

    :raises LastOwner: if nobody would look after the organization any more.
    """
    if role != "owner":
        check_others(membership)
    membership.role = role
    db.session.flush()


def remove_member(membership: Membership) -> None:
    """Let somebody no longer belong to an organization.

    :raises LastOwner: if nobody would look after it any more.
    """
    check_others(membership)
    db.session.delete(membership)
    db.session.flush()


def check_others(membership: Membership) -> None:
    """Go on only if somebody else looks after the organization, who can log in, or this member does not.

    :raises LastOwner: if nobody would.
    """
    if membership.role != "owner":
        return
    owners = (
        select(func.count(Membership.id))
        .join(User, User.id == Membership.user_id)
        .where(
            User.blocked_at.is_(None),
            Membership.organization_id == membership.organization_id,
            Membership.role == "owner",
            Membership.id != membership.id,
        )
    )
    if not db.session.scalar(owners):
        raise LastOwner(membership.organization_id)
