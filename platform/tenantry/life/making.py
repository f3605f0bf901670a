"""Making a tenant: everything that it needs is there and was tried before its table is in the file.

An error takes back all that was made. A command that was killed leaves its note, and goes on from there when it is run
again; nobody can reach the tenant meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..app import Platform
from ..checking import of_command
from ..closing import Task, check_nobody_at_work, closing, note_of
from ..doors import check_slug
from ..editing import editing
from ..errors import ConfigError, StateError, TenantClosed
from ..files import remove_folder
from ..generations import Generation, state_dir_of
from ..registry import Registry, Settings, Tenant
from .places import has_content, remove_state

#: Makes what a tenant needs, in steps that can be taken again.
Equip = Callable[[Platform, Task], None]


def make(file: Path, slug: str, task: str, asked: Mapping[str, Any], equip: Equip) -> Generation:
    """Make a tenant, and put it into force.

    :param file: tenants.toml.
    :param task: the command.
    :param asked: what it was asked for: the tenant's ``table``, the ``file`` that gets it, ``adopt`` if it is made of
        what is there under its slug, and ``source`` if its overlay is made too. Where a run was cut short, what that
        was asked for holds instead.
    :raises ConfigError: if its table would be refused. Nothing is made then.
    :raises StateError: if there is such a tenant, or something of an earlier one.
    """
    begun(file, slug, task)
    tenant = Tenant(slug, settings_of(file))
    with closing(tenant.settings, slug, task, **asked) as work:
        if not work.resumed:
            _check_new(file, slug)  # another command may have made it while this one waited
            _check_free(tenant, work.details)
        try:
            platform = of_command(Platform(_planned(file, slug, work.details)))
            try:
                equip(platform, work)
            finally:
                platform.databases.close_idle()
            return _put_into_force(file, slug, work.details)
        except BaseException:
            _take_back(tenant, work.details)
            work.keep = False
            raise


def begun(file: Path, slug: str, task: str) -> Mapping[str, Any] | None:
    """Return what a run that was cut short was asked for; ``None`` where there was none, and the slug is free.

    :raises StateError: if it cannot be a slug, there is such a tenant, or another command is at work on it.
    :raises TenantClosed: if another command was cut short, and has to be finished first.
    """
    try:
        check_slug(slug)
    except ValueError as error:
        raise StateError(str(error)) from None
    settings = settings_of(file)
    check_nobody_at_work(settings, slug)
    note = note_of(settings, slug)
    if note is not None and note.task != task:
        raise TenantClosed(slug, note.task)
    if note is None:
        _check_new(file, slug)
    return note.details if note else None


def _check_new(file: Path, slug: str) -> None:
    with editing(file) as editor:
        if slug in editor.registry:
            status = editor.registry[slug].status
            raise StateError(f"There is a tenant '{slug}' already; its status is {status}. Choose another slug.")


def settings_of(file: Path) -> Settings:
    """Return where a configuration has its state."""
    return Settings(file=file, state_dir=state_dir_of(file))


def _check_free(tenant: Tenant, asked: Mapping[str, Any]) -> None:
    if has_content(tenant.state) and not asked.get("adopt"):
        raise StateError(
            f"There is the state of an earlier tenant '{tenant.slug}', {tenant.state}. To serve that again, use "
            f"'tenantry add {tenant.slug} --adopt'; to begin anew, move the folder away."
        )
    if tenant.folder.exists() and "source" in asked:
        raise StateError(f"There is a folder {tenant.folder} already. Choose another slug, or move it away.")


def _planned(file: Path, slug: str, asked: Mapping[str, Any]) -> Registry:
    """Return the registry that will be in force."""
    with _without_lines(slug), editing(file) as editor:
        if slug in editor.registry:
            return editor.registry
        editor.add(asked["table"], asked["file"])
        return editor.checked(slug)


def _put_into_force(file: Path, slug: str, asked: Mapping[str, Any]) -> Generation:
    with _without_lines(slug), editing(file) as editor:
        if slug not in editor.registry:
            editor.add(asked["table"], asked["file"])
        return editor.save(slug, is_new=True)


@contextmanager
def _without_lines(slug: str) -> Iterator[None]:
    """Name no lines of a table that is not in the file."""
    try:
        yield
    except ConfigError as error:
        own = f"tenants.{slug}"
        problems = [
            replace(each, line=None) if each.key == own or each.key.startswith(f"{own}.") else each
            for each in error.problems
        ]
        raise ConfigError(problems) from None


def _take_back(tenant: Tenant, asked: Mapping[str, Any]) -> None:
    if not asked.get("adopt"):
        remove_state(tenant)
        if "source" in asked:
            remove_folder(tenant.folder)
