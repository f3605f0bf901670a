"""The mails of accounts: each in its recipient's language, written with what it is about."""

from __future__ import annotations

from sqlalchemy import select

from tenantry import current_tenant, db, gettext, jobs, mail, speaking
from tenantry.users import Invitation, User, find_account, sign_link

from .services import ACCEPT_WITHIN, CONFIRM_WITHIN, RESET_WITHIN


def confirm_address(user: User) -> None:
    """Send a new account the link that activates it."""
    with speaking(user.language or current_tenant.languages[0]):
        link = mail.link("accounts.activate", token=sign_link("activate", user, CONFIRM_WITHIN))
        _send(user, gettext("Confirm your email address"), "activate", link=link, days=CONFIRM_WITHIN.days)


def confirm_new_address(user: User, email: str) -> None:
    """Send the link that moves an account to another address, there."""
    with speaking(user.language or current_tenant.languages[0]):
        link = mail.link("accounts.confirm_address", token=sign_link("address", user, CONFIRM_WITHIN, email))
        subject = gettext("Confirm your new email address")
        mail.send(email, subject, "accounts/mail/address", user=user, link=link, days=CONFIRM_WITHIN.days)


def tell_of_new_address(user: User, old: str) -> None:
    """Tell the old address that the account has moved."""
    with speaking(user.language or current_tenant.languages[0]):
        mail.send(old, gettext("Your email address was changed"), "accounts/mail/moved", user=user)


def tell_of_new_password(user: User) -> None:
    """Tell somebody that their password is another one now."""
    with speaking(user.language or current_tenant.languages[0]):
        _send(user, gettext("Your password was changed"), "password", link=mail.link("accounts.forgot"))


def tell_that_there_is_an_account(email: str) -> None:
    """Tell somebody who signs up once more that they need not; the page does not say so, as anyone may ask it."""
    user = db.session.scalar(select(User).where(User.email == email))
    if user is not None and user.blocked_at is None:
        with speaking(user.language or current_tenant.languages[0]):
            links = {"link": mail.link("accounts.log_in"), "forgot": mail.link("accounts.forgot")}
            _send(user, gettext("You have an account already"), "known", **links)


def invite(invitation: Invitation, by: str, token: str) -> None:
    """Send an invitation."""
    with speaking(current_tenant.languages[0]):  # theirs is not known
        link = mail.link("accounts.accept_invitation", token=token)
        subject = gettext("%(name)s invites you to %(title)s") % {"name": by, "title": current_tenant.title}
        mail.send(invitation.email, subject, "accounts/mail/invitation", by=by, link=link, days=ACCEPT_WITHIN.days)


@jobs.job
def send_reset(login: str) -> None:
    """Send the link to set a new password to whom a name belongs, if to anybody.

    As a job, so that asking takes as long, and says as much, whether there is an account or not.
    """
    user = find_account(login)
    if user is None or user.blocked_at is not None:
        return
    with speaking(user.language or current_tenant.languages[0]):
        link = mail.link("accounts.reset", token=sign_link("reset", user, RESET_WITHIN))
        _send(user, gettext("Set a new password"), "reset", link=link, hours=int(RESET_WITHIN.total_seconds() // 3600))


def _send(user: User, subject: str, template: str, **context: object) -> None:
    mail.send(user.email, subject, f"accounts/mail/{template}", user=user, **context)
