"""Another mail address, confirmed where the new one is read."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, url_for

from tenantry import current_user, db, gettext
from tenantry.forms import Form
from tenantry.users import Throttle, User, open_link, session_required

from . import bp, mails, services
from .forms import AddressForm
from .passwords import is_really_them

#: Mails to addresses that an account named as its new one.
CHANGES = Throttle("addresses of", "5 per hour")


@bp.route("/address", methods=["GET", "POST"])
@session_required
def address() -> Any:
    form = AddressForm()
    if not form.validate_on_submit() or not is_really_them(form):
        return render_template("accounts/address.html", form=form), form.status
    CHANGES.count(str(current_user.id))
    mails.confirm_new_address(db.session.get_one(User, current_user.id), form.text("email"))
    flash(gettext("We have sent a link to %(email)s. Open it to confirm the address.") % {"email": form.text("email")})
    return redirect(url_for(".profile"))


@bp.route("/address/<token>", methods=["GET", "POST"])
def confirm_address(token: str) -> Any:
    user, email = open_link("address", token)
    form = Form()
    if not form.validate_on_submit():
        return render_template("accounts/confirm_address.html", form=form, user=user, email=email), form.status
    old = user.email
    if services.move_to(user, email):
        mails.tell_of_new_address(user, old)
        flash(gettext("Your address is changed."), "success")
    else:
        flash(gettext("This address has another account by now, so yours keeps its old one."), "error")
    return redirect(url_for(".profile"))
