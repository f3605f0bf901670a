"""Signing up: with a link that confirms the address, or by invitation."""

from __future__ import annotations

from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for

from tenantry import current_tenant, db, gettext
from tenantry.forms import Form
from tenantry.users import Invitation, Throttle, TooManyAttempts, address_of_visitor, hash_password, open_link

from . import bp, mails, services
from .forms import AcceptForm, SignUpForm
from .invitations import open_invitation

#: Sign-ups from one address of the network, and for one mail address; of these, those beyond are passed over silently.
FROM_ADDRESS = Throttle("sign-ups from", "20 per hour")
FOR_MAIL = Throttle("sign-ups for", "5 per hour")


@bp.route("/sign-up", methods=["GET", "POST"])
def sign_up() -> Any:
    if current_tenant.sign_up != "open":
        return render_template("accounts/not_open.html"), 403
    form = SignUpForm()
    if form.validate_on_submit() and _register(form):
        return redirect(url_for(".sign_up_sent"))
    return render_template("accounts/sign_up.html", form=form), form.status


@bp.get("/sign-up/sent")
def sign_up_sent() -> str:
    return render_template("accounts/sent.html")


def _register(form: SignUpForm) -> bool:
    """Make the account, or put what stands against it beside its field."""
    try:
        FROM_ADDRESS.count(address_of_visitor())
        db.session.commit()  # so that nobody waits for us while Argon2 works
        password_hash = hash_password(form.text("password"))
        if not _may_get_mail(form.text("email")):
            return True
        user = services.register(form.text("username"), form.text("name"), form.text("email"), password_hash)
    except services.NameTaken:
        form.refuse("username", gettext("Somebody has this name already. Please choose another one."))
        return False
    except TooManyAttempts:
        form.refuse("email", gettext("There were too many from your address. Please try again in an hour."))
        return False
    if user is None:
        mails.tell_that_there_is_an_account(form.text("email"))
    else:
        mails.confirm_address(user)
    return True


def _may_get_mail(email: str) -> bool:
    """Whether an address got so few mails for sign-ups that it may get one more: anyone may name anybody's."""
    try:
        FOR_MAIL.count(email)
    except TooManyAttempts:
        return False
    return True


@bp.route("/activate/<token>", methods=["GET", "POST"])
def activate(token: str) -> Any:
    """A page with a button, as programs that look into mails open every link in them, and would use it up."""
    user, _ = open_link("activate", token)
    form = Form()
    if not form.validate_on_submit():
        return render_template("accounts/activate.html", form=form, user=user), form.status
    if services.activate(user):
        flash(gettext("You are the first one here, so you are the administrator. (Only while developing.)"))
    flash(gettext("Your address is confirmed. You can log in now."), "success")
    return redirect(url_for(".log_in"))


@bp.route("/invitation/<token>", methods=["GET", "POST"])
def accept_invitation(token: str) -> Any:
    form = AcceptForm()
    if request.method == "POST":
        db.begin(write=False)
    invitation = open_invitation(token)
    if form.validate_on_submit() and _accept(form, invitation):
        flash(gettext("Welcome! You can log in now."), "success")
        return redirect(url_for(".log_in"))
    return render_template("accounts/accept.html", form=form, invitation=invitation), form.status


def _accept(form: AcceptForm, invitation: Invitation) -> bool:
    password_hash = hash_password(form.text("password"))
    db.begin(write=True)
    known = db.session.get(Invitation, invitation.id, populate_existing=True) or abort(404)
    try:
        services.accept(known, form.text("username"), form.text("name"), password_hash)
    except services.NameTaken:
        form.refuse("username", gettext("Somebody has this name already. Please choose another one."))
        return False
    return True
