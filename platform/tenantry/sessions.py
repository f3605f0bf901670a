"""Flask's cookie session, signed with the tenant's own key and bound to the door it came through."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import Flask, Request, Response, has_request_context, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin

from .errors import BadToken

if TYPE_CHECKING:
    from .tenant_app import TenantApp

_PURPOSE = "session"


class TenantSessionInterface(SecureCookieSessionInterface):
    """Sessions of one tenant. One object serves all apps, as it holds nothing of any.

    The cookie's name is unique to the tenant, so that a browser which sends the cookies of ``/acme`` to ``/acme/eu``
    too cannot make one tenant overwrite another's. Its prefix makes browsers keep it to one host (``__Host-``, at host
    doors) or to https (``__Secure-``, at path doors): RFC 6265bis, section 4.1.3.
    """

    def get_cookie_name(self, app: Flask) -> str:
        name = f"{cast('TenantApp', app).tenant.slug}_session"
        if not self.get_cookie_secure(app):
            return name
        return f"__Secure-{name}" if _door() else f"__Host-{name}"

    def get_cookie_domain(self, app: Flask) -> str | None:
        return None

    def get_cookie_path(self, app: Flask) -> str:
        return _door() or "/"

    def get_cookie_secure(self, app: Flask) -> bool:
        return cast("TenantApp", app).tenant.settings.scheme == "https"

    def get_cookie_samesite(self, app: Flask) -> str:
        return cast(str, app.config["SESSION_COOKIE_SAMESITE"] or "Lax")

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession:
        # A browser may send several of one name, as another tenant's page can set one for a longer path.
        for cookie in request.cookies.getlist(self.get_cookie_name(app)):
            try:
                return self.session_class(cast("TenantApp", app).signer.verify(_PURPOSE, cookie))
            except (BadToken, TypeError, ValueError):
                continue
        return self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if session:
            _keep_private(response)
        if session or session.accessed:
            response.vary.add("Cookie")
        if not session:
            if session.modified:
                self._delete(app, response)
        elif self.should_set_cookie(app, session):
            self._set(app, session, response)

    def _set(self, app: Flask, session: SessionMixin, response: Response) -> None:
        lifetime = app.permanent_session_lifetime.total_seconds()
        response.set_cookie(
            self.get_cookie_name(app),
            cast("TenantApp", app).signer.sign(_PURPOSE, dict(session), lifetime),
            expires=self.get_expiration_time(app, session),
            path=self.get_cookie_path(app),
            secure=self.get_cookie_secure(app),
            httponly=True,
            samesite=self.get_cookie_samesite(app),
            partitioned=self.get_cookie_partitioned(app),
        )
        response.vary.add("Cookie")

    def _delete(self, app: Flask, response: Response) -> None:
        response.delete_cookie(
            self.get_cookie_name(app),
            path=self.get_cookie_path(app),
            secure=self.get_cookie_secure(app),
            httponly=True,
            samesite=self.get_cookie_samesite(app),
            partitioned=self.get_cookie_partitioned(app),
        )
        response.vary.add("Cookie")


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
