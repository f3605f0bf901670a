"""The API's own part: its document, a page of that for people, and what has happened in the workspace.

What can be done with projects, pages or accounts stands beside their pages, in each blueprint's ``api_bp``.
"""

from __future__ import annotations

from tenantry import add_to_navigation, lazy_view
from tenantry.api import ApiBlueprint

bp = ApiBlueprint("api", __name__, template_folder="templates")
add_to_navigation(bp, "page", title="API")

# Only those who read the document need what makes it.
bp.add_url_rule("/", "page", lazy_view("blueprints.api.document:page"))

from . import events  # noqa: E402, F401  # it needs bp
