"""Projects: what the organizations of a workspace work on. Pages for people, and the API beside them, on one service.

Everybody sees what their own organizations own, and nothing else, though no query here says so: the models derive from
``OrganizationOwned``.
"""

from __future__ import annotations

from flask import Blueprint
from sqlalchemy import Connection, delete

from tenantry import add_to_navigation, on_neutralise

from .api import api_bp
from .models import PartnerInvitation

bp: Blueprint = Blueprint(
    "projects", __name__, url_prefix="/projects", template_folder="templates", static_folder="static"
)
add_to_navigation(bp, title="Projects")


@on_neutralise(bp)
def forget_partners_invitations(connection: Connection, anonymise: bool) -> None:
    """Nobody of another workspace may come into a copy."""
    connection.execute(delete(PartnerInvitation))


__all__ = ["api_bp", "bp"]

from . import boards, comments, members, organizations, partners, tasks  # noqa: E402, F401  # they need bp
