"""People: a public profile for everybody at ``/people/<username>/``, and the administrator's at ``/special/admin/``.

The pattern: one blueprint stands twice in one app. The second registration has the same view without the value in its
address, as ``url_defaults`` gives it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, abort, redirect, render_template, url_for
from sqlalchemy import select

from tenantry import Tenant, current_user, db
from tenantry.users import User, fold_username

bp = Blueprint("people", __name__, template_folder="templates")

#: Nobody can sign up by this name, so it can stand for whoever looks after the workspace.
_ADMIN = "admin"


def registrations(tenant: Tenant) -> Iterator[dict[str, Any]]:
    """Return the options of both registrations."""
    yield {"url_prefix": "/people/<username>"}
    yield {"name": "special_admin", "url_prefix": "/special/admin", "url_defaults": {"username": _ADMIN}}


@bp.get("/")
def profile(username: str) -> Any:
    if username != fold_username(username):
        return redirect(url_for(".profile", username=fold_username(username)))
    person = _find(username)
    if person is None or not (person.is_public or current_user.is_authenticated):
        abort(404)
    return render_template("people/profile.html", person=person)


def _find(username: str) -> User | None:
    """Return the account that goes by a name; by ``admin``, where nobody has it, the oldest administrator's."""
    active = select(User).where(User.activated_at.is_not(None), User.blocked_at.is_(None))
    found = db.session.scalar(active.where(User.username == username))
    if found is None and username == _ADMIN:
        found = db.session.scalar(active.where(User.role == "admin").order_by(User.id).limit(1))
    return found
