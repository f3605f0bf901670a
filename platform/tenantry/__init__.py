"""Tenantry: one Flask product, many customers, one deployment.

For operators and ``wsgi.py``: :class:`Platform`. For authors of blueprints: the current tenant, its database and its
language, and two ways to speak to the app a blueprint is registered on. For tests and tools: :func:`create_app`.
"""

from . import db
from .app import Platform
from .context import current_tenant
from .factory import create_app
from .languages import current_language, gettext, language_name, ngettext, use_language
from .registry import Registry, Tenant
from .tenant_app import TenantApp, add_to_navigation, on_provision

__version__ = "0.1.0"

__all__ = [
    "Platform",
    "Registry",
    "Tenant",
    "TenantApp",
    "add_to_navigation",
    "create_app",
    "current_language",
    "current_tenant",
    "db",
    "gettext",
    "language_name",
    "ngettext",
    "on_provision",
    "use_language",
]
