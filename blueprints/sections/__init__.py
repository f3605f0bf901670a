"""Pages in sections, such as ``/help/`` and ``/faq/``: one blueprint, registered once for each section of the tenant.

The pattern: the section is a hidden URL value. Each registration gives it as a default, a preprocessor moves it to
``g``, and the views read it there without having it in their addresses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, g

from tenantry import Tenant, add_to_navigation, on_provision

bp: Blueprint = Blueprint("sections", __name__, template_folder="templates")
add_to_navigation(bp)


def registrations(tenant: Tenant) -> Iterator[dict[str, Any]]:
    """Return the options of each registration in one tenant's app."""
    for section in tenant.sections:
        yield {"name": section, "url_prefix": f"/{section}", "url_defaults": {"section": section}}


@bp.url_value_preprocessor
def hide_section(endpoint: str | None, values: dict[str, Any] | None) -> None:
    g.section = values.pop("section", None) if values else None


from . import editing, first_pages, history, pictures, publishing, search, views  # noqa: E402  # they need bp
from .api import api_bp as api_bp  # noqa: E402  # what it needs, needs bp

on_provision(bp)(first_pages.write)

_READ, _FORM, _DO = ["GET"], ["GET", "POST"], ["POST"]
#: Rule, endpoint, view, methods. What is no page's address stands below "/-/", as no slug begins with a dash.
_RULES: tuple[tuple[str, str, Any, list[str]], ...] = (
    ("/", "index", views.index, _READ),
    ("/<slug>/", "page", views.page, _READ),
    ("/<slug>/edit", "edit", editing.edit, _FORM),
    ("/<slug>/publish", "publish", publishing.publish_page, _DO),
    ("/<slug>/unpublish", "unpublish", publishing.unpublish_page, _DO),
    ("/<slug>/delete", "delete", publishing.delete, _FORM),
    ("/<slug>/history", "history", history.history, _READ),
    ("/<slug>/history/difference", "difference", history.difference, _READ),
    ("/<slug>/history/<number>", "revision", history.revision, _READ),
    ("/<slug>/restore/<number>", "restore", history.restore, _DO),
    ("/-/new", "new", editing.new, _FORM),
    ("/-/search", "search", search.search, _READ),
    ("/-/pictures/", "pictures", pictures.pictures, _FORM),
    ("/-/pictures/<upload_id>", "picture", pictures.picture, _READ),
    ("/-/pictures/<upload_id>/delete", "delete_picture", pictures.delete_picture, _FORM),
)
for rule, endpoint, view, methods in _RULES:
    bp.add_url_rule(rule, endpoint, view, methods=methods)
