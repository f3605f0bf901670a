"""Inviting somebody of another workspace: two workspaces talk to each other, and each tells only what it must.

1. Somebody here invites a user name there. This workspace asks the other one to pass that on (``invitations``).
2. The other one mails its user, in its own look; whether there is such a user, it does not say.
3. That user accepts there. Only then their workspace tells this one who they are (``acceptances``), and they belong to
   the organization, with an account of their own here.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from pydantic import Field
from sqlalchemy import select
from wtforms import SelectField, StringField
from wtforms.validators import DataRequired, Length

from tenantry import ApiException, ApiResult, Tenant, current_user, dataschema, db, forms, gettext, jobs, mail, signing
from tenantry import services as between_tenants
from tenantry.api import ID, Line, Schema
from tenantry.errors import BadToken, NotPartners, TenantUnavailable
from tenantry.forms import Form
from tenantry.forms import lazy_gettext as _
from tenantry.organizations import Organization, need_role
from tenantry.users import (
    DeadLink,
    Throttle,
    TooManyAttempts,
    User,
    fold_username,
    is_username,
    session_required,
)

from . import bp, invitations, joining
from .forms import role_names
from .models import PartnerInvitation
from .services import find

#: How many invitations somebody may send to partners, and get from them.
INVITING, INVITED = Throttle("partner invitations by", "20 per hour"), Throttle("partner invitations to", "5 per hour")
_HELD = "partner invitation held"

Name = Annotated[Line, Field(max_length=200)]


class NoUsername(ValueError):
    """Somebody was invited by what cannot be a username."""


class Held(NamedTuple):
    """What the link in a mail holds: who invites, and to what, and the ticket to come back with."""

    partner: Tenant
    organization: str
    inviter: str
    ticket: str


class Invited(Schema):
    """What one workspace asks another to pass on."""

    username: Annotated[str, Field(min_length=1, max_length=64)]
    organization: Name
    inviter: Name
    token: Annotated[str, Field(max_length=2000)]


class Accepted(Schema):
    """What the other one tells when its user has accepted."""

    token: Annotated[str, Field(max_length=2000)]
    username: Annotated[str, Field(min_length=1, max_length=64)]
    name: Annotated[Line, Field(max_length=80)]
    email: Annotated[str, Field(max_length=254)]
    language: Annotated[str, Field(max_length=12)] | None


class PartnerForm(Form):
    """For inviting somebody of another workspace."""

    workspace = SelectField(_("Workspace"))
    username = StringField(
        _("Username there"),
        [DataRequired(), Length(max=64)],
        render_kw={"autocapitalize": "none", "spellcheck": "false"},
    )
    role = SelectField(_("Role"))

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workspace.choices = {tenant.slug: tenant.title for tenant in between_tenants.partners()}
        self.role.choices = role_names()


@bp.route(f"/organizations/<{ID}:organization_id>/partners", methods=["GET", "POST"])
@session_required
def invite_partner(organization_id: int) -> ResponseReturnValue:
    """Invite somebody of another workspace, as an owner."""
    organization = find(Organization, organization_id)
    need_role(organization.id, "owner")
    if not between_tenants.partners():
        abort(404)
    form = PartnerForm(data={"role": "member"})
    if not (form.validate_on_submit() and _is_passed_on(form, organization)):
        return form.shown_by("projects/invite_partner.html", organization=organization)
    flash(gettext("If there is somebody of that name, they get an email with your invitation."), "success")
    return redirect(url_for(".organization", organization_id=organization.id))


def _is_passed_on(form: PartnerForm, organization: Organization) -> bool:
    """Pass an invitation on, or say in the form why not. Return whether it was."""
    try:
        pass_on(organization, form.workspace.data, fold_username(form.typed("username")), form.role.data)
    except NoUsername:
        form.refuse("username", gettext("This cannot be a username."))
    except TooManyAttempts:
        form.refuse("username", gettext("You have sent many invitations. Please try again later."))
    except invitations.TooManyWaiting:
        form.refuse("username", gettext("Many invitations are on their way already. Withdraw one of them first."))
    except (NotPartners, TenantUnavailable):
        form.refuse("workspace", gettext("This workspace cannot be reached at the moment. Please try again later."))
    return not form.errors


def pass_on(organization: Organization, workspace: str, username: str, role: str) -> None:
    """Ask a partner to pass an invitation on.

    :raises NoUsername: if nobody can have it.
    :raises NotPartners: if it is none.
    :raises TenantUnavailable: if it does not answer, or takes no invitations.
    :raises TooManyAttempts: if this user has invited too many.
    :raises blueprints.projects.invitations.TooManyWaiting: if too many of the organization are on their way.
    """
    if not is_username(username):
        raise NoUsername(username)
    INVITING.count(str(current_user.id))
    invitation = invitations.keep(organization, workspace, username, role)
    number, organization_id = invitation.id, organization.id
    told = {"organization": organization.name, "inviter": current_user.name, "token": invitations.ticket_of(invitation)}
    db.commit_now()  # the attempt counts, and what comes back finds the invitation
    try:
        answer = between_tenants.call(workspace, "/projects/-/invitations", {"username": username, **told})
        if answer.status_code != 202:
            raise TenantUnavailable(workspace, "it does not take invitations", 60.0)
    except (NotPartners, TenantUnavailable):
        db.begin(write=True)  # the call has left this unit of work reading
        invitations.remove(number)
        raise
    db.begin(write=True)
    invitations.take_place(organization_id, workspace, username, number)


@bp.post(f"/partner-invitations/<{ID}:invitation_id>/withdraw")
@session_required
@forms.protected
def withdraw_invitation(invitation_id: int) -> ResponseReturnValue:
    """Let an invitation that is still on its way lead to nothing."""
    invitation = find(PartnerInvitation, invitation_id)
    need_role(invitation.organization_id, "owner")
    organization_id = invitation.organization_id
    invitations.withdraw(invitation)
    flash(gettext("The invitation has been withdrawn."), "success")
    return redirect(url_for(".organization", organization_id=organization_id))


@bp.post("/-/invitations")
@between_tenants.service
@dataschema(Invited)
def receive_invitation(data: Invited) -> Any:
    """Pass on, as the other workspace, what a partner asks for."""
    mail_it.enqueue(between_tenants.calling_tenant().slug, data.model_dump())
    return ApiResult({"passed_on": True}, 202)  # whether there is such a user, is nobody's business


@jobs.job
def mail_it(slug: str, invited: dict[str, str]) -> None:
    """Mail an invitation of a partner to whom it is for, if there is such a user.

    As a job, so that asking takes as long whether there is or not.
    """
    data = Invited(**invited)
    user = db.session.scalar(select(User).where(User.username == data.username))
    partner = _find_partner(slug)
    if partner is None or user is None or not user.is_active or not _may_get_one_more(user):
        return
    held = [partner.slug, user.id, data.organization, data.inviter, data.token]
    token = signing.sign(_HELD, held, invitations.GOOD_FOR.total_seconds())
    link = mail.link("projects.accept_partner", token=token)
    joining.mail_invitation(user, partner.title, data.organization, data.inviter, link)


def _find_partner(slug: str) -> Tenant | None:
    return next((tenant for tenant in between_tenants.partners() if tenant.slug == slug), None)


def _may_get_one_more(user: User) -> bool:
    """Whether somebody has not got too many invitations already; who sends them is not told."""
    try:
        INVITED.count(str(user.id))
    except TooManyAttempts:
        return False
    return True


@bp.errorhandler(DeadLink)
def show_dead_link(error: DeadLink) -> ResponseReturnValue:
    """Say why a link of an invitation leads nowhere."""
    return render_template("projects/dead_invitation.html"), 404


@bp.route("/partners/<token>", methods=["GET", "POST"])
@session_required
def accept_partner(token: str) -> ResponseReturnValue:
    """Ask the one who was invited, in their own workspace, whether they want to be known in the other."""
    partner, organization, inviter, theirs = _open_held(token)
    form = Form()
    if not form.validate_on_submit():
        return form.shown_by(
            "projects/accept_partner.html", partner=partner, organization=organization, inviter=inviter
        )
    me = db.session.get_one(User, current_user.id)
    told = {"token": theirs, "username": me.username, "name": me.name, "email": me.email, "language": me.language}
    try:
        answer = between_tenants.call(partner.slug, "/projects/-/acceptances", told)
        if answer.status_code == 429 or answer.status_code >= 500:
            raise TenantUnavailable(partner.slug, "it could not do it now", 60.0)
    except TenantUnavailable:
        flash(gettext("This workspace cannot be reached at the moment. Please try again later."), "error")
        return redirect(url_for(".accept_partner", token=token))
    if answer.status_code != 200:
        raise DeadLink()
    return render_template(
        "projects/joined_partner.html", partner=partner, organization=organization, home=answer.get_json()["home"]
    )


def _open_held(token: str) -> Held:
    """Return what a link holds, if it was mailed to the one who asks.

    :raises DeadLink: if it was not, or is forged or too old, or that workspace is no partner any more.
    """
    try:
        slug, user_id, organization, inviter, theirs = signing.verify(_HELD, token)
    except (BadToken, ValueError, TypeError):
        raise DeadLink() from None
    partner = _find_partner(slug)
    if partner is None or user_id != current_user.id:
        raise DeadLink()
    return Held(partner, organization, inviter, theirs)


@bp.post("/-/acceptances")
@between_tenants.service
@dataschema(Accepted)
def receive_acceptance(data: Accepted) -> Any:
    """Let somebody of a partner belong to an organization here, as an owner of it has asked for."""
    invitation = invitations.find(data.token, between_tenants.calling_tenant().slug, data.username)
    if invitation is None:
        raise ApiException(404)
    joining.join(invitation, data)
    return ApiResult({"home": mail.link("projects.index")})
