"""Links in mails: made from the tenant's configured door, and never from what a request says its host is.

Whoever asks for somebody else's mail, as with "forgot password", chooses the Host field of that request.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from werkzeug.routing import BuildError

from ..context import current_tenant_app

#: What of ``url_for`` is always the same here.
_IDLE = ("_external", "_scheme", "_method")
#: What stands in an anchor as it is, as Flask has it.
_PLAIN = "%!#$&'()*+,/:;=?@"


def link(endpoint: str, /, *, _anchor: str | None = None, **values: Any) -> str:
    """Return the absolute address of a page at the tenant's canonical door.

    :param endpoint: in full, as ``notes.index``: a mail has no blueprint around it, by which ``.index`` were known.
    :param values: what the address is made of. What ``url_for`` takes beside these, ``_external``, ``_scheme`` and
        ``_method``, changes nothing here.
    :raises NoTenantContext: outside a tenant's context.
    :raises werkzeug.routing.BuildError: if there is no such page.
    """
    app = current_tenant_app("mail.link")
    values = {name: value for name, value in values.items() if name not in _IDLE}
    app.inject_url_defaults(endpoint, values)
    adapter = app.create_url_adapter(None)
    assert adapter is not None  # Flask's gives none where SERVER_NAME is not known; ours always knows
    try:
        address = adapter.build(endpoint, values, method=None, force_external=True)
    except BuildError as error:
        return app.handle_url_build_error(error, endpoint, {**values, "_anchor": _anchor})
    return address if _anchor is None else f"{address}#{quote(_anchor, safe=_PLAIN)}"


def home() -> str:
    """Return the address of the tenant's canonical door, with a slash at its end."""
    return f"{current_tenant_app('mail.home').home}/"
