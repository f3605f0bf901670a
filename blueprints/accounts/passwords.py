"""Forgotten and changed passwords."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, request, session, url_for

from tenantry import current_user, db, gettext
from tenantry.forms import Form
from tenantry.times import now
from tenantry.users import (
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
from .limits import RESETS_FOR, RESETS_FROM, is_over, refuse_for_now


@bp.route("/forgot", methods=["GET", "POST"])
def forgot() -> Any:
    form = ForgotForm()
    if not form.validate_on_submit():
        return form.shown_by("accounts/forgot.html")
    try:
        RESETS_FROM.count(address_of_visitor())
    except TooManyAttempts as error:
        refuse_for_now(form, "login", error)
        return form.shown_by("accounts/forgot.html")
    if not is_over(RESETS_FOR, form.typed("login").lower()):  # beyond it nothing is sent, and nobody told
        mails.send_reset.enqueue(form.typed("login"))
    return redirect(url_for(".forgot_sent"))


@bp.get("/forgot/sent")
def forgot_sent() -> str:
    return render_template("accounts/forgot_sent.html")


@bp.route("/reset/<token>", methods=["GET", "POST"])
def reset(token: str) -> Any:
    if request.method == "POST":
        db.begin(write=False)
    user, _ = open_link("reset", token)
    form = NewPasswordForm(own=(user.username, user.name, user.email))
    if not form.validate_on_submit():
        return form.shown_by("accounts/reset.html", user=user)
    password_hash = hash_password(form.typed("password"))
    db.begin(write=True)
    user, _ = open_link("reset", token)  # once more, as another may have used it while Argon2 worked
    user.activated_at = user.activated_at or now()  # the link came to its address
    services.set_password(user, password_hash)
    services.revoke_tokens(user)  # whoever had the password may have made one
    mails.tell_of_new_password(user)
    flash(gettext("Your new password is set. You can now log in."), "success")
    return redirect(url_for(".log_in"))


@bp.route("/password", methods=["GET", "POST"])
@session_required
def password() -> Any:
    me = db.session.get_one(User, current_user.id)
    form = ChangePasswordForm(own=(me.username, me.name, me.email))
    if not form.validate_on_submit() or not is_password_of(current_user.username, form, "current"):
        return form.shown_by("accounts/password.html")
    password_hash = hash_password(form.typed("password"))
    user = db.session.get_one(User, current_user.id, populate_existing=True)
    services.set_password(user, password_hash)
    log_in(user, remember=session.permanent)  # anew: a copy of this browser's cookie is worth nothing either
    mails.tell_of_new_password(user)
    flash(gettext("Your password has been changed, and all other browsers have been logged out."), "success")
    return redirect(url_for(".profile"))


def is_password_of(username: str, form: Form, field: str) -> bool:
    """Whether what was typed is somebody's password; if not, it is told beside the field. Nothing is pending after it.

    :raises BegunTooLate: if something was written before.
    """
    try:
        if (user := check_password(username, form.typed(field))) is not None and user.blocked_at is None:
            return True
    except TooManyAttempts as error:
        refuse_for_now(form, field, error)
    else:
        form.refuse(field, gettext("This is not your current password."))
    return False
