"""The pages of organizations: those that one belongs to, with their projects."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from tenantry import db, gettext
from tenantry import services as between_tenants
from tenantry.api import ID
from tenantry.forms import Form
from tenantry.organizations import Membership, Organization, has_role, need_role, role_in
from tenantry.users import session_required

from . import bp, invitations, services
from .finding import part_of
from .forms import MemberForm, OrganizationForm, base_of, role_names
from .overview import at_a_glance, counts_of, projects_of

#: Most organizations on a page, and most projects and members.
_ORGANIZATIONS, _ON_A_PAGE = 20, 100


@bp.get("/")
@session_required
def index() -> str:
    """List one's organizations, each with some of its projects."""
    part = part_of(select(Organization).order_by(Organization.name, Organization.id), _ORGANIZATIONS)
    organizations = [row[0] for row in part.rows]
    ids = [each.id for each in organizations]
    return render_template(
        "projects/index.html",
        organizations=organizations,
        part=part,
        projects=at_a_glance(ids),
        counts=counts_of(ids),
        may=has_role,
    )


@bp.route("/organizations/new", methods=["GET", "POST"])
@session_required
def new_organization() -> ResponseReturnValue:
    """Make an organization."""
    form = OrganizationForm()
    if not form.validate_on_submit():
        return form.shown_by("projects/edit_organization.html", organization=None)
    made = services.create_organization(**form.values)
    flash(gettext("The organization has been created."), "success")
    return redirect(url_for(".organization", organization_id=made.id))


@bp.get(f"/organizations/<{ID}:organization_id>/")
@session_required
def organization(organization_id: int) -> ResponseReturnValue:
    """Show an organization: its projects and who belongs to it."""
    return show(services.find(Organization, organization_id), MemberForm(data={"role": "member"}))


def show(found: Organization, form: MemberForm) -> ResponseReturnValue:
    """Return the page of an organization, with a form to let somebody belong to it."""
    own_role, partners = role_in(found.id), between_tenants.partners()
    members = select(Membership).where(Membership.organization_id == found.id).options(joinedload(Membership.user))
    return form.shown_by(
        "projects/organization.html",
        organization=found,
        open_projects=db.session.execute(projects_of(found, is_archived=False).limit(_ON_A_PAGE)).all(),
        archived_projects=db.session.execute(projects_of(found, is_archived=True).limit(_ON_A_PAGE)).all(),
        counts=counts_of([found.id])[found.id],
        members=part_of(members.order_by(Membership.id), _ON_A_PAGE),
        roles=role_names(),
        own_role=own_role,
        partners={tenant.slug: tenant.title for tenant in partners},
        invitations=db.session.scalars(invitations.waiting(found)).all() if own_role == "owner" else (),
    )


@bp.get(f"/organizations/<{ID}:organization_id>/projects/")
@session_required
def projects(organization_id: int) -> str:
    """List all projects of an organization."""
    found = services.find(Organization, organization_id)
    return render_template(
        "projects/projects.html",
        organization=found,
        part=part_of(projects_of(found), _ON_A_PAGE),
    )


@bp.route(f"/organizations/<{ID}:organization_id>/edit", methods=["GET", "POST"])
@session_required
def edit_organization(organization_id: int) -> ResponseReturnValue:
    """Change what an organization is called and about."""
    found = find_to_look_after(organization_id)
    form = OrganizationForm(obj=found, data={"base": base_of(found)})
    if not form.validate_on_submit():
        return form.shown_by("projects/edit_organization.html", organization=found)
    if form.is_late(found):
        return form.shown_late("projects/edit_organization.html", found, organization=found)
    services.change(found, "organization", form.typed("name"), **form.values)
    flash(gettext("The changes have been saved."), "success")
    return redirect(url_for(".organization", organization_id=found.id))


@bp.route(f"/organizations/<{ID}:organization_id>/delete", methods=["GET", "POST"])
@session_required
def delete_organization(organization_id: int) -> ResponseReturnValue:
    """Delete an organization and everything in it, after asking."""
    found = find_to_look_after(organization_id)
    form = Form()
    if not form.validate_on_submit():
        return form.shown_by("projects/delete_organization.html", organization=found)
    services.delete(found, "organization", found.name)
    flash(gettext("The organization and everything in it has been deleted."), "success")
    return redirect(url_for(".index"))


def find_to_look_after(organization_id: int) -> Organization:
    """Return an organization of which the one who asks is an owner.

    :raises werkzeug.exceptions.HTTPException: 404 if it is not theirs to see, 403 if they may not look after it.
    """
    found = services.find(Organization, organization_id)
    need_role(found.id, "owner")
    return found
