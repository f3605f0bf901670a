"""Organizations, projects, tasks and comments as REST."""

from __future__ import annotations

from tenantry.api import ApiBlueprint

api_bp = ApiBlueprint("projects_api", __name__)

from . import comments, memberships, organizations, projects, tasks  # noqa: E402, F401  # they need api_bp
