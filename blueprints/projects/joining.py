"""What an accepted invitation of a partner does here: an account, if there is none, and a place in the organization."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Protocol

from flask import current_app
from sqlalchemy import delete, select

from tenantry import ApiException, current_tenant, db, gettext, mail, speaking
from tenantry.events import record
from tenantry.organizations import Membership, act_for, add_member, unscoped
from tenantry.times import now
from tenantry.users import RESERVED, User, fold_address, sign_link

from .models import PartnerInvitation

_SET_PASSWORD_WITHIN = timedelta(days=3)
_WHY = "an owner of it has invited somebody of a partner, who is not known here yet"


class Person(Protocol):
    """Who somebody is, as their own workspace tells it."""

    username: str
    name: str
    email: str
    language: str | None


def join(invitation: PartnerInvitation, person: Person) -> Membership:
    """Let somebody belong to the organization to which they were invited; the invitation is used up.

    Who belongs to it already keeps the role that they have.

    :raises ApiException: 404 if the one who invited may not any more.
    """
    organization_id, role = invitation.organization_id, invitation.role
    if not _looks_after(invitation.inviter_id, organization_id):
        raise ApiException(404)
    email = _address(person)
    _forget_unconfirmed(email)
    user = db.session.scalar(select(User).where(User.email == email)) or _make_account(person, email)
    if not user.is_active:
        raise ApiException(404)
    act_for(organization_id, _WHY)
    db.session.delete(invitation)
    theirs = (Membership.organization_id == organization_id, Membership.user_id == user.id)
    is_new = db.session.scalar(unscoped(select(Membership.id).where(*theirs), _WHY)) is None
    membership = add_member(organization_id, user.id, role)
    if is_new:
        record("membership.created", membership.id, user.name, organization_id)
    return membership


def _forget_unconfirmed(email: str) -> None:
    """Remove a sign-up with this address that nobody has confirmed: whose it is, is known now."""
    db.session.execute(delete(User).where(User.email == email, User.activated_at.is_(None)))


def _looks_after(user_id: int, organization_id: int) -> bool:
    owns = (Membership.organization_id == organization_id, Membership.user_id == user_id, Membership.role == "owner")
    chosen = select(Membership.id).join(User, User.id == Membership.user_id)
    return db.session.scalar(unscoped(chosen.where(*owns, User.blocked_at.is_(None)), _WHY)) is not None


def _address(person: Person) -> str:
    """Return the address that a partner tells, in its one form.

    :raises ApiException: 404 if it is none.
    """
    try:
        return fold_address(person.email)
    except ValueError:
        raise ApiException(404) from None


def _make_account(person: Person, email: str) -> User:
    """Make an account whose address the other workspace has confirmed. Its owner sets a password by a link."""
    if current_tenant.sign_up == "closed":
        raise ApiException(404)
    user = User(
        username=_free_username(person.username),
        email=email,
        name=person.name,
        language=person.language if person.language in current_tenant.languages else None,
        is_public=False,
        activated_at=now(),
    )
    db.session.add(user)
    db.session.flush()
    mail_welcome(user)
    return user


def _free_username(wanted: str) -> str:
    taken = db.session.scalar(select(User.id).where(User.username == wanted)) is not None
    if wanted not in RESERVED and not taken:
        return wanted
    return f"{wanted[:24].strip('._-')}-{secrets.token_hex(3)}"


def mail_invitation(user: User, partner: str, organization: str, inviter: str, link: str) -> None:
    """Tell somebody that another workspace invites them."""
    with speaking(user.language or current_tenant.languages[0]):
        subject = gettext("%(name)s invites you to %(title)s") % {"name": inviter, "title": organization}
        told = {"partner": partner, "organization": organization, "inviter": inviter, "link": link}
        mail.send(user.email, subject, "projects/mail/partner", user=user, **told)


def mail_welcome(user: User) -> None:
    """Send a new account the link to set its password."""
    with speaking(user.language or current_tenant.languages[0]):
        subject = gettext("Your account at %(title)s") % {"title": current_tenant.title}
        mail.send(user.email, subject, "projects/mail/welcome", user=user, link=_way_in(user))


def _way_in(user: User) -> str:
    if "accounts.reset" in current_app.view_functions:
        return mail.link("accounts.reset", token=sign_link("reset", user, _SET_PASSWORD_WITHIN))
    return mail.link("projects.index")
