"""What a look at the file alone cannot tell: whether everything that it names is there and fits together.

An app is put together for each distinct shape of tenant, without touching any database, and thrown away.
"""

from __future__ import annotations

from collections.abc import Hashable
from uuid import UUID

from .app import Platform
from .errors import Problem, explain
from .factory import assemble
from .registry import Registry, Tenant

_NO_DEED = UUID(int=0)


def problems_of(registry: Registry) -> list[Problem]:
    """Return what is wrong beyond the file itself: imports, features, overrides, overlays, languages."""
    platform = Platform(registry)
    found: dict[str, Problem] = {}
    for tenant in {_shape(tenant): tenant for tenant in reversed(list(registry.values()))}.values():
        for message in _mistakes(platform, tenant):
            found.setdefault(message, Problem(registry.settings.file.name, f"tenants.{tenant.slug}", message))
    return list(found.values())


def _mistakes(platform: Platform, tenant: Tenant) -> list[str]:
    unknown = [language for language in tenant.languages if language not in platform.catalogues.languages]
    known = ", ".join(sorted(platform.catalogues.languages))
    messages = [f"there is no catalogue for the language '{code}'; there are {known}" for code in unknown]
    try:
        assemble(platform, tenant, _NO_DEED)
    except Exception as error:
        messages.append(explain(error))
    return messages


def _shape(tenant: Tenant) -> Hashable:
    """Return what decides how a tenant's app is put together; a tenant with things of its own is a shape of its own."""
    own = tenant.slug if tenant.overrides or tenant.config or tenant.folder.is_dir() else ""
    return (own, tenant.features, tenant.sections, tenant.languages)
