"""What somebody says of themselves, and how they read; and for programs, who they are."""

from __future__ import annotations

from typing import Any

from flask import flash, jsonify, redirect, url_for

from tenantry import current_tenant, current_user, db, gettext, login_required, use_language
from tenantry.users import User, session_required

from . import bp
from .forms import ProfileForm


@bp.route("/", methods=["GET", "POST"])
@session_required
def profile() -> Any:
    user = db.session.get_one(User, current_user.id)
    form = ProfileForm(obj=user)
    if not form.validate_on_submit():
        return form.shown_by("accounts/profile.html", user=user)
    before = user.language
    form.populate_obj(user)
    user.language, user.timezone = user.language or None, user.timezone or None
    if user.language != before:  # or it would undo what was chosen for this browser
        use_language(user.language or current_tenant.languages[0], remember=True)
    flash(gettext("Your profile is saved."), "success")
    return redirect(url_for(".profile"))


@bp.get("/me")
@login_required
def me() -> Any:
    """Who a session, a token or a password belongs to, as JSON."""
    scopes = sorted(current_user.scopes) if current_user.via == "token" else None
    return jsonify(username=current_user.username, name=current_user.name, role=current_user.role, scopes=scopes)
