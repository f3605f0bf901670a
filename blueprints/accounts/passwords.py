"""Forgotten and changed passwords."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, request, session, url_for

from tenantry import current_user, db, gettext
from tenantry.times import now
from tenantry.users import (
    Throttle,
    TooManyAttempts,
    User,
    address_of_visitor,
    check_password,
    hash_password,
    log_in,
    open_link,
    session_required,
)

from . import bp, mails, services
from .forms import ChangePasswordForm, ForgotForm, NewPasswordForm

#: Links asked for from one address, and for one account; of these, those beyond are not sent, and nobody is told.
FROM_ADDRESS = Throttle("resets from", "20 per hour")
FOR_ACCOUNT = Throttle("resets for", "5 per hour")


@bp.route("/forgot", methods=["GET", "POST"])
def forgot() -> Any:
    form = ForgotForm()
    if not form.validate_on_submit():
        return render_template("accounts/forgot.html", form=form), form.status
    FROM_ADDRESS.count(address_of_visitor())
    try:
        FOR_ACCOUNT.count(form.text("login").lower())
    except TooManyAttempts:
        pass
    else:
        mails.send_reset.enqueue(form.text("login"))
    return redirect(url_for(".forgot_sent"))


@bp.get("/forgot/sent")
def forgot_sent() -> str:
    return render_template("accounts/forgot_sent.html")


@bp.route("/reset/<token>", methods=["GET", "POST"])
def reset(token: str) -> Any:
    if request.method == "POST":
        db.begin(write=False)
    user, _ = open_link("reset", token)
    form = NewPasswordForm()
    if not form.validate_on_submit():
        return render_template("accounts/reset.html", form=form, user=user), form.status
    password_hash = hash_password(form.text("password"))
    db.begin(write=True)
    user, _ = open_link("reset", token)  # once more, as another may have used it while Argon2 worked
    user.activated_at = user.activated_at or now()
    services.set_password(user, password_hash)
    mails.tell_of_new_password(user)
    flash(gettext("Your password is set. You can log in with it now."), "success")
    return redirect(url_for(".log_in"))


@bp.route("/password", methods=["GET", "POST"])
@session_required
def password() -> Any:
    form = ChangePasswordForm()
    if not form.validate_on_submit() or not is_really_them(form):
        return render_template("accounts/password.html", form=form), form.status
    password_hash = hash_password(form.text("password"))
    user = db.session.get_one(User, current_user.id, populate_existing=True)
    services.set_password(user, password_hash)
    log_in(user, remember=session.permanent)  # anew: a copy of this browser's cookie is worth nothing either
    mails.tell_of_new_password(user)
    flash(gettext("Your password is changed, and every other browser is logged out."), "success")
    return redirect(url_for(".profile"))


def is_really_them(form: Any) -> bool:
    """Whether the present password that somebody typed beside a change is theirs; if not, it is told beside it."""
    try:
        if (user := check_password(current_user.username, form.text("current"))) is not None and user.is_active:
            return True
        form.refuse("current", gettext("This is not your present password."))
    except TooManyAttempts:
        form.refuse("current", gettext("There were too many attempts. Please try again in a quarter of an hour."))
    return False
