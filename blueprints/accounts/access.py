"""What lets somebody in: the browsers in which they are logged in, and their API tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import abort, flash, redirect, render_template, url_for
from sqlalchemy import delete, func, select

from tenantry import current_user, db, forms, gettext
from tenantry.api import ID
from tenantry.times import now
from tenantry.users import ApiToken, Login, end_logins, issue_token, session_required

from . import bp
from .forms import TokenForm
from .limits import MOST_TOKENS
from .passwords import is_password_of

#: Marks in a ``User-Agent`` and what they stand for; the first that fits counts, as the later ones are in others too.
_BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Macintosh", "Linux")


@bp.app_template_filter()
def browser_name(sent: str) -> str:
    """Return what a person calls the browser that sent a ``User-Agent``, as far as that can be told."""
    browser = next((name for mark, name in _BROWSERS if mark in sent), sent.partition("/")[0][:40])
    system = next((name for name in _SYSTEMS if name in sent), "")
    return f"{browser}, {system}" if system else browser or gettext("unknown browser")


@bp.get("/sessions")
@session_required
def sessions() -> str:
    mine = select(Login).where(Login.user_id == current_user.id, Login.expires_at > now())
    return render_template("accounts/sessions.html", logins=db.session.scalars(mine.order_by(Login.created_at.desc())))


@bp.post("/sessions/<login_id>/end")
@session_required
@forms.protected
def end_session(login_id: str) -> Any:
    ended = db.session.execute(delete(Login).where(Login.id == login_id, Login.user_id == current_user.id))
    if not ended.rowcount:  # type: ignore[attr-defined]  # a DELETE has one
        abort(404)
    flash(gettext("That browser has been logged out."), "success")
    return redirect(url_for(".sessions"))


@bp.post("/sessions/end-others")
@session_required
@forms.protected
def end_other_sessions() -> Any:
    end_logins(current_user.id, but=current_user.login)
    flash(gettext("All other browsers have been logged out."), "success")
    return redirect(url_for(".sessions"))


@bp.route("/tokens", methods=["GET", "POST"])
@session_required
def tokens() -> Any:
    form, shown = TokenForm(data={"days": "90", "scopes": ["read"]}), None
    if form.validate_on_submit() and _has_room(form) and is_password_of(current_user.username, form, "current"):
        lifetime = timedelta(days=int(form.typed("days")))
        shown, _ = issue_token(current_user.id, form.typed("name"), form.scopes.data or (), lifetime)
        db.session.flush()
        form = TokenForm(formdata=None, data={"days": "90", "scopes": ["read"]})
    mine = select(ApiToken).where(ApiToken.user_id == current_user.id).order_by(ApiToken.created_at.desc())
    page, status, headers = form.shown_by(
        "accounts/tokens.html", shown=shown, tokens=db.session.scalars(mine).all(), now=now()
    )
    return page, 200 if shown else status, headers  # and no redirect, as the token could not be shown after it


def _has_room(form: TokenForm) -> bool:
    count = select(func.count()).select_from(ApiToken).where(ApiToken.user_id == current_user.id)
    if (db.session.scalar(count) or 0) < MOST_TOKENS:
        return True
    form.refuse("name", gettext("You have reached the limit of tokens. Please revoke one first."))
    return False


@bp.post(f"/tokens/<{ID}:token_id>/revoke")
@session_required
@forms.protected
def revoke_token(token_id: int) -> Any:
    done = db.session.execute(delete(ApiToken).where(ApiToken.id == token_id, ApiToken.user_id == current_user.id))
    if not done.rowcount:  # type: ignore[attr-defined]  # as above
        abort(404)
    flash(gettext("The token is revoked."), "success")
    return redirect(url_for(".tokens"))
