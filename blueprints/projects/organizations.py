"""The pages of organizations: those that one belongs to, with their projects, and who else does."""

from __future__ import annotations

from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from tenantry import current_user, db, forms, gettext
from tenantry import services as between_tenants
from tenantry.api import ID
from tenantry.forms import Form
from tenantry.organizations import ORGANIZATION_ROLES, LastOwner, Membership, Organization, role_in, set_role
from tenantry.users import User, fold_username, session_required

from . import bp, services
from .forms import MemberForm, OrganizationForm, base_of, role_names
from .models import Project, Task

#: Most organizations, projects and members on a page.
_ON_A_PAGE = 100


@bp.get("/")
@session_required
def index() -> str:
    organizations = db.session.scalars(
        select(Organization).order_by(Organization.name, Organization.id).limit(_ON_A_PAGE)
    )
    projects: dict[int, list[Any]] = {}
    for row in db.session.execute(_with_open_tasks().where(Project.archived_at.is_(None))):
        projects.setdefault(row[0].organization_id, []).append(row)
    return render_template(
        "projects/index.html", organizations=organizations.all(), projects=projects, may=services.may
    )


def _with_open_tasks() -> Any:
    """Select of projects, each with how many tasks in it are not done."""
    count = select(func.count(Task.id)).where(Task.project_id == Project.id, Task.state != "done").scalar_subquery()
    return select(Project, count).order_by(Project.name, Project.id).limit(5 * _ON_A_PAGE)


@bp.route("/organizations/new", methods=["GET", "POST"])
@session_required
def new_organization() -> Any:
    form = OrganizationForm()
    if not form.validate_on_submit():
        return form.shown_by("projects/edit_organization.html", organization=None)
    made = services.create_organization(form.typed("name"), form.typed("description"))
    flash(gettext("The organization has been created."), "success")
    return redirect(url_for(".organization", organization_id=made.id))


@bp.get(f"/organizations/<{ID}:organization_id>/")
@session_required
def organization(organization_id: int) -> Any:
    return _show(services.find(Organization, organization_id), MemberForm(data={"role": "member"}))


def _show(found: Organization, form: MemberForm) -> Any:
    members = select(Membership).where(Membership.organization_id == found.id).options(joinedload(Membership.user))
    number = max(1, request.args.get("page", 1, type=int))
    part = members.order_by(Membership.id).limit(_ON_A_PAGE + 1).offset((min(number, 1000) - 1) * _ON_A_PAGE)
    rows = db.session.scalars(part).all()
    return form.shown_by(
        "projects/organization.html",
        organization=found,
        projects=db.session.execute(_with_open_tasks().where(Project.organization_id == found.id)).all(),
        memberships=rows[:_ON_A_PAGE],
        number=number,
        has_more=len(rows) > _ON_A_PAGE,
        roles=role_names(),
        own_role=role_in(found.id),
        has_partners=bool(between_tenants.partners()),
    )


@bp.route(f"/organizations/<{ID}:organization_id>/edit", methods=["GET", "POST"])
@session_required
def edit_organization(organization_id: int) -> Any:
    found = _find_own(organization_id)
    form = OrganizationForm(obj=found, data={"base": base_of(found)})
    if form.is_late(found):
        return _show_late(form, found)
    if not form.validate_on_submit():
        return form.shown_by("projects/edit_organization.html", organization=found)
    name = form.typed("name")
    services.change(found, "organization", name, name=name, description=form.typed("description"))
    flash(gettext("The changes have been saved."), "success")
    return redirect(url_for(".organization", organization_id=found.id))


def _show_late(form: OrganizationForm, found: Organization) -> Any:
    form.base.data = base_of(found)
    return render_template("projects/edit_organization.html", form=form, organization=found, late=found), 409


@bp.route(f"/organizations/<{ID}:organization_id>/delete", methods=["GET", "POST"])
@session_required
def delete_organization(organization_id: int) -> Any:
    found = _find_own(organization_id)
    form = Form()
    if not form.validate_on_submit():
        return form.shown_by("projects/delete_organization.html", organization=found)
    services.delete(found, "organization", found.name)
    flash(gettext("The organization and everything in it has been deleted."), "success")
    return redirect(url_for(".index"))


def _find_own(organization_id: int) -> Organization:
    found = services.find(Organization, organization_id)
    services.need(found.id, "owner")
    return found


@bp.post(f"/organizations/<{ID}:organization_id>/members")
@session_required
def add_member(organization_id: int) -> Any:
    found = _find_own(organization_id)
    form = MemberForm()
    if not form.validate_on_submit():
        return _show(found, form)
    user = db.session.scalar(select(User).where(User.username == fold_username(form.typed("username"))))
    if user is None or not user.is_active:
        form.refuse("username", gettext("Nobody in this workspace has this username."))
        return _show(found, form)
    services.invite(found, user, form.role.data)
    flash(gettext("%(name)s belongs to the organization now.") % {"name": user.name}, "success")
    return redirect(url_for(".organization", organization_id=found.id))


@bp.post(f"/memberships/<{ID}:membership_id>/role")
@session_required
@forms.protected
def change_role(membership_id: int) -> Any:
    membership = services.find(Membership, membership_id)
    services.need(membership.organization_id, "owner")
    role = request.form.get("role", "")
    if role not in ORGANIZATION_ROLES:
        abort(422)
    try:
        set_role(membership, role)
        flash(gettext("The role of %(name)s has been changed.") % {"name": membership.user.name}, "success")
    except LastOwner:
        flash(gettext("An organization needs an owner. Make somebody else one first."), "error")
    return redirect(url_for(".organization", organization_id=membership.organization_id))


@bp.post(f"/memberships/<{ID}:membership_id>/remove")
@session_required
@forms.protected
def remove_membership(membership_id: int) -> Any:
    membership = services.find(Membership, membership_id)
    is_own, organization_id = membership.user_id == current_user.id, membership.organization_id
    if not is_own:
        services.need(organization_id, "owner")
    try:
        services.leave(membership)
    except LastOwner:
        flash(gettext("An organization needs an owner. Make somebody else one first."), "error")
        return redirect(url_for(".organization", organization_id=organization_id))
    flash(gettext("You have left the organization.") if is_own else gettext("The member has been removed."), "success")
    return redirect(url_for(".index") if is_own else url_for(".organization", organization_id=organization_id))
