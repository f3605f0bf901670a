"""The workspace's own administration: who is in it, as what, and who is invited."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from sqlalchemy import ColumnElement, delete, func, or_, select

from tenantry import current_tenant, current_user, db, forms, gettext, role_required
from tenantry.api import ID
from tenantry.times import now
from tenantry.users import ROLES, Invitation, User

from . import bp, services
from .forms import InviteForm, role_names
from .invitations import send_invitation
from .services import NOWHERE

_ON_A_PAGE = 50


@bp.get("/members")
@role_required("admin")
def members() -> str:
    words, number = request.args.get("q", "").strip()[:100], max(1, request.args.get("page", 1, type=int))
    chosen = select(User).where(~User.email.endswith(NOWHERE), *([_matching(words)] if words else []))
    count = db.session.scalar(select(func.count()).select_from(chosen.subquery())) or 0
    last = max(1, -(-count // _ON_A_PAGE))
    number = min(number, last)
    shown = chosen.order_by(User.username).limit(_ON_A_PAGE).offset((number - 1) * _ON_A_PAGE)
    return render_template(
        "accounts/members.html",
        users=db.session.scalars(shown).all(),
        count=count,
        page=number,
        last=last,
        q=words,
        roles=role_names(),
    )


def _matching(words: str) -> ColumnElement[bool]:
    return or_(*(column.icontains(words, autoescape=True) for column in (User.username, User.name, User.email)))


@bp.post(f"/members/<{ID}:user_id>/role")
@role_required("admin")
@forms.protected
def set_role(user_id: int) -> Any:
    user, role = _other(user_id), request.form.get("role", "")
    if role not in ROLES:
        abort(422)
    with _telling_if_last():
        services.set_role(user, role)
        flash(gettext("The role of %(name)s has been changed.") % {"name": user.name}, "success")
    return _back_to_the_list()


@bp.post(f"/members/<{ID}:user_id>/block")
@role_required("admin")
@forms.protected
def block(user_id: int) -> Any:
    user, state = _other(user_id), request.form.get("state", "")
    if state not in ("block", "unblock"):
        abort(422)
    with _telling_if_last():
        services.set_blocked(user, state == "block")
        blocked = gettext("%(name)s is blocked, and logged out everywhere.")
        flash((blocked if state == "block" else gettext("%(name)s may log in again.")) % {"name": user.name}, "success")
    return _back_to_the_list()


def _other(user_id: int) -> User:
    """Return somebody else: whoever is alone in looking after a workspace must not shut themselves out."""
    if user_id == current_user.id:
        abort(403)
    return db.session.get(User, user_id) or abort(404)


def _back_to_the_list() -> Any:
    return redirect(url_for(".members", q=request.form.get("q") or None, page=request.form.get("page", type=int)))


@contextmanager
def _telling_if_last() -> Iterator[None]:
    """Say so where nobody would look after the workspace any more."""
    try:
        yield
    except services.LastAdmin:
        flash(gettext("This is the only administrator. Give the role to somebody else first."), "error")


@bp.route("/invitations", methods=["GET", "POST"])
@role_required("admin")
def invitations() -> Any:
    if current_tenant.sign_up == "closed":
        abort(404)
    form = InviteForm()
    if form.validate_on_submit() and _is_new(form):
        send_invitation(form.typed("email"), form.role.data)
        flash(gettext("An invitation has been sent to %(email)s.") % {"email": form.typed("email")}, "success")
        return redirect(url_for(".invitations"))
    waiting = select(Invitation).where(Invitation.accepted_at.is_(None), Invitation.expires_at > now())
    found = db.session.scalars(waiting.order_by(Invitation.created_at.desc())).all()
    return form.shown_by("accounts/invitations.html", invitations=found, roles=role_names())


def _is_new(form: InviteForm) -> bool:
    known = select(User.id).where(User.email == form.typed("email"), User.activated_at.is_not(None))
    if db.session.scalar(known) is None:
        return True
    form.refuse("email", gettext("There is an account with this address already."))
    return False


@bp.post(f"/invitations/<{ID}:invitation_id>/withdraw")
@role_required("admin")
@forms.protected
def withdraw(invitation_id: int) -> Any:
    waiting = (Invitation.id == invitation_id, Invitation.accepted_at.is_(None))
    if not db.session.execute(delete(Invitation).where(*waiting)).rowcount:  # type: ignore[attr-defined]  # as in access
        abort(404)
    flash(gettext("The invitation has been withdrawn."), "success")
    return redirect(url_for(".invitations"))
