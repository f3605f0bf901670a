"""Links in mails: made from the tenant's configured door, and never from what a request says its host is.

Whoever asks for somebody else's mail, as with "forgot password", chooses the Host field of that request.
"""

from __future__ import annotations

from typing import Any

from werkzeug.routing import BuildError, MapAdapter

from ..context import current_tenant_app


def link(endpoint: str, /, *, _anchor: str | None = None, **values: Any) -> str:
    """Return the absolute address of a page at the tenant's canonical door. Takes what ``url_for`` takes.

    :raises NoTenantContext: outside a tenant's context.
    :raises werkzeug.routing.BuildError: if there is no such page.
    """
    app = current_tenant_app("mail.link")
    values = {name: value for name, value in values.items() if name not in ("_external", "_scheme")}
    app.inject_url_defaults(endpoint, values)
    try:
        address = _home_of_current_tenant("mail.link").build(endpoint, values, method=None, force_external=True)
    except BuildError as error:
        return app.handle_url_build_error(error, endpoint, {**values, "_anchor": _anchor})
    return f"{address}#{_anchor}" if _anchor else address


def home() -> str:
    """Return the address of the tenant's canonical door, with a slash at its end."""
    adapter = _home_of_current_tenant("mail.home")
    return f"{adapter.url_scheme}://{adapter.server_name}{adapter.script_name.rstrip('/')}/"


def _home_of_current_tenant(name: str) -> MapAdapter:
    adapter = current_tenant_app(name).create_url_adapter(None)
    assert adapter is not None  # Flask's gives none where SERVER_NAME is not known; ours always knows
    return adapter
