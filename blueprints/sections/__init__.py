"""Pages in sections, such as ``/help/`` and ``/faq/``: one blueprint, registered once for each section of the tenant.

The pattern: the section is a hidden URL value. Each registration gives it as a default, a preprocessor moves it to
``g``, and the views read it there without having it in their addresses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, g

from tenantry import Tenant, add_to_navigation, on_provision

bp = Blueprint("sections", __name__, template_folder="templates")
add_to_navigation(bp)


def registrations(tenant: Tenant) -> Iterator[dict[str, Any]]:
    """Return the options of each registration in one tenant's app."""
    for section in tenant.sections:
        yield {"name": section, "url_prefix": f"/{section}", "url_defaults": {"section": section}}


@bp.url_value_preprocessor
def hide_section(endpoint: str | None, values: dict[str, Any] | None) -> None:
    g.section = values.pop("section", None) if values else None


from . import first_pages, views  # noqa: E402  # they need bp

on_provision(bp)(first_pages.write)
bp.add_url_rule("/", view_func=views.index)
bp.add_url_rule("/<slug>/", view_func=views.page)
