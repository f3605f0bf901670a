"""Adding a tenant: its database, tables, deed and first content, then its table in the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..app import Platform
from ..closing import Task
from ..generations import Generation
from ..provisioning import provision
from .making import make

#: The command, as its note names it.
TASK = "add"


def add(file: Path, slug: str, asked: Mapping[str, Any], finish: Callable[[Platform, Task], None]) -> Generation:
    """Add a tenant, and put it into force; or finish that, where it was cut short.

    :param file: tenants.toml.
    :param asked: see :func:`~tenantry.life.making.make`.
    :param finish: does what else is wanted, before anybody can reach the tenant.
    :raises TenantryError: if it cannot be made. All that was made is taken back then.
    """

    def equip(platform: Platform, task: Task) -> None:
        if provision(platform, platform.registry[slug]) == "ready":  # by a run that was cut short, or adopted
            platform.tenant_app(slug)
        finish(platform, task)

    return make(file, slug, TASK, asked, equip)
