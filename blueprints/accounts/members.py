"""The workspace's own administration: who is in it, as what, and who is invited."""

from __future__ import annotations

from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from sqlalchemy import delete, func, or_, select

from tenantry import db, forms, gettext, role_required
from tenantry.times import now
from tenantry.users import ROLES, Invitation, User, end_logins

from . import bp
from .forms import InviteForm, role_names
from .invitations import send_invitation
from .services import count_admins

_ON_A_PAGE = 50


@bp.get("/members")
@role_required("admin")
def members() -> str:
    words, number = request.args.get("q", "").strip()[:100], max(1, request.args.get("page", 1, type=int))
    chosen = select(User).where(_matching(words)) if words else select(User)
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


def _matching(words: str) -> Any:
    return or_(*(column.icontains(words, autoescape=True) for column in (User.username, User.name, User.email)))


@bp.post("/members/<int:user_id>/role")
@role_required("admin")
@forms.protected
def set_role(user_id: int) -> Any:
    user, role = _other(user_id), request.form.get("role", "")
    if role not in ROLES:
        abort(422)
    if _is_last_admin(user) and role != "admin":
        flash(gettext("This is the only administrator. Appoint another one first."), "error")
    else:
        user.role = role
        flash(gettext("%(name)s has another role now.") % {"name": user.name}, "success")
    return redirect(url_for(".members"))


@bp.post("/members/<int:user_id>/block")
@role_required("admin")
@forms.protected
def block(user_id: int) -> Any:
    user = _other(user_id)
    if _is_last_admin(user):
        flash(gettext("This is the only administrator. Appoint another one first."), "error")
    elif user.blocked_at is None:
        user.blocked_at = now()
        end_logins(user.id)
        flash(gettext("%(name)s is blocked, and logged out everywhere.") % {"name": user.name}, "success")
    else:
        user.blocked_at = None
        flash(gettext("%(name)s may log in again.") % {"name": user.name}, "success")
    return redirect(url_for(".members"))


def _other(user_id: int) -> User:
    return db.session.get(User, user_id) or abort(404)


def _is_last_admin(user: User) -> bool:
    return user.role == "admin" and user.is_active and count_admins() == 1


@bp.route("/invitations", methods=["GET", "POST"])
@role_required("admin")
def invitations() -> Any:
    form = InviteForm()
    if form.validate_on_submit() and _is_new(form):
        send_invitation(form.text("email"), form.role.data)
        flash(gettext("An invitation goes to %(email)s.") % {"email": form.text("email")}, "success")
        return redirect(url_for(".invitations"))
    waiting = select(Invitation).where(Invitation.accepted_at.is_(None), Invitation.expires_at > now())
    found = db.session.scalars(waiting.order_by(Invitation.created_at.desc())).all()
    return render_template("accounts/invitations.html", form=form, invitations=found), form.status


def _is_new(form: InviteForm) -> bool:
    known = select(User.id).where(User.email == form.text("email"), User.activated_at.is_not(None))
    if db.session.scalar(known) is None:
        return True
    form.refuse("email", gettext("There is an account with this address already."))
    return False


@bp.post("/invitations/<int:invitation_id>/withdraw")
@role_required("admin")
@forms.protected
def withdraw(invitation_id: int) -> Any:
    db.session.execute(delete(Invitation).where(Invitation.id == invitation_id, Invitation.accepted_at.is_(None)))
    flash(gettext("The invitation is taken back."), "success")
    return redirect(url_for(".invitations"))
