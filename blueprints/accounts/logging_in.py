"""Logging in and out."""

from __future__ import annotations

import math
from typing import Any

from flask import flash, redirect, render_template, request, url_for

from tenantry import current_user, forms, gettext
from tenantry.users import TooManyAttempts, User, check_password, way_back
from tenantry.users import log_in as let_in
from tenantry.users import log_out as let_out

from . import bp, mails
from .forms import LogInForm


@bp.route("/log-in", methods=["GET", "POST"])
def log_in() -> Any:
    target = way_back(request.args.get("next"))
    if request.method == "GET" and current_user.is_authenticated:
        return redirect(target or url_for(".profile"))
    form = LogInForm()
    try:
        user = _check(form) if form.validate_on_submit() else None
    except TooManyAttempts as error:
        return _too_many(form, error)
    if user is None:
        return render_template("accounts/log_in.html", form=form), form.status
    let_in(user, form.remember.data)
    return redirect(target or url_for("front.index" if _has_front() else ".profile"))


def _check(form: LogInForm) -> User | None:
    """Return who may come in, or put what stands against it beside a field."""
    user = check_password(form.text("login"), form.text("password"))
    if user is None:
        form.refuse("password", gettext("The name or the password is not right."))
    elif user.blocked_at is not None:
        form.refuse("login", gettext("This account is blocked. Please ask an administrator of this workspace."))
    elif user.activated_at is None:
        mails.confirm_address(user)
        form.refuse("login", gettext("Please confirm your address first. We have sent you the link once more."))
    return user if user is not None and user.is_active else None


def _too_many(form: LogInForm, error: TooManyAttempts) -> Any:
    minutes = math.ceil(error.seconds / 60)
    text = gettext("There were too many attempts. Please try again in %(minutes)s minutes.")
    form.refuse("password", text % {"minutes": minutes})
    return render_template("accounts/log_in.html", form=form), 429, {"Retry-After": str(error.seconds)}


def _has_front() -> bool:
    from flask import current_app

    return "front.index" in current_app.view_functions


@bp.post("/log-out")
@forms.protected
def log_out() -> Any:
    let_out()
    flash(gettext("You are logged out."))
    return redirect(url_for(".log_in"))
