"""Renaming a tenant: its folders and its table in the file get another name, its identity stays.

So log-ins, tokens, links and jobs that wait go on. It is closed meanwhile, and nobody has its database open.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..backups.contents import rename_views
from ..closing import Task, back_to_wal, check_nobody_at_work, closing, nobody_in, note_of
from ..doors import check_slug
from ..editing import PLATFORM, Editor, editing
from ..errors import StateError
from ..files import make_private_folder, remove_folder, write_state_file
from ..generations import Generation
from ..holding import read_deed
from ..registry import Settings, Tenant
from ..sqlite import FORMER_FILE
from .making import settings_of
from .places import claim_of, has_content, mails_of

#: The command, as its note names it.
TASK = "rename"


def rename(file: Path, slug: str, new: str, path: str | None = None) -> Generation:
    """Give a tenant another slug, and put that into force; or finish that, where it was cut short.

    :param file: tenants.toml.
    :param path: another path door, where it is to have one.
    :raises UnknownTenant: if there is no such tenant.
    :raises ConfigError: if it would be refused. Nothing is changed then.
    :raises StateError: if something is there under the new slug, or another process has the tenant's database open.
    """
    settings = settings_of(file)
    check_nobody_at_work(settings, slug)
    _check(file, settings, slug, new, path)
    old, named = Tenant(slug, settings), Tenant(new, settings)
    asked = {"old": slug, "new": new, "path": path}
    with closing(settings, slug, TASK, **asked) as task, closing(settings, new, TASK, **asked) as other:
        if not (task.resumed or other.resumed):
            _check_accepted(file, slug, new, path)  # once more, as another run may just have done it
            _check_free(named)
        with nobody_in(old):
            task.reach()
            other.reach()
            try:
                _move(old, named)
                generation = _put_into_force(file, task)
            except BaseException:
                _move_back(old, named)
                task.keep = other.keep = False
                raise
        if named.database_file.exists():
            back_to_wal(named.database_file)
    return generation


def _check(file: Path, settings: Settings, slug: str, new: str, path: str | None) -> None:
    """Look whether it would be accepted, before the tenant is closed."""
    try:
        check_slug(new)
    except ValueError as error:
        raise StateError(str(error)) from None
    note = note_of(settings, slug)
    if note is not None and note.task == TASK:
        if note.details["new"] != new:
            raise StateError(
                f"'{slug}' was being renamed to '{note.details['new']}' when that was cut short. Finish it first: "
                f"tenantry rename {slug} {note.details['new']}"
            )
        return
    _check_accepted(file, slug, new, path)


def _check_accepted(file: Path, slug: str, new: str, path: str | None) -> None:
    with editing(file) as editor:
        editor.registry[slug]
        if new in editor.registry:
            raise StateError(f"There is a tenant '{new}' already. Choose another slug.")
        editor.checked(*_change(editor, slug, new, path))


def _check_free(named: Tenant) -> None:
    for place in (named.state, named.folder, mails_of(named)):
        if has_content(place):
            raise StateError(f"There is {place} already. Choose another slug, or move it away.")


def _change(editor: Editor, slug: str, new: str, path: str | None) -> list[str]:
    """Change the files, and return what is then different in them."""

    def change(table: Any) -> None:
        rename_views(table, slug, new)
        if path is not None:
            table["path"] = path

    editor.change(slug, change)
    editor.rename(slug, new)
    return [slug, new, *replace_elsewhere(editor, slug, new)]


def replace_elsewhere(editor: Editor, slug: str, new: str | None) -> list[str]:
    """Where other tables name a tenant, put its new name there, or take it out. Return which have changed."""
    changed = []
    for other in editor.registry.values():
        if slug in other.partners:
            editor.change(other.slug, lambda table: _replace_in(table["partners"], slug, new))
            changed.append(other.slug)
    if slug in editor.registry.settings.warm and not isinstance(editor.registry.settings.warm, str):
        editor.change_platform(lambda table: _replace_in(table["warm"], slug, new))
        changed.append(PLATFORM)
    return changed


def _replace_in(names: Any, slug: str, new: str | None) -> None:
    place = list(names).index(slug)
    if new is None:
        del names[place]
    else:
        names[place] = new


def _pairs(old: Tenant, named: Tenant) -> list[tuple[Path, Path]]:
    """Return what is moved where. The overlay first, which may be in a folder that this user may not change."""
    return [(old.folder, named.folder), (mails_of(old), mails_of(named)), (old.state, named.state)]


def _move(old: Tenant, named: Tenant) -> None:
    make_private_folder(old.state.parent)
    _note_former(old)
    for source, target in _pairs(old, named):
        _move_one(source, target)
    _claim(named)


def _move_back(old: Tenant, named: Tenant) -> None:
    """Undo what was moved.

    :raises StateError: if something is at both places, as then nobody but a person can tell which one is the tenant's.
    """
    for source, target in _pairs(old, named):
        if has_content(source) and has_content(target):
            raise StateError(
                f"There is {source} and {target}; expected only one of them, the one that was '{old.slug}' all along. "
                f"Move the other one away, then run this again: tenantry rename {old.slug} {named.slug}"
            )
    for source, target in reversed(_pairs(old, named)):
        if not has_content(source):
            _move_one(target, source)
    _claim(old)


def _move_one(source: Path, target: Path) -> None:
    try:
        if not (has_content(source) or source.is_symlink()):
            return remove_folder(source)  # a lock alone need not stay
        if target.is_dir() and not has_content(target):
            remove_folder(target)
        os.rename(source, target)
    except OSError as error:
        raise StateError(f"{source} cannot be renamed to {target} ({error.strerror}).") from None


def _note_former(old: Tenant) -> None:
    """Note the name by which browsers know the tenant's cookies; see :class:`~tenantry.provisioning.Possession`."""
    if old.database_file.exists():
        note = old.state / FORMER_FILE
        names = note.read_text().split() if note.exists() else []
        if old.slug not in names:
            write_state_file(note, "".join(f"{name}\n" for name in [old.slug, *names]).encode())


def _claim(tenant: Tenant) -> None:
    """Write down whose the deed is now, by which jobs that wait find the tenant."""
    if (deed := read_deed(tenant.state)) is not None:
        claim = claim_of(tenant.settings, deed)
        make_private_folder(claim.parent)
        write_state_file(claim, f"{tenant.slug}\n".encode())


def _put_into_force(file: Path, task: Task) -> Generation:
    slug, new = task.details["old"], task.details["new"]
    with editing(file) as editor:
        if slug not in editor.registry:
            return editor.save()
        return editor.save(*_change(editor, slug, new, task.details["path"]))
