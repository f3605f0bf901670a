"""The shipped look: base template, stylesheet, error pages, and the safety headers of every response.

It is a blueprint as any other, called ``tenantry`` and served under ``/-/``. So a tenant overlays its files as those of
any blueprint: ``tenants/<slug>/templates/tenantry/base.html``, ``tenants/<slug>/static/tenantry/logo.svg``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, current_app, render_template
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable

from ..context import current_tenant
from ..errors import DatabaseBusy

if TYPE_CHECKING:
    from ..tenant_app import TenantApp

bp = Blueprint("tenantry", __name__, url_prefix="/-", template_folder="templates", static_folder="static")
#: Statuses that get a page in the tenant's look, where the app's own blueprints do not say otherwise.
_PAGES = (400, 403, 404, 405, 413, 429, 500)


@bp.get("/theme.css")
def theme() -> Response:
    """The tenant's colour, as a stylesheet of its own, since the content policy allows no inline style."""
    response = current_app.response_class(f":root {{ --brand: {current_tenant.color}; }}\n", mimetype="text/css")
    response.cache_control.max_age = 300
    return response


def init_app(app: TenantApp) -> None:
    """Give an app the look: its blueprint, and the headers that keep pages safe."""
    app.register_blueprint(bp)
    headers = _safety_headers(app)

    def add_safety_headers(response: Response) -> Response:
        for name, value in headers:
            response.headers.setdefault(name, value)
        return response

    app.after_request(add_safety_headers)


def _safety_headers(app: TenantApp) -> list[tuple[str, str]]:
    headers = [
        ("Content-Security-Policy", app.config["CONTENT_SECURITY_POLICY"]),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "same-origin"),
        ("X-Frame-Options", "DENY"),
    ]
    if app.tenant.settings.scheme == "https":
        headers.append(("Strict-Transport-Security", "max-age=31536000"))
    return headers


def fill_error_handlers(app: TenantApp) -> None:
    """Answer errors in the tenant's look, wherever the app's own blueprints and extensions left that open."""
    handlers = app.error_handler_spec[None]
    caught = handlers[None]
    if Exception not in caught and HTTPException not in caught:
        for status in _PAGES:
            if not handlers[status]:
                app.register_error_handler(status, _error_page)
    if DatabaseBusy not in caught:
        app.register_error_handler(DatabaseBusy, _busy_page)


def _error_page(error: HTTPException) -> Response:
    if isinstance(error, InternalServerError) and isinstance(error.original_exception, DatabaseBusy):
        return _busy_page(error.original_exception)
    response = error.get_response()
    response.data = render_template("tenantry/error.html", error=error)
    response.content_type = "text/html; charset=utf-8"
    return response  # type: ignore[return-value]  # Werkzeug's class where there is no request, else Flask's


def _busy_page(error: DatabaseBusy) -> Response:
    return _error_page(ServiceUnavailable(str(error), retry_after=1))
