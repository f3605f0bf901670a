"""Writing pages: new ones, and changes.

Two who change the same page at once cannot overwrite each other: a form carries the page's id, and the revision that
it was opened with, and a request that writes holds the tenant's write lock from its first query on.
"""

from __future__ import annotations

from flask import abort, g, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy import select

from tenantry import db, gettext

from .differences import compare
from .forms import PageForm
from .markdown import render
from .models import Page, Revision
from .pages import find_for_change, for_staff, free_slug, only_read, publish, tell
from .publishing import done


@for_staff
def new() -> ResponseReturnValue:
    form = PageForm()
    slug = _slug(form) if _is_to_be_saved(form) else None
    if slug is None:
        return _show(form)
    page = Page(section=g.section, note=form.typed("note"), published_at=None, **_typed(form, slug))
    db.session.add(page)
    return _saved(page, gettext("The page is saved."))


@for_staff
def edit(slug: str) -> ResponseReturnValue:
    page = find_for_change(slug)
    if page is None:
        return _show_deleted()
    form = PageForm(data=_values(page))
    is_late = form.is_submitted() and form.base != page.revision
    if is_late:
        _follow_address(form, page)
    if not _is_to_be_saved(form):
        return _show(form, page)
    free = _slug(form, page)
    typed = _typed(form, free)
    if conflicts := _conflicts(form, page, typed):
        return _show_conflicts(form, page, typed, conflicts)
    if free is None:
        return _show(form, page)
    is_changed = page.revise(**typed, note=form.typed("note"))
    if is_changed:
        tell(page, "changed")
    # A form that is late with what the page says already was sent twice, as by a double click.
    return _saved(page, gettext("The page is saved.") if is_changed or is_late else gettext("Nothing was changed."))


def _is_to_be_saved(form: PageForm) -> bool:
    return bool(form.validate_on_submit()) and not _is_pressed("preview")


def _is_pressed(button: str) -> bool:
    return request.form.get("do") == button


def _values(page: Page) -> dict[str, str]:
    return {
        "title": page.title,
        "slug": page.slug,
        "body": page.body,
        "revision": str(page.revision),
        "page": str(page.id),
        "published": "1" if page.published_at else "",
    }


def _typed(form: PageForm, slug: str | None) -> dict[str, str]:
    return {"slug": slug or form.typed("slug"), "title": form.typed("title"), "body": form.typed("body")}


def _slug(form: PageForm, page: Page | None = None) -> str | None:
    slug = free_slug(form.typed("slug"), form.typed("title"), page)
    if slug is None:
        form.refuse("slug", gettext("Another page of this section has this address already."))
    return slug


def _follow_address(form: PageForm, page: Page) -> None:
    """Where a form has the address of before, which somebody else has changed, take theirs, or it would be undone."""
    chosen = select(Revision.slug).where(Revision.page_id == page.id, Revision.number == form.base)
    if form.typed("slug") == db.session.scalar(chosen):
        form.slug.data = page.slug


def _conflicts(form: PageForm, page: Page, typed: dict[str, str]) -> set[str]:
    """Return what somebody else has done to the page since the form was opened, and this must not go over."""
    found = set()
    if form.base != page.revision and not page.says(**typed):
        found.add("saved")
    if page.published_at and form.was_draft and not _is_pressed("publish"):
        found.add("published")
    return found


def _saved(page: Page, message: str) -> ResponseReturnValue:
    if _is_pressed("publish"):
        publish(page)
        message = gettext("The page is published.")
    return done(page, message)


def _show(form: PageForm, page: Page | None = None) -> ResponseReturnValue:
    if form.is_submitted():
        only_read()
    is_preview = _is_pressed("preview") and not form.is_stale
    preview = render(form.typed("body"), url_for(".index"), below=2) if is_preview and not form.body.errors else None
    return _render(form, page, preview=preview), form.status if form.errors else 200


def _show_conflicts(form: PageForm, page: Page, typed: dict[str, str], conflicts: set[str]) -> ResponseReturnValue:
    """Show what somebody else has done against what was typed, which is kept, now based on that."""
    only_read()
    present = _values(page)
    form.revision.data, form.published.data = present["revision"], present["published"]
    difference = {name: compare(present[name], typed[name]) for name in typed}
    return _render(form, page, conflicts=conflicts, difference=difference), 409


def _show_deleted() -> ResponseReturnValue:
    """Offer to keep what was typed for a page that is gone."""
    if request.method != "POST":
        abort(404)
    only_read()
    form = PageForm()
    is_stale = not form.validate_on_submit() and form.is_stale
    return _render(form, None, conflicts={"deleted"}), 400 if is_stale else 409


def _render(form: PageForm, page: Page | None, preview: Markup | None = None, **more: object) -> str:
    action = url_for(".edit", slug=page.slug) if page else url_for(".new")
    return render_template(
        "sections/edit.html", section=g.section, form=form, page=page, preview=preview, action=action, **more
    )
