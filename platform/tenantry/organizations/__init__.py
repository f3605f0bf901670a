"""Organizations within a workspace, and the security context: everybody sees what their organizations own, and no more.

A model that derives from :class:`OrganizationOwned` is filtered in every query, by whoever wrote it. What is to see all
organizations' rows says so, and why: ``Project.unscoped("the reason")``.
"""

from ..errors import LastOwner
from . import filtering as _filtering  # noqa: F401  # which listens to every session
from .managing import (
    act_for,
    add_member,
    check_others,
    found_organization,
    has_role,
    need_role,
    remove_member,
    role_in,
    set_role,
)
from .models import Membership, Organization
from .scope import ORGANIZATION_ROLES, OrganizationOwned, Scoped, get_available_organizations, unscoped

__all__ = [
    "ORGANIZATION_ROLES",
    "LastOwner",
    "Membership",
    "Organization",
    "OrganizationOwned",
    "Scoped",
    "act_for",
    "add_member",
    "check_others",
    "found_organization",
    "get_available_organizations",
    "has_role",
    "need_role",
    "remove_member",
    "role_in",
    "set_role",
    "unscoped",
]
