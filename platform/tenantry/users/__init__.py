"""Accounts of a workspace: who may come in, as what, and how it is found out who asks.

``current_user`` is known in every blueprint; the pages by which people get accounts are the blueprint ``accounts``.
"""

from .authorization import PREFIX as TOKEN_PREFIX
from .authorization import SCOPES, issue_token
from .check import address_of_visitor, check_password, forget_attempts
from .current import (
    NOBODY,
    CurrentUser,
    become,
    current_user,
    forget_who_asks,
    login_required,
    require,
    role_required,
    session_required,
)
from .links import open_link, sign_link, stamp
from .logins import end_logins, log_in, log_out
from .models import ROLES, ApiToken, Invitation, Login, User
from .names import RESERVED, find_account, fold_address, fold_username, is_username
from .passwords import LONGEST_PASSWORD, SHORTEST_PASSWORD, hash_password, is_common, is_right
from .refusals import Crowded, DeadLink, LoginRequired, TooManyAttempts
from .returning import this_page, way_back
from .throttle import Throttle

__all__ = [
    "LONGEST_PASSWORD",
    "NOBODY",
    "RESERVED",
    "ROLES",
    "SCOPES",
    "SHORTEST_PASSWORD",
    "TOKEN_PREFIX",
    "ApiToken",
    "Crowded",
    "CurrentUser",
    "DeadLink",
    "Invitation",
    "Login",
    "LoginRequired",
    "Throttle",
    "TooManyAttempts",
    "User",
    "address_of_visitor",
    "become",
    "check_password",
    "current_user",
    "end_logins",
    "find_account",
    "fold_address",
    "fold_username",
    "forget_attempts",
    "forget_who_asks",
    "hash_password",
    "is_common",
    "is_right",
    "is_username",
    "issue_token",
    "log_in",
    "log_out",
    "login_required",
    "open_link",
    "require",
    "role_required",
    "session_required",
    "sign_link",
    "stamp",
    "this_page",
    "way_back",
]
