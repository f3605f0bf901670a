"""Another mail address, confirmed where the new one is read."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, url_for

from tenantry import current_user, db, gettext
from tenantry.forms import Form
from tenantry.users import TooManyAttempts, User, open_link, session_required

from . import bp, mails, services
from .forms import AddressForm
from .limits import MAILS_TO, refuse_for_now
from .passwords import is_password_of


@bp.route("/address", methods=["GET", "POST"])
@session_required
def address() -> Any:
    form = AddressForm()
    if not form.validate_on_submit() or not _is_new(form) or not is_password_of(current_user.username, form, "current"):
        return form.shown_by("accounts/address.html")
    try:
        MAILS_TO.count(form.typed("email"))
    except TooManyAttempts as error:
        refuse_for_now(form, "email", error)
        return form.shown_by("accounts/address.html")
    mails.confirm_new_address(db.session.get_one(User, current_user.id), form.typed("email"))
    flash(gettext("We have sent a link to %(email)s. Open it to confirm the address.") % {"email": form.typed("email")})
    return redirect(url_for(".profile"))


def _is_new(form: AddressForm) -> bool:
    if db.session.get_one(User, current_user.id).email != form.typed("email"):
        return True
    form.refuse("email", gettext("This is your address already."))
    return False


@bp.route("/address/<token>", methods=["GET", "POST"])
def confirm_address(token: str) -> Any:
    user, email = open_link("address", token)
    form = Form()
    if not form.validate_on_submit():
        return form.shown_by("accounts/confirm_address.html", user=user, email=email)
    old = user.email
    if services.move_to(user, email):
        mails.tell_of_new_address(user, old)
        flash(gettext("Your address is changed."), "success")
    else:
        flash(gettext("This address has another account by now, so yours keeps its old one."), "error")
    return redirect(url_for(".profile"))
