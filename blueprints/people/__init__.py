"""People: a public profile for everybody at ``/people/<username>/``, and the administrator's at ``/special/admin/``.

The pattern: one blueprint stands twice in one app. The second registration has the same view without the value in its
address, as ``url_defaults`` gives it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, abort, redirect, render_template, url_for
from sqlalchemy import Select, select

from tenantry import Tenant, current_user, db
from tenantry.users import User, fold_username, is_username

bp = Blueprint("people", __name__, template_folder="templates")

#: Nobody can sign up by this name, so it can stand for whoever looks after the workspace.
_ADMIN = "admin"


def registrations(tenant: Tenant) -> Iterator[dict[str, Any]]:
    """Return the options of both registrations."""
    yield {"url_prefix": "/people/<username>"}
    yield {"name": "special_admin", "url_prefix": "/special/admin", "url_defaults": {"username": _ADMIN}}


@bp.get("/")
def profile(username: str) -> Any:
    folded = fold_username(username)
    if username != folded and is_username(folded):
        return redirect(url_for(".profile", username=folded))
    person = db.session.scalar(_seen().where(User.username == username))
    if person is None and username == _ADMIN:
        person = db.session.scalar(_seen().where(User.role == "admin").order_by(User.id).limit(1))
    if person is None:
        abort(404)
    return render_template("people/profile.html", person=person)


def _seen() -> Select[User]:
    """Return the choice of those whom the one who asks may see."""
    active = select(User).where(User.activated_at.is_not(None), User.blocked_at.is_(None))
    return active if current_user.is_authenticated else active.where(User.is_public)
