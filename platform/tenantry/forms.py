"""Forms, on Flask-WTF: CSRF by a key of the tenant, text that is clean, and one macro that renders any of them.

A view shows a form and takes it::

    form = NoteForm()
    if form.validate_on_submit():
        ...
        return redirect(url_for(".index"))
    return form.shown_by("notes/edit.html")

``tenantry/forms.html`` has the macros. :func:`protected` guards a view that is reached by a single button.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from babel.support import LazyProxy
from flask import render_template, request
from flask_wtf import FlaskForm
from flask_wtf.csrf import CSRFError, generate_csrf, validate_csrf
from werkzeug.datastructures import FileStorage
from werkzeug.utils import cached_property
from wtforms import Field, PasswordField, StringField, TextAreaField
from wtforms.fields.core import UnboundField
from wtforms.i18n import get_translations
from wtforms.validators import Length, StopValidation, ValidationError

from .context import current_tenant_app
from .languages import current_language, gettext
from .texts import is_hidden, unified

P = ParamSpec("P")
R = TypeVar("R")

#: Seconds for which a form may stay open.
OPEN_FOR = 12 * 60 * 60
#: By which a script of our own pages sends their token.
CSRF_HEADER = "X-CSRF-Token"
#: Most characters of a text field that says nothing of its length, and of a text area.
_LONGEST, _LONGEST_AREA = 200, 100_000


class Form(FlaskForm):  # type: ignore[misc]  # it has no types
    """A form. Every text in it is of Unicode's form NFC, without control characters, and of bounded length.

    :ivar status: of the response that shows it: 200 before it is sent, 400 if it was not sent by our own page, 422 if
        something in it is wrong, 429 if it was sent too often.
    :ivar retry_after: seconds after which it may be sent again, where it was sent too often; else 0.
    """

    retry_after = 0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("is_stale", "refuse", "retry_after", "shown_by", "status", "typed"):
            if isinstance(cls.__dict__.get(name), UnboundField):
                raise TypeError(f"'{name}' is what every form has, and cannot be the name of a field; rename it")

    class Meta(FlaskForm.Meta):  # type: ignore[misc]  # as above
        """How fields are bound: see WTForms."""

        csrf_time_limit = OPEN_FOR

        @cached_property
        def csrf_secret(self) -> list[bytes]:
            """The tenant's keys for this very purpose, retired ones first, which still verify."""
            return current_tenant_app("forms").signer.keys.derive("csrf")

        def bind_field(self, form: Any, unbound_field: UnboundField[Any], options: dict[str, Any]) -> Field:
            field: Field = super().bind_field(form, unbound_field, options)
            if isinstance(field, StringField):
                _guard(field)
            return field

        def wrap_formdata(self, form: Any, formdata: Any) -> Any:
            """Flask-WTF's, but JSON is not taken for a form, as in it a text may be anything."""
            return None if request and request.is_json else super().wrap_formdata(form, formdata)

        def get_translations(self, form: Any) -> Any:
            return get_translations((current_language().replace("-", "_"), "en"))

    @property
    def status(self) -> int:
        """The status of the response that shows it."""
        if not self.is_submitted():
            return 200
        return 400 if self.is_stale else 429 if self.retry_after else 422

    @property
    def is_stale(self) -> bool:
        """Whether it came without the token that our own page has, or with one of another session, or too late."""
        return "csrf_token" in self and bool(self["csrf_token"].errors)

    def shown_by(self, template: str, **context: Any) -> tuple[str, int, dict[str, str]]:
        """Return the response that shows it, by a template that knows it as ``form``."""
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after else {}
        return render_template(template, form=self, **context), self.status, headers

    def typed(self, field: str) -> str:
        """Return what was typed into a text field."""
        return str(self[field].data or "")

    def refuse(self, field: str, message: str) -> None:
        """Put an error beside a field that the form itself could not see."""
        self[field].errors = [*self[field].errors, message]


def lazy_gettext(message: str) -> Any:
    """Return a text that is translated when it is shown: what a form's class says is read once, for all languages."""
    return LazyProxy(gettext, message, enable_cache=False)


def protected(view: Callable[P, R]) -> Callable[P, R]:
    """Mark a view that a single button reaches: it goes on only with the token that our own page has.

    :raises CSRFError: (400) without it.
    """

    @functools.wraps(view)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            validate_csrf(request.form.get("csrf_token"), _keys(), OPEN_FOR)
        except ValidationError:
            text = gettext("This page was open for too long. Please go back, load it again, and try once more.")
            raise CSRFError(text) from None
        return view(*args, **kwargs)

    return checked


def is_our_own_page() -> bool:
    """Whether a request comes from a page of ours that sends its token in the header ``X-CSRF-Token``."""
    try:
        validate_csrf(request.headers.get(CSRF_HEADER), _keys(), OPEN_FOR)
    except ValidationError:
        return False
    return True


def csrf_token() -> str:
    """Return the token of this page's forms."""
    return str(generate_csrf(_keys()))


def _keys() -> Any:
    return current_tenant_app("forms").signer.keys.derive("csrf")


def _guard(field: StringField) -> None:
    """Let a text be clean and bounded, whatever its form says of it."""
    longest = _LONGEST_AREA if isinstance(field, TextAreaField) else _LONGEST
    bounded = any(isinstance(each, Length) and each.max > 0 for each in field.validators)
    field.filters = (_unified if isinstance(field, PasswordField) else _trimmed, *field.filters)
    field.validators = (_shown, *field.validators, *(() if bounded else (Length(max=longest),)))
    field.flags.maxlength = field.flags.maxlength or longest


def _unified(text: Any) -> Any:
    if isinstance(text, FileStorage):  # a file that was sent where a text is expected
        return ""
    return unified(text) if isinstance(text, str) else text


def _trimmed(text: Any) -> Any:
    unified = _unified(text)
    return unified.strip() if isinstance(unified, str) else unified


def _shown(form: Any, field: StringField) -> None:
    """Refuse what cannot be seen: control characters, halves of surrogates, and what turns the text around it."""
    allowed = "\n\t" if isinstance(field, TextAreaField) else ""
    text = field.data or ""
    if text and not isinstance(field, PasswordField) and not any(unicodedata.category(c)[0] in "LNPS" for c in text):
        raise StopValidation(gettext("This text has nothing in it that can be seen."))
    for character in text if len(text) <= _LONGEST_AREA else "":  # what is longer is refused for that
        if is_hidden(character) and character not in allowed:
            raise StopValidation(gettext("This text has a character in it that cannot be seen. Please type it anew."))
