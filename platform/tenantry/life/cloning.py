"""Cloning a tenant while it is served: its database, files and overlay as they are at one moment, made harmless."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit

from ..app import Platform
from ..backups.contents import copy_files, files_below, rename_views
from ..backups.databases import bring_up_to_date
from ..backups.drafts import draft
from ..backups.taking import copy_tenant
from ..closing import Task
from ..editing import Editor
from ..errors import StateError
from ..files import bring_all_to_disk, remove_folder, write_state_file
from ..generations import Generation
from ..neutralising import neutralise
from ..registry import Tenant
from ..secret_names import take_out_secrets
from ..sqlite import DEED_FILE
from .making import make

#: The command, as its note names it.
TASK = "clone"
#: Keys that are about the tenant's place in the world.
_OF_ITS_OWN = ("title", "path", "hosts", "partners", "status", "cors_origins")


def clone(file: Path, slug: str, asked: Mapping[str, Any]) -> Generation:
    """Make a copy of a tenant, and put it into force; or finish that, where it was cut short.

    :param file: tenants.toml.
    :param slug: of the copy.
    :param asked: the ``source``, whether to ``anonymise`` it, and see :func:`~tenantry.life.making.make`.
    :raises TenantryError: if it cannot be made. All that was made is taken back then.
    """

    def equip(platform: Platform, task: Task) -> None:
        source, copy = platform.registry[task.details["source"]], platform.registry[slug]
        with draft(copy.settings, "clone", slug) as work:
            if not copy.database_file.exists():
                _copy(platform, source, copy, work, anonymise=task.details["anonymise"])
        platform.tenant_app(slug)

    return make(file, slug, TASK, asked, equip)


def cloned_table(editor: Editor, source: str, slug: str, own: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the table of a copy as TOML, and the names of the configuration that it does not get.

    It has the comments of the source's, and no mail server.

    :param own: what the copy has otherwise, as its doors.
    :raises UnknownTenant: if there is no such tenant.
    """
    document = tomlkit.parse(editor.table(source))
    table: Any = document["tenants"][source]
    rename_views(table, source, slug)
    for key in _OF_ITS_OWN:
        table.pop(key, None)
    config = table.setdefault("config", tomlkit.table())
    left_out = take_out_secrets(config)  # with them it could act as the tenant elsewhere
    config["MAIL_SERVER"] = ""
    made = tomlkit.document()
    made["tenants"] = tomlkit.table(is_super_table=True)
    made["tenants"][slug] = tomlkit.table()
    for key, value in [*own.items(), *table.items()]:
        made["tenants"][slug][key] = value
    return tomlkit.dumps(made), left_out


def _copy(platform: Platform, source: Tenant, copy: Tenant, work: Path, *, anonymise: bool) -> None:
    """Copy a tenant beside the place of the copy, and move it there whole, its database last."""
    if not source.database_file.exists():
        raise StateError(f"'{source.slug}' has no database yet, so there is nothing to clone.")
    copy_tenant(source, work)
    state = work / "state"
    bring_up_to_date(platform, state / copy.database_file.name)
    deed = neutralise(platform, state / copy.database_file.name, anonymise=anonymise)
    write_state_file(state / DEED_FILE, f"{deed}\n".encode())
    _part_from_source(state)
    bring_all_to_disk(state)
    _copy_overlay(work / "overlay", copy)
    remove_folder(copy.state)
    copy.state.parent.mkdir(mode=0o700, exist_ok=True)
    state.rename(copy.state)


def _part_from_source(folder: Path) -> None:
    """Make a second name of a file of the source's, as uploads have, a file of its own."""
    for _, path in files_below(folder):
        if path.stat().st_nlink > 1:
            own = path.with_name(f".{path.name}.own")
            shutil.copyfile(path, own)
            own.chmod(0o600)
            own.replace(path)


def _copy_overlay(overlay: Path, copy: Tenant) -> None:
    if not overlay.is_dir():
        return
    ready = copy.folder.with_name(f".{copy.slug}.new")
    try:
        remove_folder(ready)
        remove_folder(copy.folder)  # of a run that was cut short
        copy_files(overlay, ready, mode=0o755)
        bring_all_to_disk(ready)
        ready.rename(copy.folder)
    except OSError as error:
        raise StateError(f"The folder {copy.folder} cannot be made ({error.strerror}).") from None
