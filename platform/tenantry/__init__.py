"""Tenantry: one Flask product, many customers, one deployment.

For operators and ``wsgi.py``: :class:`Platform`. For authors of blueprints: the current tenant, its database and its
language, and two ways to speak to the app a blueprint is registered on. For tests and tools: :func:`create_app`.
"""

from . import cache, db
from .api import ApiException, ApiResult, dataschema, paginate
from .app import Platform
from .context import current_tenant
from .dates import format_date, format_datetime, format_number, format_timedelta, today
from .factory import create_app
from .imports import lazy_view
from .languages import (
    current_language,
    gettext,
    language_name,
    ngettext,
    npgettext,
    pgettext,
    speaking,
    use_language,
)
from .neutralising import on_neutralise
from .registry import Registry, Tenant
from .tenant_app import TenantApp, add_to_navigation, on_provision
from .users.current import current_user, login_required, role_required

__version__ = "0.1.0"

__all__ = [
    "ApiException",
    "ApiResult",
    "Platform",
    "Registry",
    "Tenant",
    "TenantApp",
    "add_to_navigation",
    "api",
    "cache",
    "create_app",
    "current_language",
    "current_tenant",
    "current_user",
    "dataschema",
    "db",
    "errors",
    "events",
    "exporting",
    "format_date",
    "format_datetime",
    "format_number",
    "format_timedelta",
    "forms",
    "gettext",
    "jobs",
    "language_name",
    "lazy_view",
    "login_required",
    "mail",
    "ngettext",
    "npgettext",
    "on_neutralise",
    "on_provision",
    "organizations",
    "paginate",
    "pgettext",
    "role_required",
    "services",
    "signing",
    "speaking",
    "times",
    "today",
    "uploads",
    "use_language",
    "users",
]
