"""What is for everybody, what is a draft for staff, and what is deleted."""

from __future__ import annotations

from flask import abort, flash, g, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from tenantry import db, gettext
from tenantry.forms import protected

from .forms import DeleteForm
from .models import Page
from .pages import find_for_change, for_staff, publish, tell, unpublish


@for_staff
@protected
def publish_page(slug: str) -> ResponseReturnValue:
    page = find_for_change(slug) or abort(404)
    publish(page)
    return done(page, gettext("The page is published."))


@for_staff
@protected
def unpublish_page(slug: str) -> ResponseReturnValue:
    page = find_for_change(slug) or abort(404)
    unpublish(page)
    return done(page, gettext("The page is a draft now, which only staff can read."))


@for_staff
def delete(slug: str) -> ResponseReturnValue:
    page = find_for_change(slug) or abort(404)
    form = DeleteForm(data={"page": str(page.id), "revision": str(page.revision)})
    is_meant = form.validate_on_submit()
    if is_meant and form.base == page.revision:
        tell(page, "deleted")
        db.session.delete(page)
        flash(gettext("The page and its history are deleted."), "success")
        return redirect(url_for(".index"))
    status = 409 if is_meant else form.status
    form.revision.data = str(page.revision)
    return render_template("sections/delete.html", section=g.section, page=page, form=form, changed=is_meant), status


def done(page: Page, message: str) -> ResponseReturnValue:
    """Return the way to a page that something was done to, which is told there."""
    flash(message, "success")
    return redirect(url_for(".page", slug=page.slug))
