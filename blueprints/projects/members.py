"""Who belongs to an organization: let somebody in, as another, and out; and leaving."""

from __future__ import annotations

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from tenantry import current_user, db, forms, gettext
from tenantry.api import ID
from tenantry.organizations import ORGANIZATION_ROLES, LastOwner, Membership, need_role
from tenantry.users import User, fold_username, session_required

from . import bp, services
from .forms import MemberForm
from .organizations import find_to_look_after, show


@bp.post(f"/organizations/<{ID}:organization_id>/members")
@session_required
def add_member(organization_id: int) -> ResponseReturnValue:
    """Let somebody of this workspace belong to an organization."""
    found = find_to_look_after(organization_id)
    form = MemberForm()
    user = _find(form) if form.validate_on_submit() else None
    if user is None:
        return show(found, form)
    try:
        services.invite(found, user, form.role.data)
    except services.AlreadyAMember:
        form.refuse("username", gettext("%(name)s belongs to the organization already.") % {"name": user.name})
        return show(found, form)
    flash(gettext("%(name)s belongs to the organization now.") % {"name": user.name}, "success")
    return redirect(url_for(".organization", organization_id=found.id))


def _find(form: MemberForm) -> User | None:
    """Return whose name was typed, or None if it is nobody's, which the form then says."""
    user = db.session.scalar(select(User).where(User.username == fold_username(form.typed("username"))))
    if user is None or not user.is_active:
        form.refuse("username", gettext("Nobody in this workspace has this username."))
        return None
    return user


@bp.post(f"/memberships/<{ID}:membership_id>/role")
@session_required
@forms.protected
def change_role(membership_id: int) -> ResponseReturnValue:
    """Give a member another role."""
    membership = services.find(Membership, membership_id)
    need_role(membership.organization_id, "owner")
    role = request.form.get("role", "")
    if role not in ORGANIZATION_ROLES:
        abort(422)
    try:
        services.change_role(membership, role)
        flash(gettext("The role of %(name)s has been changed.") % {"name": membership.user.name}, "success")
    except LastOwner:
        _say_last_owner()
    return redirect(url_for(".organization", organization_id=membership.organization_id))


@bp.post(f"/memberships/<{ID}:membership_id>/remove")
@session_required
@forms.protected
def remove_membership(membership_id: int) -> ResponseReturnValue:
    """Take somebody out of an organization, or leave it."""
    membership = services.find(Membership, membership_id)
    is_own, organization_id = membership.user_id == current_user.id, membership.organization_id
    if not is_own:
        need_role(organization_id, "owner")
    try:
        services.leave(membership)
    except LastOwner:
        _say_last_owner()
        return redirect(url_for(".organization", organization_id=organization_id))
    flash(gettext("You have left the organization.") if is_own else gettext("The member has been removed."), "success")
    return redirect(url_for(".index") if is_own else url_for(".organization", organization_id=organization_id))


def _say_last_owner() -> None:
    flash(gettext("An organization needs an owner. Make somebody else one first."), "error")
