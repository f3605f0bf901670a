"""The forms of accounts. Their words are translated when a page is made, not when this module is read."""

from __future__ import annotations

import re
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from wtforms import (
    BooleanField,
    EmailField,
    Field,
    PasswordField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import DataRequired, InputRequired, Length, ValidationError
from wtforms.widgets import CheckboxInput, ListWidget

from tenantry import current_tenant, gettext, language_name, pgettext
from tenantry.forms import Form
from tenantry.forms import lazy_gettext as _
from tenantry.users import (
    LONGEST_PASSWORD,
    RESERVED,
    ROLES,
    SCOPES,
    SHORTEST_PASSWORD,
    fold_address,
    fold_username,
    is_common,
    is_username,
)


def is_good_username(form: Any, field: Field) -> None:
    """Bring a user name into its one form, and refuse what may not be one."""
    field.data = fold_username(field.data)
    if not is_username(field.data):
        raise ValidationError(
            gettext("Please use 3 to 32 letters a to z and digits, with single dots, dashes or underscores between.")
        )
    if field.data in RESERVED:
        raise ValidationError(gettext("This name is reserved. Please choose another."))


def is_address(form: Any, field: Field) -> None:
    """Bring a mail address into its one form, and refuse what is none."""
    try:
        field.data = fold_address(field.data)
    except ValueError:
        raise ValidationError(gettext("Please enter an email address such as ada@example.com.")) from None


def is_name(form: Any, field: Field) -> None:
    """Refuse what would be a link in a mail: a name stands in those that strangers get."""
    if re.search(r"://|www\.|@", field.data, re.IGNORECASE):
        raise ValidationError(gettext("Please enter a name, without addresses in it."))


def is_good_password(form: Any, field: Field) -> None:
    """Refuse what is guessed first."""
    if len(field.data) < SHORTEST_PASSWORD:
        text = gettext("Please use at least %(count)s characters. Several words in a row are easy to remember.")
        raise ValidationError(text % {"count": SHORTEST_PASSWORD})
    typed = [form[name].data or "" for name in ("username", "email", "name") if name in form]
    if is_common(field.data, *typed, *form.own, current_tenant.title):
        raise ValidationError(gettext("This password is too easy to guess. Please choose another."))


def _new_password(label: str) -> PasswordField:
    return PasswordField(
        label,
        [InputRequired(), Length(max=LONGEST_PASSWORD), is_good_password],
        description=_("At least 10 characters."),
        render_kw={"autocomplete": "new-password"},
    )


def _current_password() -> PasswordField:
    return PasswordField(
        _("Current password"),
        [InputRequired(), Length(max=LONGEST_PASSWORD)],
        render_kw={"autocomplete": "current-password"},
    )


class _WithPassword(Form):
    """A form with a new password.

    :param own: words of the account, which the password must not be made of, beside those in the form.
    """

    def __init__(self, own: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.own = own


class _Account(_WithPassword):
    username = StringField(
        _("Username"),
        [DataRequired(), Length(max=64), is_good_username],
        description=_("Letters a to z and digits. It is part of your profile's address."),
        render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    )
    name = StringField(
        _("Your name"),
        [DataRequired(), Length(max=80), is_name],
        description=_("This is how others see you."),
        render_kw={"autocomplete": "name"},
    )


class SignUpForm(_Account):
    """For a new account."""

    email = EmailField(
        _("Email address"),
        [DataRequired(), Length(max=254), is_address],
        description=_("We send a link there. Others do not see it."),
        render_kw={"autocomplete": "email"},
    )
    password = _new_password(_("Password"))
    is_public = BooleanField(_("Show my profile to people who are not logged in"), default=True)


class AcceptForm(_Account):
    """For a new account of somebody who was invited, whose address is known."""

    password = _new_password(_("Password"))
    is_public = BooleanField(_("Show my profile to people who are not logged in"), default=True)


class LogInForm(Form):
    """For coming in."""

    login = StringField(
        _("Username or email address"),
        [DataRequired(), Length(max=254)],
        render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    )
    password = PasswordField(
        _("Password"), [InputRequired(), Length(max=LONGEST_PASSWORD)], render_kw={"autocomplete": "current-password"}
    )
    remember = BooleanField(_("Keep me logged in on this device"))


class ForgotForm(Form):
    """For those who forgot their password."""

    login = StringField(
        _("Username or email address"),
        [DataRequired(), Length(max=254)],
        render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    )


class ActivateForm(Form):
    """For confirming an address."""

    password = PasswordField(
        _("Password"),
        [InputRequired(), Length(max=LONGEST_PASSWORD)],
        description=_("The one that you chose when you signed up."),
        render_kw={"autocomplete": "current-password"},
    )


class NewPasswordForm(_WithPassword):
    """For a new password, after a link proved who it is."""

    password = _new_password(_("New password"))


class ChangePasswordForm(_WithPassword):
    """For another password."""

    current = _current_password()
    password = _new_password(_("New password"))


class AddressForm(Form):
    """For another mail address."""

    email = EmailField(
        _("New email address"),
        [DataRequired(), Length(max=254), is_address],
        description=_("We send a link there. Until you open it, the old address stays."),
        render_kw={"autocomplete": "email"},
    )
    current = _current_password()


class ProfileForm(Form):
    """For what others see, and how one reads."""

    name = StringField(_("Your name"), [DataRequired(), Length(max=80), is_name], render_kw={"autocomplete": "name"})
    about = TextAreaField(_("About you"), [Length(max=2000)], description=_("Plain text, for your profile."))
    language = SelectField(
        _("Language"), description=_("For emails, and for pages unless you choose another language there.")
    )
    timezone = SelectField(_("Time zone"))
    is_public = BooleanField(_("Show my profile to people who are not logged in"))

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        first = f"{gettext('Workspace default')} ({language_name(current_tenant.languages[0])})"
        self.language.choices = {"": first, **{code: language_name(code) for code in current_tenant.languages}}
        zone = f"{gettext('Workspace default')} ({current_tenant.timezone})"
        self.timezone.choices = {"": zone, **{name: name.replace("_", " ") for name in time_zones()}}


class _Boxes(SelectMultipleField):
    """Several choices, each a box of its own."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()


class TokenForm(Form):
    """For a new API token."""

    name = StringField(_("Name"), [DataRequired(), Length(max=80)], description=_("What you will use it for."))
    scopes = _Boxes(_("Permissions"), [InputRequired()])
    days = SelectField(_("Valid for"))

    current = _current_password()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        words = {"read": pgettext("permission", "Read"), "write": pgettext("permission", "Change")}
        self.scopes.choices = {scope: words[scope] for scope in SCOPES}
        self.days.choices = {str(days): gettext("%(count)s days") % {"count": days} for days in (7, 30, 90, 365)}


class InviteForm(Form):
    """For inviting somebody."""

    email = EmailField(_("Email address"), [DataRequired(), Length(max=254), is_address])
    role = SelectField(_("Role"))

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.role.choices = role_names()


def role_names() -> dict[str, str]:
    """Return the roles, each with what people call it."""
    names = {"member": gettext("Member"), "staff": gettext("Staff"), "admin": gettext("Administrator")}
    return {role: names[role] for role in ROLES}


@cache
def time_zones() -> tuple[str, ...]:
    """Return the time zones that people live in; the others are old names of these."""
    regions = ["Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"]
    return ("UTC", *sorted(name for name in available_timezones() if name.partition("/")[0] in regions))
