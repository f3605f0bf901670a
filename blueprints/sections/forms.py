"""The forms of sections. Their words are translated when a page is made, not when this module is read."""

from __future__ import annotations

from flask import request
from flask_wtf.file import FileField, FileRequired
from wtforms import Field, HiddenField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, ValidationError

from tenantry import gettext
from tenantry.forms import Form
from tenantry.forms import lazy_gettext as _

from .pages import read_number
from .slugs import LONGEST, is_slug, make_slug

#: Most characters of a page.
LONGEST_BODY = 100_000


class _Based(Form):
    """A form that knows which revision of the page it was opened with."""

    revision = HiddenField()

    @property
    def base(self) -> int:
        """The number of that revision, 0 if it does not say."""
        return read_number(request.form.get("revision", ""))


class PageForm(_Based):
    """For a page, new or not.

    :ivar page: the page's id, by which it is found though its address was changed meanwhile.
    """

    title = StringField(_("Title"), [DataRequired(), Length(max=200)])
    slug = StringField(
        _("Address"),
        [Length(max=LONGEST)],
        description=_(
            "The last part of the page's address: letters a to z, digits and dashes. Made from the title "
            "if you leave it empty. If you change it, links to the old address lead nowhere."
        ),
        render_kw={"autocapitalize": "none", "spellcheck": "false"},
    )
    body = TextAreaField(
        _("Text"),
        [Length(max=LONGEST_BODY)],
        description=_("In Markdown: # heading, **bold**, *italic*, - list, [words](address)."),
        render_kw={"rows": 18},
    )
    note = StringField(
        _("What have you changed?"), [Length(max=200)], description=_("A few words for the history of the page.")
    )
    page = HiddenField()

    def validate_slug(self, field: Field) -> None:
        """Refuse what cannot stand in an address; one that the page has already may stay."""
        if field.data and not is_slug(field.data) and field.data != field.object_data:
            text = gettext("Expected letters a to z, digits, and single dashes between them, as in: %(example)s")
            raise ValidationError(text % {"example": make_slug(field.data)})


class RemoveForm(_Based):
    """To confirm that a page is to be removed, as it is now."""


class PictureForm(Form):
    """For a new picture."""

    file = FileField(
        _("Picture"),
        [FileRequired()],
        description=_(
            "PNG, JPEG, GIF or WebP. Where and when it was taken is removed from it; of an animation, the "
            "first picture is kept."
        ),
        render_kw={"accept": "image/png,image/jpeg,image/gif,image/webp"},
    )
    alt = StringField(
        _("What is to be seen?"),
        [Length(max=200)],
        description=_("For those who cannot see it. The file's name is used if you leave it empty."),
    )
