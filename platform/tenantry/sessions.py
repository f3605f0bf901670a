"""Flask's cookie session, signed with the tenant's own key and bound to the door it came through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, Request, Response, has_request_context, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin

from .errors import BadToken

if TYPE_CHECKING:
    from .registry import Tenant
    from .tenant_app import TenantApp

_PURPOSE = "session"
#: What a cookie's name ends with, after the tenant's slug.
_NAME = "_session"
#: How many cookies of that name are looked at; a visitor may send thousands.
_TRIED = 8
#: What the cookie of a permanent session begins with. Every answer prolongs it, so it has to be told from the others
#: before it is read. It is not a sign of base64 or itsdangerous, and has to agree with what is signed.
_PERMANENT = "~"


class TenantSession(SecureCookieSession):
    """A session that is read from its cookie when it is first used, which many pages never do.

    Flask says that it is used by setting ``accessed``, whoever asks for ``flask.session``.
    """

    def __init__(self, load: Callable[[], Mapping[str, Any]] | None = None) -> None:
        super().__init__()
        self._load = load
        self._accessed = False

    @property
    def accessed(self) -> bool:  # a plain attribute in Flask
        """Whether it was used."""
        return self._accessed

    @accessed.setter
    def accessed(self, value: bool) -> None:
        self._accessed = value
        self.load()

    def load(self) -> None:
        """Read it from its cookie, if that was not done yet."""
        if self._load is not None:
            dict.update(self, self._load())  # not as a change
            self._load = None  # only now, as another thread of this request may be reading too

    @property
    def is_unread(self) -> bool:
        """Whether the visitor sent a session that nobody has read so far."""
        return self._load is not None


class TenantSessionInterface(SecureCookieSessionInterface):
    """Sessions of one tenant.

    The cookie's name is unique to the tenant, so that a browser which sends the cookies of ``/acme`` to ``/acme/eu``
    too cannot make one tenant overwrite another's. Its prefix makes browsers keep it to one host (``__Host-``, at host
    doors) or to https (``__Secure-``, at path doors): RFC 6265bis, section 4.1.3.
    """

    session_class = TenantSession  # type: ignore[assignment]  # which takes how it is read, not what is in it

    def get_cookie_name(self, app: Flask) -> str:
        return name_of_cookie(cast("TenantApp", app).tenant, _NAME, _door())

    def get_cookie_domain(self, app: Flask) -> str | None:
        return None

    def get_cookie_path(self, app: Flask) -> str:
        return _door() or "/"

    def get_cookie_secure(self, app: Flask) -> bool:
        return cast("TenantApp", app).tenant.settings.scheme == "https"

    def get_cookie_samesite(self, app: Flask) -> str:
        return cast(str, app.config["SESSION_COOKIE_SAMESITE"] or "Lax")

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession:
        session = self.open_later(app, request)
        session.load()
        return session

    def open_later(self, app: Flask, request: Request) -> TenantSession:
        """Return the session of a request, to be read when it is used: not before the request's context is pushed."""
        sent = request.environ.get("HTTP_COOKIE")
        if sent is None or not _is_among(cast("TenantApp", app), sent):
            return self.session_class()
        return self.session_class(partial(self._read, app, request))

    def _read(self, app: Flask, request: Request) -> Mapping[str, Any]:
        # A browser may send several of one name, as another tenant's page can set one for a longer path.
        names = [self.get_cookie_name(app), *_former_names(app)]
        for cookie in [cookie for name in names for cookie in request.cookies.getlist(name)[:_TRIED]]:
            try:
                found = dict(cast("TenantApp", app).signer.verify(_PURPOSE, cookie.removeprefix(_PERMANENT)))
            except (BadToken, TypeError, ValueError):
                continue
            if cookie.startswith(_PERMANENT) is bool(found.get("_permanent")):
                return found
        return {}

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if isinstance(session, TenantSession) and session.is_unread:
            self._pass_on(app, session, response)
            return
        if session:
            _keep_private(response)
        if session or session.accessed:
            response.vary.add("Cookie")
        if not session:
            if session.modified:
                self._delete(app, response)
        elif self.should_set_cookie(app, session):
            self._set(app, session, response)

    def _pass_on(self, app: Flask, session: TenantSession, response: Response) -> None:
        """Answer with a page that used no session to a visitor who has one: it is theirs even so."""
        if _PERMANENT in request.environ["HTTP_COOKIE"] and app.config["SESSION_REFRESH_EACH_REQUEST"]:
            session.load()
            self.save_session(app, session, response)
        else:
            _keep_private(response)
            response.vary.add("Cookie")

    def _set(self, app: Flask, session: SessionMixin, response: Response) -> None:
        lifetime = app.permanent_session_lifetime.total_seconds()
        response.set_cookie(
            self.get_cookie_name(app),
            (_PERMANENT if session.permanent else "")
            + cast("TenantApp", app).signer.sign(_PURPOSE, dict(session), lifetime),
            expires=self.get_expiration_time(app, session),
            path=self.get_cookie_path(app),
            secure=self.get_cookie_secure(app),
            httponly=True,
            samesite=self.get_cookie_samesite(app),
            partitioned=self.get_cookie_partitioned(app),
        )
        response.vary.add("Cookie")

    def _delete(self, app: Flask, response: Response) -> None:
        for name in [self.get_cookie_name(app), *_former_names(app)]:
            response.delete_cookie(
                name,
                path=self.get_cookie_path(app),
                secure=self.get_cookie_secure(app),
                httponly=True,
                samesite=self.get_cookie_samesite(app),
                partitioned=self.get_cookie_partitioned(app),
            )
        response.vary.add("Cookie")


def _is_among(app: TenantApp, cookies: str) -> bool:
    """Whether a session may be among the cookies of a request."""
    return f"{app.tenant.slug}{_NAME}" in cookies or any(f"{slug}{_NAME}" in cookies for slug in app.former_slugs)


def _former_names(app: Flask) -> list[str]:
    """Return the names that the cookie had before the tenant was renamed. Its keys are the same, so they still work."""
    tenant = cast("TenantApp", app).tenant
    former = cast("TenantApp", app).former_slugs
    return [name_of_cookie(replace(tenant, slug=slug), _NAME, _door()) for slug in former]


def name_of_cookie(tenant: Tenant, suffix: str, door: str) -> str:
    """Return the name of a cookie that is the tenant's alone; no slug has an underscore, so none begins another.

    :param suffix: what it is for, with an underscore before it.
    :param door: the path prefix that the request came through; empty at a host door.
    """
    name = f"{tenant.slug}{suffix}"
    if tenant.settings.scheme != "https":
        return name
    return f"__Secure-{name}" if door else f"__Host-{name}"


def _keep_private(response: Response) -> None:
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "private"
    elif not response.cache_control.no_store:
        response.cache_control.public = False
        response.cache_control.s_maxage = None
        response.cache_control.private = True


def _door() -> str:
    """Return the path prefix that the current request came through; empty at a host door."""
    return request.root_path.rstrip("/") if has_request_context() else ""
