"""Reading a section: its list of pages, and one page."""

from __future__ import annotations

from flask import g, render_template, url_for
from sqlalchemy import select

from tenantry import cache

from .markdown import render
from .models import Page
from .pages import find, list_number, part_of, visible


def index() -> str:
    chosen = select(Page.slug, Page.title, Page.published_at).where(Page.section == g.section, visible())
    pages, has_more = part_of(chosen.order_by(Page.position, Page.title, Page.id), number := list_number())
    return render_template("sections/index.html", section=g.section, pages=pages, number=number, has_more=has_more)


def page(slug: str) -> str:
    found = find(slug)
    base = url_for(".index")
    key = ("page", found.id, found.revision, base)
    body = cache.get_or_set(key, lambda: render(found.body, base), seconds=3600)
    return render_template("sections/page.html", section=g.section, page=found, body=body)
