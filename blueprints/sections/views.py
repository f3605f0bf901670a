"""Reading a section: its list of pages, and one page."""

from __future__ import annotations

from flask import abort, g, render_template
from sqlalchemy import select

from tenantry import db

from .markdown import render
from .models import Page


def index() -> str:
    chosen = select(Page).where(Page.section == g.section).order_by(Page.position, Page.title)
    return render_template("sections/index.html", section=g.section, pages=db.session.scalars(chosen).all())


def page(slug: str) -> str:
    found = db.session.scalar(select(Page).where(Page.section == g.section, Page.slug == slug))
    if found is None:
        abort(404)
    return render_template("sections/page.html", section=g.section, page=found, body=render(found.body))
