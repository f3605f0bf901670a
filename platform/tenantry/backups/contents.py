"""What a tenant consists of: the files of it, and its table in tenants.toml."""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomlkit

from ..accepting import candidate_of
from ..errors import ConfigError
from ..files import give_to_owner_of, make_private_folder
from ..generations import Generations, state_dir_of
from ..memory import Memory
from ..registry import Registry, Tenant
from ..sources import Sources

#: By slug, a tenant's own table in tenants.toml.
Tables = Mapping[str, Mapping[str, Any]]
#: Folders of an overlay that are made anew by themselves.
_DERIVED = ("__pycache__",)


def configured(file: Path) -> tuple[Registry, Tables]:
    """Return what a tenants.toml says, and each tenant's own table; the last good generation's where it is broken.

    :raises ConfigError: if it has mistakes, and was never good.
    """
    generations, memory = Generations(state_dir_of(file), file), Memory()
    try:
        found = candidate_of(Sources(file), generations, memory)
        registry, sources = found.registry, found.sources
    except ConfigError:
        if (current := generations.current()) is None:
            raise
        sources = generations.sources(current.number)
        registry = Registry.load(sources, memory)
    read = map(tomllib.loads, (sources.kept, *sources.texts.values()))
    return registry, {slug: table for data in read for slug, table in data.get("tenants", {}).items()}


def as_toml(slug: str, table: Mapping[str, Any]) -> str:
    """Return a tenant's table as text for tenants.toml."""
    return tomlkit.dumps({"tenants": {slug: table}})


def table_for(registry: Registry, slug: str, table: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return a table under which a tenant that was brought back can be served beside the others.

    Doors that are in use are left out; where none is left, it gets the path of its name. Code of its own folder is
    named anew.

    :param table: as it stands in the archive. ``origin`` is the slug that it was of.
    """
    others = [tenant for tenant in registry.values() if tenant.slug != slug]
    hosts = {host for tenant in others for host in tenant.hosts}
    found = {**table, "hosts": [host for host in table.get("hosts", ()) if host not in hosts]}
    if table.get("path") in {tenant.path for tenant in others} or not (found["hosts"] or table.get("path")):
        found["path"] = f"/{slug}"
    if "overrides" in found:
        found["overrides"] = dict(found["overrides"])
        rename_views(found, origin, slug)
    return {key: value for key, value in found.items() if key != "hosts" or value}


def rename_views(table: Any, slug: str, new: str) -> None:
    """In a tenant's table, let import strings name its folder as it is called now."""
    overrides, prefix = table.get("overrides", {}), f"tenants.{slug}."
    for endpoint, view in list(overrides.items()):
        if isinstance(view, str) and view.startswith(prefix):
            overrides[endpoint] = f"tenants.{new}.{view.removeprefix(prefix)}"


def keep_uploads(tenant: Tenant, folder: Path) -> None:
    """Let each upload that is there now stay, under another name, for as long as ``folder`` does.

    They never change, and one that is removed meanwhile may belong to the moment that is copied.
    """
    uploads = tenant.state / "uploads"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for entry in os.scandir(uploads) if uploads.is_dir() else ():
        if entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
            keep_file(Path(entry.path), folder / entry.name)


def keep_file(path: Path, kept: Path) -> bool:
    """Let a file that never changes stay under another name, too. Return whether it was there."""
    try:
        os.link(path, kept)
    except FileExistsError:
        return True
    except FileNotFoundError:
        return False
    except OSError:  # the folder of the tenant is a mount of its own, or the file system has no second names
        try:
            shutil.copyfile(path, kept)
        except FileNotFoundError:  # it went just now
            return False
    return True


def files_below(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder with their names within it, in order. Links are followed, each folder once."""
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(set(folders) - set(_DERIVED))
        for path in (Path(root, name) for name in sorted(names)):
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path


def copy_files(source: Path, target: Path, mode: int) -> None:
    """Copy the files below a folder.

    :param mode: of the folders that are made; the files are for those who may enter these.
    """
    for name, path in files_below(source):
        make_private_folder((target / name).parent)
        shutil.copyfile(path, target / name)
        (target / name).chmod(mode & 0o666)
        with (target / name).open("rb") as file:
            give_to_owner_of((target / name).parent, file.fileno())
    for folder in (Path(root) for root, _, _ in os.walk(target)):
        folder.chmod(mode)


def is_same(first: Path, second: Path) -> bool:
    """Whether two folders have the same files with the same content."""
    ours, theirs = dict(files_below(first)), dict(files_below(second))
    return ours.keys() == theirs.keys() and all(ours[name].read_bytes() == theirs[name].read_bytes() for name in ours)
