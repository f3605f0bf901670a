"""The current tenant: known inside a tenant's app context and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import current_app, has_app_context
from werkzeug.local import LocalProxy

from .errors import NoTenantContext

if TYPE_CHECKING:
    from .registry import Tenant
    from .tenant_app import TenantApp


def current_tenant_app(name: str) -> TenantApp:
    """Return the current tenant's app.

    :param name: what was used, for the error.
    :raises NoTenantContext: outside a tenant's context.
    """
    app = current_app._get_current_object() if has_app_context() else None  # type: ignore[attr-defined]  # a LocalProxy
    if app is None or getattr(app, "tenant", None) is None:
        raise NoTenantContext(name)
    return cast("TenantApp", app)


#: The tenant of the current context, with its deed. Raises ``NoTenantContext`` outside of one.
current_tenant: Tenant = cast("Tenant", LocalProxy(lambda: current_tenant_app("current_tenant").tenant))
