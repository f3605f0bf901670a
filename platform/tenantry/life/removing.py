"""Removing a tenant that is archived: a last backup, its table, and then all that it has."""

from __future__ import annotations

import time
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..backups import back_up, default_folder
from ..backups.keeping import place_for
from ..closing import closing, nobody_in, note_of
from ..editing import editing
from ..errors import StateError
from ..generations import Generation
from ..holding import deed_file
from ..registry import Tenant
from .making import settings_of
from .places import remove_state, remove_traces
from .renaming import replace_elsewhere

#: The command, as its note names it.
TASK = "remove"


@dataclass(frozen=True, slots=True)
class Removed:
    """What became of a tenant.

    :ivar generation: the first one without it.
    :ivar backup: its last backup; ``None`` if it never had a database.
    """

    generation: Generation
    backup: Path | None


def check_removable(file: Path, slug: str) -> None:
    """Look whether a tenant may be removed, or its removal was cut short.

    :raises UnknownTenant: if there is no such tenant.
    :raises StateError: if it is not archived.
    """
    note = note_of(settings_of(file), slug)
    with editing(file) as editor:
        if slug in editor.registry or note is None or note.task != TASK:
            _check_archived(editor.registry[slug])


def remove(file: Path, slug: str) -> Removed:
    """Remove a tenant; or finish that, where it was cut short.

    :param file: tenants.toml.
    :raises UnknownTenant: if there is no such tenant.
    :raises StateError: if it is not archived, or another process has its database open.
    :raises BadArchive: if its backup could not be restored. Nothing is removed then.
    """
    check_removable(file, slug)
    tenant = Tenant(slug, settings_of(file))
    was_begun = note_of(tenant.settings, slug) is not None  # after the backup was taken
    backup = None if was_begun else _back_up(file, tenant)
    with closing(tenant.settings, slug, TASK, backup=str(backup or "")) as task, nobody_in(tenant):
        generation = _take_out(file, slug)
        task.reach(backup=str(backup or task.details["backup"]))
        remove_state(tenant)
        if task.details["backup"]:
            remove_traces(tenant)
    return Removed(generation, Path(task.details["backup"]) if task.details["backup"] else None)


def _check_archived(tenant: Tenant) -> None:
    if tenant.status != "archived":
        raise StateError(
            f"'{tenant.slug}' is {tenant.status}; expected one that is archived. That can be undone, so do it first: "
            f"tenantry archive {tenant.slug}"
        )


def _back_up(file: Path, tenant: Tenant) -> Path | None:
    """Take the last backup, unless there never was a database."""
    with editing(file) as editor:
        table = tomllib.loads(editor.table(tenant.slug))["tenants"][tenant.slug]
    if not tenant.database_file.exists() and not deed_file(tenant).exists():
        return None
    folder = default_folder(tenant.settings)
    while place_for(folder, tenant.slug, datetime.now(UTC), is_encrypted=False).exists():
        time.sleep(0.05)  # a run of this second was cut short, or somebody else was as quick
    return back_up(tenant, table, folder).path


def _take_out(file: Path, slug: str) -> Generation:
    """Take a tenant out of the file, and out of what others say of it."""
    with editing(file) as editor:
        if slug not in editor.registry:
            return editor.save()
        _check_archived(editor.registry[slug])
        changed = replace_elsewhere(editor, slug, None)
        editor.remove(slug)
        return editor.save(slug, *changed)
