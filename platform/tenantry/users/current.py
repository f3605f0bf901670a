"""Who asks: the current user, found on first use and kept with the app context.

A browser is known by its session's log-in, a program by ``Authorization`` (RFC 7617 Basic, RFC 6750 Bearer). Who sends
that header is known by it or not at all: a bad token never falls back to a cookie that came along.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar, cast

from flask import has_request_context, request, session
from flask.globals import app_ctx
from sqlalchemy import select
from werkzeug.exceptions import Forbidden
from werkzeug.local import LocalProxy

from .. import db
from ..context import current_tenant_app
from ..gate import SAFE_METHODS
from ..times import now
from .logins import SESSION_KEY, digest
from .models import ROLES, Login, User
from .refusals import LoginRequired

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class CurrentUser:
    """Who asks, as they were when the request began. Nobody has ``id`` 0 and no role.

    :ivar id: of the :class:`User`; ``db.session.get(User, current_user.id)`` is the row.
    :ivar via: how they are known: ``session``, ``token``, ``password``; empty for nobody.
    :ivar login: id of the log-in, where it is a browser's session.
    :ivar scopes: what a token may do: ``read``, ``write``.
    """

    id: int = 0
    username: str = ""
    name: str = ""
    role: str = ""
    language: str | None = None
    timezone: str | None = None
    via: str = ""
    login: str = ""
    scopes: frozenset[str] = frozenset()

    @classmethod
    def of(cls, user: User, via: str, login: str = "", scopes: frozenset[str] = frozenset()) -> CurrentUser:
        """Return an account as the one who asks."""
        return cls(user.id, user.username, user.name, user.role, user.language, user.timezone, via, login, scopes)

    @property
    def is_authenticated(self) -> bool:
        """Whether it is known who asks."""
        return self.id > 0

    def has_role(self, role: str) -> bool:
        """Whether they may do what a role may: ``member``, ``staff`` or ``admin``."""
        return self.role in ROLES[ROLES.index(role) :]


NOBODY = CurrentUser()


def find() -> CurrentUser:
    """Return who asks, found once for each context.

    :raises NoTenantContext: outside a tenant's context.
    :raises LoginRequired: if a token or password came along and is not accepted; nobody asks from then on.
    """
    current_tenant_app("current_user")
    known: CurrentUser | None = getattr(app_ctx, "_tenantry_user", None)
    if known is None:
        become(NOBODY)  # what raises in the search, as a bad token does, leaves nobody for the error's page
        known = _search() if has_request_context() else NOBODY
        become(known)
    return known


def become(user: CurrentUser) -> None:
    """Let somebody be the current user for the rest of this context."""
    app_ctx._tenantry_user = user  # type: ignore[attr-defined]  # ours, and not in g, which is the application's


def forget_who_asks() -> None:
    """Take the one who asks for nobody, unless it is known already: for pages about a database that is out of reach."""
    if getattr(app_ctx, "_tenantry_user", None) is None:
        become(NOBODY)


def _search() -> CurrentUser:
    if "Authorization" in request.headers:
        from .authorization import find_by_header

        return find_by_header()
    secret = session.get(SESSION_KEY)
    if not isinstance(secret, str):
        return NOBODY
    found = db.session.execute(
        select(User, Login.id)
        .join(Login, Login.user_id == User.id)
        .where(Login.id == digest(secret), Login.expires_at > now())
    ).first()
    return CurrentUser.of(found[0], "session", found[1]) if found and found[0].is_active else NOBODY


#: Who asks. Raises ``NoTenantContext`` outside a tenant's context.
current_user: CurrentUser = cast(CurrentUser, LocalProxy(find))


def require(role: str = "member") -> None:
    """Let the request go on only if the one who asks has a role, and a token's scope fits the method.

    :raises LoginRequired: if nobody is logged in.
    :raises Forbidden: if they have not that role, or their token only reads.
    """
    user = find()
    if not user.is_authenticated:
        raise LoginRequired()
    needed = "read" if request.method in SAFE_METHODS else "write"
    if user.via == "token" and needed not in user.scopes:
        raise Forbidden(f"This needs a token with the scope '{needed}', which the one that was sent does not have.")
    if not user.has_role(role):
        raise Forbidden()


def role_required(role: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a view as one for a role: ``@role_required("staff")``."""
    if role not in ROLES:
        raise ValueError(f"'{role}' is not a role; expected one of {', '.join(ROLES)}")

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(view)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            require(role)
            return view(*args, **kwargs)

        return checked

    return decorate


def login_required(view: Callable[P, R]) -> Callable[P, R]:
    """Mark a view as one for those who are logged in."""
    return role_required("member")(view)


def session_required(view: Callable[P, R]) -> Callable[P, R]:
    """Mark a view as one for people at a browser: a token or a password in a header does not open it."""

    @functools.wraps(view)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        require("member")
        if find().via != "session":
            raise Forbidden()
        return view(*args, **kwargs)

    return checked
