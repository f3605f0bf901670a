"""Writing pages: new ones, changes, what is for everybody and what is a draft, and removing.

Two who change the same page at once cannot overwrite each other: a form carries the revision that it was opened with,
and a request that writes holds the tenant's write lock from its first query on.
"""

from __future__ import annotations

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from tenantry import db, gettext
from tenantry.forms import protected

from .differences import compare
from .forms import PageForm, RemoveForm
from .markdown import render
from .models import Page
from .pages import find, find_for_editing, for_staff, free_slug, only_read, publish


@for_staff
def new() -> ResponseReturnValue:
    form = PageForm()
    slug = _slug(form) if _is_to_be_saved(form) else None
    if slug is None:
        return _show(form)
    page = Page(
        section=g.section,
        slug=slug,
        title=form.text("title"),
        body=form.text("body"),
        note=form.text("note"),
        published_at=None,
    )
    db.session.add(page)
    return _saved(page, gettext("The page is saved."))


@for_staff
def edit(slug: str) -> ResponseReturnValue:
    page = find_for_editing(slug)
    if page is None:
        return _show_removed()
    form = PageForm(data=_values(page))
    if not _is_to_be_saved(form):
        return _show(form, page)
    if form.base != page.revision:
        return _show_conflict(form, page)
    free = _slug(form, page)
    if free is None:
        return _show(form, page)
    is_changed = page.revise(slug=free, title=form.text("title"), body=form.text("body"), note=form.text("note"))
    return _saved(page, gettext("The page is saved.") if is_changed else gettext("Nothing was changed."))


@for_staff
@protected
def publish_page(slug: str) -> ResponseReturnValue:
    publish(page := find(slug))
    return _done(page, gettext("Everybody can read the page now."))


@for_staff
@protected
def unpublish_page(slug: str) -> ResponseReturnValue:
    page = find(slug)
    page.published_at = None
    return _done(page, gettext("The page is a draft now, which only staff can read."))


@for_staff
def remove(slug: str) -> ResponseReturnValue:
    page = find(slug)
    form = RemoveForm(data={"revision": str(page.revision)})
    is_meant = form.validate_on_submit()
    if is_meant and form.base == page.revision:
        db.session.delete(page)
        flash(gettext("The page and its history are removed."))
        return redirect(url_for(".index"))
    status = 409 if is_meant else form.status
    form.revision.data = str(page.revision)
    return render_template("sections/remove.html", section=g.section, page=page, form=form, changed=is_meant), status


def _is_to_be_saved(form: PageForm) -> bool:
    return bool(form.validate_on_submit()) and request.form.get("do") != "preview"


def _values(page: Page) -> dict[str, str]:
    return {
        "title": page.title,
        "slug": page.slug,
        "body": page.body,
        "revision": str(page.revision),
        "page": str(page.id),
    }


def _slug(form: PageForm, page: Page | None = None) -> str | None:
    slug = free_slug(form.text("slug"), form.text("title"), page)
    if slug is None:
        form.refuse("slug", gettext("Another page of this section has this address already."))
    return slug


def _saved(page: Page, message: str) -> ResponseReturnValue:
    if request.form.get("do") == "publish" and page.published_at is None:
        publish(page)
        message = gettext("The page is published.")
    return _done(page, message)


def _done(page: Page, message: str) -> ResponseReturnValue:
    flash(message)
    return redirect(url_for(".page", slug=page.slug))


def _show(form: PageForm, page: Page | None = None) -> ResponseReturnValue:
    if form.is_submitted():
        only_read()
    is_preview = request.form.get("do") == "preview" and not form.is_stale
    preview = render(form.text("body"), url_for(".index"), below=2) if is_preview and not form.body.errors else None
    return _render(form, page, preview=preview), form.status if form.errors else 200


def _show_conflict(form: PageForm, page: Page) -> ResponseReturnValue:
    """Show what somebody else has saved meanwhile against what was typed, which is kept, now based on that."""
    only_read()
    form.revision.data = str(page.revision)
    difference = {
        "title": compare(page.title, form.text("title")),
        "body": compare(page.body, form.text("body")),
    }
    return _render(form, page, conflict="changed", difference=difference), 409


def _show_removed() -> ResponseReturnValue:
    """Offer to keep what was typed for a page that is gone."""
    if request.method != "POST":
        abort(404)
    only_read()
    form = PageForm()
    is_stale = not form.validate_on_submit() and form.is_stale
    return _render(form, None, conflict="removed"), 400 if is_stale else 409


def _render(form: PageForm, page: Page | None, preview: Markup | None = None, **more: object) -> str:
    action = url_for(".edit", slug=page.slug) if page else url_for(".new")
    return render_template(
        "sections/edit.html", section=g.section, form=form, page=page, preview=preview, action=action, **more
    )
