"""Signing up: with a link that confirms the address, or by invitation."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, request, url_for

from tenantry import current_tenant, db, gettext
from tenantry.users import TooManyAttempts, User, address_of_visitor, hash_password, log_in, open_link

from . import bp, mails, services
from .forms import AcceptForm, ActivateForm, SignUpForm
from .invitations import open_invitation
from .limits import MAILS_TO, SIGN_UPS_FROM, is_over, refuse_for_now
from .passwords import is_password_of


@bp.route("/sign-up", methods=["GET", "POST"])
def sign_up() -> Any:
    if current_tenant.sign_up != "open":
        return render_template("accounts/not_open.html"), 403
    form = SignUpForm()
    if form.validate_on_submit() and _register(form):
        return redirect(url_for(".sign_up_sent"))
    return form.shown_by("accounts/sign_up.html")


@bp.get("/sign-up/sent")
def sign_up_sent() -> str:
    return render_template("accounts/sent.html")


def _register(form: SignUpForm) -> bool:
    """Make the account, or put what stands against it beside its field.

    Where the address has an account, or got too many mails already, the answer is the same: it must not tell.
    """
    try:
        SIGN_UPS_FROM.count(address_of_visitor())
        db.commit_now()  # so that nobody waits for us while Argon2 works
        email = form.typed("email")
        user = _user_of(form, email)
        with db.session.begin_nested() as attempt:
            is_new = services.register(user)
            if is_over(MAILS_TO, email):
                attempt.rollback()
                return True
        if is_new:
            mails.confirm_address(user)
        else:
            mails.tell_that_there_is_an_account(email)
    except services.NameTaken:
        form.refuse("username", gettext("This username is already taken. Please choose another."))
        return False
    except TooManyAttempts as error:
        refuse_for_now(form, "email", error)
        return False
    return True


def _user_of(form: Any, email: str) -> User:
    return User(
        username=form.typed("username"),
        name=form.typed("name"),
        email=email,
        password_hash=hash_password(form.typed("password")),
        is_public=form.is_public.data,
    )


@bp.route("/activate/<token>", methods=["GET", "POST"])
def activate(token: str) -> Any:
    """A page with a form: programs that look into mails open every link, and would use it up.

    It asks for the password, as somebody else may have signed up with this address, and with one of theirs.
    """
    user, _ = open_link("activate", token)
    form = ActivateForm()
    if not form.validate_on_submit() or not is_password_of(user.username, form, "password"):
        return form.shown_by("accounts/activate.html", user=user)
    user, _ = open_link("activate", token)  # once more, as another may have used it while Argon2 worked
    if services.activate(user):
        flash(gettext("This is the first account here, so it is the administrator's. (Only during development.)"))
    flash(gettext("Your address is confirmed. You can log in now."), "success")
    return redirect(url_for(".log_in"))


@bp.route("/invitation/<token>", methods=["GET", "POST"])
def accept_invitation(token: str) -> Any:
    if request.method == "POST":
        db.begin(write=False)
    invitation = open_invitation(token)
    form = AcceptForm(own=(invitation.email,))
    if form.validate_on_submit() and _accept(form, token):
        flash(gettext("Welcome!"), "success")
        return redirect(url_for(".profile"))
    return form.shown_by("accounts/accept.html", invitation=invitation)


def _accept(form: AcceptForm, token: str) -> bool:
    user = _user_of(form, "")
    db.begin(write=True)
    invitation = open_invitation(token)  # once more, as another may have used it while Argon2 worked
    user.email = invitation.email
    try:
        services.accept(invitation, user)
    except services.NameTaken:
        form.refuse("username", gettext("This username is already taken. Please choose another."))
        return False
    log_in(user)
    return True
