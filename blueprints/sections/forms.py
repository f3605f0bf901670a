"""The forms of sections. Their words are translated when a page is made, not when this module is read."""

from __future__ import annotations

from flask import request
from flask_wtf.file import FileField, FileRequired
from wtforms import Field, HiddenField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, ValidationError

from tenantry import gettext
from tenantry.forms import Form
from tenantry.forms import lazy_gettext as _

from .markdown import MOST_BRACKETS
from .pages import read_number
from .slugs import LONGEST, is_slug, make_slug

#: Most characters of a page.
LONGEST_BODY = 100_000


class _Based(Form):
    """A form that knows which page it is about, and which revision of it it was opened with.

    :ivar page: the page's id, by which it is found whatever its address is by now.
    """

    page = HiddenField()
    revision = HiddenField()

    @property
    def base(self) -> int:
        """The number of that revision, 0 if it does not say."""
        return read_number(request.form.get("revision", ""))


class PageForm(_Based):
    """For a page, new or not."""

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
    published = HiddenField()

    @property
    def was_draft(self) -> bool:
        """Whether the page was a draft when the form was opened; also if it does not say."""
        return not request.form.get("published")

    def validate_body(self, field: Field) -> None:
        """Refuse a text that would take long to show."""
        if (field.data or "").count("[") > MOST_BRACKETS:
            text = gettext("A page can have %(count)s opening brackets at most. Please part it into several.")
            raise ValidationError(text % {"count": MOST_BRACKETS})

    def validate_slug(self, field: Field) -> None:
        """Refuse what cannot stand in an address; one that the page has already may stay."""
        if field.data and not is_slug(field.data) and field.data != field.object_data:
            text = gettext("Expected letters a to z, digits, and single dashes between them, as in: %(example)s")
            raise ValidationError(text % {"example": make_slug(field.data)})


class DeleteForm(_Based):
    """To confirm that a page is to be deleted, as it is now."""


class PictureForm(Form):
    """For a new picture."""

    file = FileField(
        _("Picture"),
        [FileRequired()],
        description=_(
            "PNG, JPEG, GIF or WebP. Where and when it was taken is deleted from it; of an animation, the "
            "first picture is kept."
        ),
        render_kw={"accept": "image/png,image/jpeg,image/gif,image/webp"},
    )
    alt = StringField(
        _("Description"),
        [Length(max=200)],
        description=_("For people who cannot see the picture. The file name is used if you leave this empty."),
    )
