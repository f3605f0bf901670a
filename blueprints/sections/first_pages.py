"""What a new tenant's sections begin with, in the tenant's first language."""

from __future__ import annotations

from tenantry import current_tenant, db, gettext

from .models import Page


def write() -> None:
    """Write one page into each section of the tenant."""
    for section in current_tenant.sections:
        title = gettext("Welcome")
        body = gettext(
            "This is the first page of the section *{section}* of **{title}**.\n"
            "\n"
            "- Pages are written in Markdown, and shown without any script.\n"
            "- They live in this workspace's own database, and nowhere else.\n"
        ).format(section=gettext(section.capitalize()), title=current_tenant.title)
        db.session.add(Page(section=section, slug="welcome", title=title, body=body))
