"""The shipped look: base template, stylesheet, and the safety headers of every response.

It is a blueprint as any other, called ``tenantry`` and served under ``/-/``. So a tenant overlays its files as those of
any blueprint: ``tenants/<slug>/templates/tenantry/base.html``, ``tenants/<slug>/static/tenantry/logo.svg``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, current_app

from ..context import current_tenant
from ..error_pages import ANSWERS
from .colours import theme_of

if TYPE_CHECKING:
    from ..tenant_app import TenantApp

bp = Blueprint("tenantry", __name__, url_prefix="/-", template_folder="templates", static_folder="static")


@bp.get("/theme.css")
def theme() -> Response:
    """The tenant's colour, as a stylesheet of its own, since the content policy allows no inline style."""
    response = current_app.response_class(theme_of(current_tenant.color), mimetype="text/css")
    response.cache_control.max_age = 300
    return response


def init_app(app: TenantApp) -> None:
    """Give an app the look: its blueprint, and the headers that keep pages safe."""
    app.register_blueprint(bp)
    app.safety_headers += _safety_headers(app)
    for kind, answer in ANSWERS.items():
        app.register_error_handler(kind, answer)


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
