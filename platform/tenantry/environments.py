"""Flask configuration by environment. ``TENANTRY_ENV`` chooses; production where it says nothing."""

from __future__ import annotations

import os

from flask.helpers import get_debug_flag


class Production:
    """What every environment starts from."""

    DEBUG = False  # whatever FLASK_DEBUG says
    SESSION_COOKIE_SAMESITE = "Lax"
    SESSION_COOKIE_HTTPONLY = True
    MAX_FORM_PARTS = 1000
    MAX_FORM_MEMORY_SIZE = 2 * 1024 * 1024  # bytes of a form without its files
    #: No inline script or style, nothing from elsewhere, no frame around the page.
    CONTENT_SECURITY_POLICY = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


class Development(Production):
    """Edits of templates are seen at once; static files are not cached. 'tenantry run' adds the debugger."""

    DEBUG = get_debug_flag()
    TEMPLATES_AUTO_RELOAD = True
    SEND_FILE_MAX_AGE_DEFAULT = 0


class Testing(Production):
    """Errors reach the test instead of becoming pages."""

    TESTING = True


BY_NAME: dict[str, type[Production]] = {"production": Production, "development": Development, "testing": Testing}


def public_port(environment: str) -> int | None:
    """Return the port of links made outside a request: what ``TENANTRY_PORT`` says; in development, else ``PORT``.

    Elsewhere ``PORT`` is the one behind the proxy, which visitors do not use.
    """
    port = os.environ.get("TENANTRY_PORT", "")
    if not port and environment == "development":
        port = os.environ.get("PORT", "")
    return int(port) if port.isdigit() else None
