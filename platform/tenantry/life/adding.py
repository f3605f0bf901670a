"""Adding a tenant: its database, tables, deed and first content, then its table in the file."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..app import Platform
from ..closing import Task, note_of
from ..editing import editing
from ..generations import Generation
from ..provisioning import provision
from ..registry import Tenant
from .adopting import drop_table
from .making import make, settings_of

#: The command, as its note names it.
TASK = "add"
#: Does what else is wanted of what was asked for, before anybody can reach the tenant.
Finish = Callable[[Platform, Mapping[str, Any]], None]


def add(file: Path, slug: str, asked: Mapping[str, Any], finish: Finish) -> Generation:
    """Add a tenant, and put it into force; or finish that, where it was cut short.

    :param file: tenants.toml.
    :param asked: see :func:`~tenantry.life.making.make`.
    :param finish: may be run again, by the next run.
    :raises TenantryError: if it cannot be made. All that was made is taken back then.
    """

    def equip(platform: Platform, task: Task) -> None:
        if provision(platform, platform.registry[slug]) == "ready":  # by a run that was cut short, or adopted
            platform.tenant_app(slug)
        finish(platform, task.details)

    generation = make(file, slug, TASK, asked, equip)
    drop_table(Tenant(slug, settings_of(file)))
    return generation


def is_added(file: Path, slug: str, table: Mapping[str, Any], *, adopt: bool) -> bool:
    """Whether a tenant is there just as it was asked for, as where a run was killed at its very end.

    :param adopt: whether the tenant may have other keys beside, of the table that was kept of it.
    """
    with editing(file) as editor:
        if slug not in editor.registry or note_of(settings_of(file), slug) is not None:
            return False
        there: dict[str, Any] = tomllib.loads(editor.table(slug))["tenants"][slug]
    return there.items() >= table.items() if adopt else there == table


def finish_added(file: Path, slug: str, asked: Mapping[str, Any], finish: Finish) -> Generation:
    """Do what is left to do for a tenant of which :func:`is_added` holds.

    :raises TenantryError: if it cannot be done. The tenant stays then.
    """
    with editing(file) as editor:
        generation = editor.save()
        platform = Platform(editor.registry)
    try:
        finish(platform, asked)
    finally:
        platform.databases.close_idle()
    drop_table(Tenant(slug, settings_of(file)))
    return generation
