"""Accounts: how people come into a workspace, prove who they are, and look after what they have there.

Patterns: the current user loaded on first use; forms with CSRF, Post/Redirect/Get and flashed messages; links that are
signed instead of stored; mails in the same transaction as what they are about; jobs in the background.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for

from tenantry.users import DeadLink, LoginRequired, forget_who_asks, this_page

bp: Blueprint = Blueprint("accounts", __name__, url_prefix="/accounts", template_folder="templates")


@bp.app_errorhandler(LoginRequired)
def ask_to_log_in(error: LoginRequired) -> Any:
    """Lead a person to the log-in page and back; a program, or a form that was sent, gets the error itself."""
    form = request.accept_mimetypes.best_match(["text/html", "application/json"], default="text/html")
    if error.by_header or request.method not in ("GET", "HEAD") or form != "text/html":
        return error
    return redirect(url_for("accounts.log_in", next=this_page()))


@bp.errorhandler(DeadLink)
def say_that_a_link_is_dead(error: DeadLink) -> tuple[str, int]:
    """Say so in the same words, whatever is wrong with it, and with whatever else came along."""
    if "Authorization" in request.headers:
        forget_who_asks()  # or a bad token would make an error of the page about the link
    return render_template("accounts/dead_link.html"), 404


@bp.after_request
def keep_to_this_browser(response: Response) -> Response:
    """Pages about an account are stored nowhere, and their addresses, which may hold a signed link, go nowhere."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


from . import access, address, export, logging_in, members, passwords, profile, signing_up  # noqa: E402, F401  # they need bp
from .api import api_bp as api_bp  # noqa: E402  # what it needs, needs bp
