"""Logging in and out."""

from __future__ import annotations

from typing import Any

from flask import current_app, flash, redirect, request, url_for

from tenantry import current_user, forms, gettext
from tenantry.users import TooManyAttempts, User, check_password, way_back
from tenantry.users import log_in as let_in
from tenantry.users import log_out as let_out

from . import bp, mails
from .forms import LogInForm
from .limits import MAILS_TO, is_over, refuse_for_now


@bp.route("/log-in", methods=["GET", "POST"])
def log_in() -> Any:
    target = way_back(request.args.get("next"))
    home = url_for("front.index" if "front.index" in current_app.view_functions else ".profile")
    if request.method == "GET" and current_user.is_authenticated:
        return redirect(target or url_for(".profile"))
    form = LogInForm()
    user = _check(form) if form.validate_on_submit() else None
    if user is None:
        return form.shown_by("accounts/log_in.html")
    let_in(user, form.remember.data)
    return redirect(target or home)


def _check(form: LogInForm) -> User | None:
    """Return who may come in, or put what stands against it beside a field."""
    try:
        user = check_password(form.typed("login"), form.typed("password"))
    except TooManyAttempts as error:
        refuse_for_now(form, "password", error)
        return None
    if user is None:
        form.refuse("password", gettext("The username or password is incorrect."))
    elif user.blocked_at is not None:
        form.refuse("login", gettext("This account is blocked. Please ask an administrator of this workspace."))
    elif user.activated_at is None:
        form.refuse("login", gettext("Please confirm your address first: open the link that we have sent you."))
        if not is_over(MAILS_TO, user.email):
            mails.confirm_address(user)
    return user if user is not None and user.is_active else None


@bp.post("/log-out")
@forms.protected
def log_out() -> Any:
    let_out()
    flash(gettext("You are logged out."))
    return redirect(url_for(".log_in"))
