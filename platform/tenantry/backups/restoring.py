"""Bringing a tenant back: everything is looked at and made ready beside it, and only then is it closed and exchanged.

What was there before is kept aside. A run that is killed leaves the tenant as it was, as it is to be, or closed; the
next one finishes it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast
from uuid import UUID

from .. import __version__
from .. import deed as deeds
from ..app import Platform
from ..doors import check_slug
from ..errors import StateError
from ..files import make_private_folder, write_state_file
from ..holding import read_deed
from ..registry import Settings, Tenant
from ..sqlite import ANY_SIZE, DEED_FILE, DatabaseFile
from .archive import check_facts, unpack
from .contents import copy_files
from .databases import bring_up_to_date, check_database, check_programs, let_nothing_out
from .drafts import draft
from .encryption import decrypted
from .manifest import DATABASE, STATE_FOLDERS, TABLE, Manifest
from .refusals import BadArchive
from .switching import REPLACED, finish, switch


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.

    :ivar manifest: of the archive.
    :ivar replaced: where is what was there before; ``None`` if nothing was.
    :ivar is_copy: whether it got a deed of its own, as the tenant that it was taken of is still there.
    :ivar was_updated: whether its tables were older than the blueprints.
    :ivar table: the tenant's table in tenants.toml at that time.
    """

    slug: str
    manifest: Manifest
    replaced: Path | None
    is_copy: bool
    was_updated: bool
    table: Mapping[str, Any]


def restore(platform: Platform, stream: BinaryIO, slug: str | None = None, identity: str = "") -> Restored:
    """Bring a tenant back from an archive, into its own slug or another one.

    It need not be in tenants.toml. Its log-ins are ended, and mails that waited are given up, as both may have gone on
    since.

    :param stream: the archive.
    :param slug: where to; the slug that it was taken of, where it is left out.
    :param identity: text of the file of keys that open it, where it is encrypted.
    :raises BadArchive: if anything in it is not as it should be. Nothing has changed then.
    :raises StateError: if there is another tenant of that slug, or its database is in use.
    """
    if slug is not None:
        finish(_target(platform, slug))  # also where the archive turns out to be none
    with draft(platform.registry.settings, "restore", slug or "archive") as work:
        with decrypted(stream, identity) as plain:
            manifest = unpack(plain, work)
        return _restore(platform, work, manifest, slug, as_it_was=False)


def restore_replaced(platform: Platform, folder: Path) -> Restored:
    """Undo a restore: bring back what it replaced, with its log-ins and the mails that wait.

    :param folder: in which that is kept.
    :raises StateError: if it is none.
    """
    named = REPLACED.fullmatch(folder.name)
    if named is None:
        raise StateError(f"{folder} is no folder in which a restore has kept what it replaced.")
    with draft(platform.registry.settings, "restore", named[1]) as work:
        copy_files(folder, work / "state", 0o700)
        if (work / "state" / "overlay").exists():
            (work / "state" / "overlay").rename(work / "overlay")
        facts = check_database(work / DATABASE)
        missing = tuple(each for each in facts.uploads if not (work / "state" / "uploads" / each).exists())
        moment = f"{datetime.fromisoformat(named[2]):%Y-%m-%dT%H:%M:%SZ}"
        manifest = Manifest(named[1], facts.deed, moment, facts.schema, __version__, (), missing)
        return _restore(platform, work, manifest, None, as_it_was=True)


def _restore(platform: Platform, work: Path, manifest: Manifest, slug: str | None, as_it_was: bool) -> Restored:
    target, table = _target(platform, slug or manifest.slug), _table_in(work, manifest)
    finish(target)
    facts = check_database(work / DATABASE)
    check_facts(manifest, facts.deed, facts.schema)
    _check_uploads(work, manifest, facts.uploads)
    _check_target(target, manifest)
    platform.schema.check_known(facts.schema)
    if not as_it_was:
        check_programs(work / DATABASE, platform.schema)
        let_nothing_out(work / DATABASE)
    is_copy, was_updated = _make_ready(platform, target, work, manifest)
    return Restored(target.slug, manifest, switch(target, work), is_copy, was_updated, table)


def _target(platform: Platform, slug: str) -> Tenant:
    try:
        check_slug(slug)
    except ValueError as error:
        raise StateError(str(error)) from None
    return platform.registry.get(slug) or Tenant(slug, platform.registry.settings)


def _make_ready(platform: Platform, target: Tenant, work: Path, manifest: Manifest) -> tuple[bool, bool]:
    """Make what was unpacked into a tenant's state. Return whether it got another deed, and was updated."""
    is_copy = _holder_of(target.settings, manifest.deed, target.slug) is not None
    was_updated = bring_up_to_date(platform, work / DATABASE)
    with platform.databases.direct(DatabaseFile.at(work / DATABASE, ANY_SIZE), "write") as connection:
        deed = deeds.replace(connection) if is_copy else cast(deeds.Deed, deeds.read(connection)).id
        connection.commit()
    for name in STATE_FOLDERS:
        make_private_folder(work / "state" / name)
    write_state_file(work / "state" / DEED_FILE, f"{deed}\n".encode())
    return is_copy, was_updated


def _check_uploads(work: Path, manifest: Manifest, named: tuple[str, ...]) -> None:
    there = {path.name for path in (work / "state" / "uploads").glob("*")}
    if set(named) - set(manifest.missing) != there:
        raise BadArchive("its uploads are not those that its database names")


def _check_target(target: Tenant, manifest: Manifest) -> None:
    """Look whether the slug is free, or the same tenant's: another one's data must not be replaced by mistake."""
    present = read_deed(target.state)
    if target.slug != manifest.slug and present is not None and present.hex != manifest.deed:
        raise StateError(
            f"'{target.slug}' is another tenant, with a database of its own. Restore '{manifest.slug}' under a slug "
            f"that is free, or remove '{target.slug}' first."
        )


def _holder_of(settings: Settings, deed: str, but: str) -> str | None:
    """Return which other tenant has a deed. With the same one, two would accept each other's cookies."""
    folder = settings.state_dir / "tenants"
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name != but and read_deed(path) == UUID(deed):
            return path.name
    return None


def _table_in(work: Path, manifest: Manifest) -> Mapping[str, Any]:
    if not (work / TABLE).exists():
        return {}
    try:
        return dict(tomllib.loads((work / TABLE).read_text(encoding="utf-8"))["tenants"][manifest.slug])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadArchive(f"its {TABLE} is no table of '{manifest.slug}'") from None
