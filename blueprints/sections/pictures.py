"""Pictures for pages: uploaded by staff, and seen by whoever reads a page that shows them."""

from __future__ import annotations

import re

from flask import Response, abort, flash, g, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from tenantry import current_tenant, gettext, uploads
from tenantry.forms import protected

from .forms import PictureForm
from .pages import for_staff, list_number, only_read, part_of

#: Most pictures in one list.
PER_PAGE = 24
_MIB = 1024 * 1024


@for_staff
def pictures() -> ResponseReturnValue:
    form = PictureForm()
    if form.validate_on_submit() and _save(form):
        flash(gettext("The picture is uploaded."))
        return redirect(url_for(".pictures"))
    if form.is_submitted():
        only_read()
    newest = select(uploads.Upload).order_by(uploads.Upload.created_at.desc(), uploads.Upload.id)
    rows, has_more = part_of(newest, number := list_number(), PER_PAGE)
    page = render_template(
        "sections/pictures.html",
        section=g.section,
        form=form,
        pictures=[(row[0], markdown_of(row[0])) for row in rows],
        number=number,
        has_more=has_more,
        used=round(uploads.used() / _MIB, 1),
        room=current_tenant.limits.uploads_mb,
    )
    return page, form.status


def picture(id: str) -> Response:
    return uploads.send(id)


@for_staff
@protected
def remove_picture(id: str) -> ResponseReturnValue:
    upload = uploads.find(id)
    if upload is None:
        abort(404)
    uploads.remove(upload)
    flash(gettext("The picture is removed."))
    return redirect(url_for(".pictures"))


def markdown_of(upload: uploads.Upload) -> str:
    """Return what shows a picture in a page, in any section: its address is completed when the page is shown."""
    alt = re.sub(r"([\\\[\]*_`<>&!])", r"\\\1", upload.alt)
    return f"![{alt}](-/pictures/{upload.id})"


def _save(form: PictureForm) -> bool:
    try:
        uploads.save_picture(form.file.data, form.text("alt"))
    except uploads.BadPicture as error:
        form.refuse("file", _words(error.reason))
        return False
    return True


def _words(reason: str) -> str:
    return {
        "unknown": gettext("This is no picture that can be shown here. Please choose a PNG, JPEG, GIF or WebP file."),
        "svg": gettext("This is an SVG drawing, which can hold programs. Please save it as PNG and upload that."),
        "broken": gettext("This picture is damaged and cannot be read to its end."),
        "large": gettext("This picture has too many pixels. Please make it smaller than 8000 by 5000."),
    }[reason]
