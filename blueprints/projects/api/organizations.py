"""``/organizations``: those that the one who asks belongs to."""

from __future__ import annotations

from flask import url_for
from sqlalchemy import Select, select

from tenantry.api import ID, ApiResult, Collection, caseless, check_unchanged
from tenantry.organizations import Organization, need_role

from .. import services
from . import api_bp
from .filters import containing
from .schemas import OrganizationIn, OrganizationOut, OrganizationPatch

ORGANIZATIONS = Collection(
    "organizations",
    OrganizationOut,
    filters={"q": containing(Organization.name)},
    sorts={
        "id": Organization.id,
        "name": caseless(Organization.name),
        "created_at": Organization.created_at,
    },
)


@api_bp.collection("/organizations", ORGANIZATIONS)
def list_organizations() -> Select[Organization]:
    """List the organizations that you belong to."""
    return select(Organization)


@api_bp.post("/organizations", body=OrganizationIn, returns=OrganizationOut, status=201)
def create_organization(data: OrganizationIn) -> ApiResult:
    """Make an organization, whose owner you are."""
    made = services.create_organization(data.name, data.description)
    return ApiResult(made, 201, {"Location": url_for(".get_organization", organization_id=made.id)})


@api_bp.get(f"/organizations/<{ID}:organization_id>", returns=OrganizationOut)
def get_organization(organization_id: int) -> Organization:
    """Get an organization."""
    return services.find(Organization, organization_id)


@api_bp.patch(
    f"/organizations/<{ID}:organization_id>", body=OrganizationPatch, returns=OrganizationOut, conditional=True
)
def change_organization(organization_id: int, data: OrganizationPatch) -> Organization:
    """Change an organization, as one of its owners."""
    organization = services.find(Organization, organization_id)
    need_role(organization.id, "owner")
    check_unchanged(OrganizationOut, organization)
    changes = data.model_dump(exclude_unset=True)
    services.change(organization, "organization", data.name or organization.name, **changes)
    return organization


@api_bp.delete(f"/organizations/<{ID}:organization_id>", status=204, conditional=True)
def delete_organization(organization_id: int) -> None:
    """Delete an organization and everything in it, as one of its owners."""
    organization = services.find(Organization, organization_id)
    need_role(organization.id, "owner")
    check_unchanged(OrganizationOut, organization)
    services.delete(organization, "organization", organization.name)
