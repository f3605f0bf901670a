"""``/memberships``: who belongs to the organizations of the one who asks, and as what."""

from __future__ import annotations

from flask import url_for
from sqlalchemy import Select, select

from tenantry import ApiException, current_user, db
from tenantry.api import ID, ApiResult, Collection, check_unchanged
from tenantry.organizations import LastOwner, Membership, Organization, need_role
from tenantry.users import User, fold_username

from .. import services
from . import api_bp
from .filters import equal
from .schemas import MembershipIn, MembershipOut, MembershipPatch, Role

MEMBERSHIPS = Collection(
    "memberships",
    MembershipOut,
    filters={
        "organization_id": equal(Membership.organization_id),
        "user_id": equal(Membership.user_id),
        "role": equal(Membership.role, Role),
    },
    sorts={"id": Membership.id, "created_at": Membership.created_at},
)
_LAST = "An organization needs an owner. Make somebody else one first."


@api_bp.collection("/memberships", MEMBERSHIPS)
def list_memberships() -> Select[Membership]:
    """List who belongs to your organizations."""
    return select(Membership)


@api_bp.post(f"/organizations/<{ID}:organization_id>/memberships", body=MembershipIn, returns=MembershipOut, status=201)
def create_membership(organization_id: int, data: MembershipIn) -> ApiResult:
    """Let somebody of this workspace belong to an organization, as one of its owners."""
    organization = services.find(Organization, organization_id)
    need_role(organization.id, "owner")
    user = db.session.scalar(select(User).where(User.username == fold_username(data.username)))
    if user is None or not user.is_active:
        mistake = {"pointer": "/username", "message": "Nobody in this workspace has this user name."}
        raise ApiException(409, "This user name is nobody's.", [mistake])
    try:
        made = services.invite(organization, user, data.role)
    except services.AlreadyAMember:
        mistake = {"pointer": "/username", "message": "They belong to the organization already."}
        raise ApiException(409, "They belong to the organization already.", [mistake]) from None
    return ApiResult(made, 201, {"Location": url_for(".get_membership", membership_id=made.id)})


@api_bp.get(f"/memberships/<{ID}:membership_id>", returns=MembershipOut)
def get_membership(membership_id: int) -> Membership:
    """Get somebody's place in an organization."""
    return services.find(Membership, membership_id)


@api_bp.patch(
    f"/memberships/<{ID}:membership_id>", body=MembershipPatch, returns=MembershipOut, errors=(409,), conditional=True
)
def change_membership(membership_id: int, data: MembershipPatch) -> Membership:
    """Give somebody another role in an organization, as one of its owners."""
    membership = services.find(Membership, membership_id)
    need_role(membership.organization_id, "owner")
    check_unchanged(MembershipOut, membership)
    try:
        services.change_role(membership, data.role)
    except LastOwner:
        raise ApiException(409, _LAST) from None
    return membership


@api_bp.delete(f"/memberships/<{ID}:membership_id>", status=204, errors=(409,), conditional=True)
def delete_membership(membership_id: int) -> None:
    """Let somebody no longer belong to an organization: as one of its owners, or yourself. Their tasks are nobody's."""
    membership = services.find(Membership, membership_id)
    if membership.user_id != current_user.id:
        need_role(membership.organization_id, "owner")
    check_unchanged(MembershipOut, membership)
    try:
        services.leave(membership)
    except LastOwner:
        raise ApiException(409, _LAST) from None
