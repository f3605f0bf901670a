"""Pictures for pages: uploaded by staff, and seen by whoever reads a page that shows them."""

from __future__ import annotations

import re
from typing import Any

from flask import Response, abort, flash, g, redirect, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, select

from tenantry import current_tenant, format_number, gettext, uploads
from tenantry.forms import Form

from .forms import PictureForm
from .models import Page
from .pages import for_staff, list_number, only_read, part_of

#: Most pictures in one list.
PER_PAGE = 24
_MIB = 1024 * 1024


@for_staff
def pictures() -> ResponseReturnValue:
    form = PictureForm()
    if form.validate_on_submit() and _save(form):
        flash(gettext("The picture is uploaded."), "success")
        return redirect(url_for(".pictures"))
    if form.is_submitted():
        only_read()
    newest = select(uploads.Upload).order_by(uploads.Upload.created_at.desc(), uploads.Upload.id)
    rows, has_more = part_of(newest, number := list_number(), PER_PAGE)
    return form.shown_by(
        "sections/pictures.html",
        section=g.section,
        pictures=[(row[0], markdown_of(row[0])) for row in rows],
        number=number,
        has_more=has_more,
        used=format_number(round(uploads.used() / _MIB, 1)),
        room=format_number(current_tenant.limits.uploads_mb),
    )


def picture(upload_id: str) -> Response:
    return uploads.send(upload_id)


@for_staff
def delete_picture(upload_id: str) -> ResponseReturnValue:
    upload = uploads.find(upload_id) or abort(404)
    form = Form()
    if form.validate_on_submit():
        uploads.remove(upload)
        flash(gettext("The picture is deleted."), "success")
        return redirect(url_for(".pictures"))
    if form.is_submitted():
        only_read()
    pages, has_more = part_of(_pages_with(upload_id), number := list_number())
    return form.shown_by(
        "sections/delete_picture.html",
        section=g.section,
        picture=upload,
        pages=pages,
        number=number,
        has_more=has_more,
    )


def _pages_with(upload_id: str) -> Select[*tuple[Any, ...]]:
    """Select of the pages that show a picture, whatever section they are in, drafts too."""
    chosen = select(Page.section, Page.slug, Page.title, Page.published_at).where(Page.body.contains(upload_id))
    return chosen.order_by(Page.section, Page.title, Page.id)


def markdown_of(upload: uploads.Upload) -> str:
    """Return what shows a picture in a page, in any section: its address is completed when the page is shown."""
    alt = re.sub(r"([\\\[\]*_`<>&!])", r"\\\1", upload.alt)
    return f"![{alt}](-/pictures/{upload.id})"


def _save(form: PictureForm) -> bool:
    try:
        uploads.save_picture(form.file.data, form.typed("alt"))
    except uploads.BadPicture as error:
        form.refuse("file", _words(error.reason))
        return False
    return True


def _words(reason: str) -> str:
    return {
        "unknown": gettext("This file cannot be shown as a picture. Please choose a PNG, JPEG, GIF or WebP file."),
        "svg": gettext("This is an SVG drawing, which can hold programs. Please save it as PNG and upload that."),
        "broken": gettext("This picture is damaged and cannot be read to its end."),
        "large": gettext("This picture has too many pixels. Please make it smaller than 8000 by 5000."),
    }[reason]
