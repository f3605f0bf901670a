"""The shipped look: base template, stylesheet, and the safety headers of every response.

It is a blueprint as any other, called ``tenantry`` and served under ``/-/``. So a tenant overlays its files as those of
any blueprint: ``tenants/<slug>/templates/tenantry/base.html``, ``tenants/<slug>/static/tenantry/logo.svg``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, current_app

from ..context import current_tenant
from ..error_pages import BAD_BODIES, bad_body, busy_page, full_page
from ..errors import DatabaseFull, DatabaseUnavailable

if TYPE_CHECKING:
    from ..tenant_app import TenantApp

bp = Blueprint("tenantry", __name__, url_prefix="/-", template_folder="templates", static_folder="static")


@bp.get("/theme.css")
def theme() -> Response:
    """The tenant's colour, as a stylesheet of its own, since the content policy allows no inline style."""
    color = current_tenant.color
    text = f":root {{ --brand: {color}; --on-brand: {_readable_on(color)}; }}\n"
    response = current_app.response_class(text, mimetype="text/css")
    response.cache_control.max_age = 300
    return response


def _readable_on(color: str) -> str:
    """Return black or white, whichever has more contrast to a colour (WCAG 2.2, relative luminance)."""
    parts = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff"


def init_app(app: TenantApp) -> None:
    """Give an app the look: its blueprint, and the headers that keep pages safe."""
    app.register_blueprint(bp)
    app.safety_headers += _safety_headers(app)
    app.register_error_handler(DatabaseUnavailable, busy_page)
    app.register_error_handler(DatabaseFull, full_page)
    for kind in BAD_BODIES:
        app.register_error_handler(kind, bad_body)


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
