"""What a look at the file alone cannot tell: whether everything that it names is there and fits together.

An app is put together for each distinct shape of tenant, and thrown away. Nothing is written: no database is touched,
and no key ring is made.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator
from pathlib import Path
from uuid import UUID

from .app import Platform
from .errors import BadSetup, Problem, explain
from .factory import assemble
from .keys import Key, KeyRing
from .registry import Registry, Tenant
from .tenant_app import TenantApp

_NO_DEED = UUID(int=0)


def dry_platform(registry: Registry) -> Platform:
    """Return a platform that is for looking only: with keys of its own, which are never written."""
    return Platform(registry, KeyRing(registry.settings.key_file, (Key.new(0.0),)))


def dry_app(platform: Platform, tenant: Tenant) -> TenantApp:
    """Return a tenant's app without its database, to look at what it is made of."""
    return assemble(platform, tenant, _NO_DEED)


def problems_of(registry: Registry) -> list[Problem]:
    """Return what is wrong beyond the file: the state folder, imports, features, overrides, overlays, languages."""
    platform = dry_platform(registry)
    found: dict[Hashable, Problem] = {}
    name = registry.settings.file.name
    for message in _unwritable(registry.settings.state_dir):
        found[message] = Problem(name, "platform.state_dir", message)
    for tenant in {_shape(tenant): tenant for tenant in reversed(list(registry.values()))}.values():
        for key, message in _mistakes(platform, tenant):
            found.setdefault(key, Problem(name, f"tenants.{tenant.slug}", message))
    return list(found.values())


def _mistakes(platform: Platform, tenant: Tenant) -> Iterator[tuple[Hashable, str]]:
    """Give each mistake, and whose it is: a wrong override is the tenant's own, a broken import is everybody's."""
    known = platform.catalogues.languages
    for code in tenant.languages:
        if code not in known:
            message = f"there is no catalogue for the language '{code}'; there are {', '.join(sorted(known))}"
            yield (tenant.languages, message), message
    try:
        dry_app(platform, tenant)
    except Exception as error:
        message = explain(error)
        yield (tenant.slug if isinstance(error, BadSetup) else "", message), message


def _unwritable(folder: Path) -> Iterator[str]:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "cannot be written to" if there.is_dir() else "is not a folder"
        yield f"'{folder}' cannot be used, as {there} {why}. Give it to the user that runs Tenantry, or name another."


def _shape(tenant: Tenant) -> Hashable:
    """Return what decides how a tenant's app is put together. Equal tables are one object, from the loader on."""
    own = tenant.slug if tenant.folder.is_dir() else ""
    return (own, tenant.features, tenant.sections, tenant.languages, id(tenant.overrides), id(tenant.config))
