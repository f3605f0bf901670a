"""``tenantry restore``: a tenant as it was when an archive was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..app import Platform
from ..backups import Restored, as_toml, configured, restore, restore_replaced, table_for
from ..life import keep_table
from ..registry import Registry, Tenant
from .backup import identity_option, opened
from .output import load_platform, relative


@click.command("restore")
@click.argument("archive")
@click.option("--as", "slug", metavar="SLUG", help="Restore it as this tenant; the one that it is of, if left out.")
@identity_option
@click.pass_context
def restore_tenant(context: click.Context, archive: str, slug: str | None, identity: Path | None) -> None:
    """Bring a tenant back from an archive, '-' for one from standard input.

    Everything is looked at first; then the tenant is closed for a moment, and its data exchanged. What was there before
    is kept, and ARCHIVE may be the folder of that, too, to undo a restore. Killed, it is run again, and finishes.
    """
    platform = load_platform(context)
    if Path(archive).is_dir():
        if slug or identity:
            raise click.UsageError("To undo a restore, give the folder alone.")
        done = restore_replaced(platform, Path(archive))
    else:
        with opened(archive) as stream:
            done = restore(platform, stream, slug, identity.read_text() if identity else "")
    click.echo("\n".join(_report(platform, done)))


def _report(platform: Platform, done: Restored) -> list[str]:
    manifest, lines = done.manifest, [f"'{done.slug}' is as it was at {done.manifest.created_at}."]
    if done.was_updated:
        lines.append("Its tables were brought up to date.")
    if done.is_copy:
        lines.append(
            f"As '{manifest.slug}' is still there, this one has a deed of its own: cookies, links and tokens are void."
        )
    if manifest.missing:
        lines.append(f"{len(manifest.missing)} uploads were missing already when it was backed up.")
    if done.replaced:
        folder = relative(done.replaced)
        lines.append(f"What was there before is kept in {folder}.\nTo undo this: tenantry restore {folder}")
    return lines + _configuration(platform, done)


def _configuration(platform: Platform, done: Restored) -> list[str]:
    """Say what tenants.toml needs, which is never changed here. The table of a tenant that is not there is kept."""
    registry, origin = platform.registry, done.manifest.slug
    if done.slug not in registry:
        table = _table_to_be(registry, done)
        name = registry.settings.file.name
        lines = [f"It is not in {name}. To serve it again: tenantry add {done.slug} --adopt"]
        if table:
            keep_table(Tenant(done.slug, registry.settings), table)
            lines += ["It gets this table then, but for what you say otherwise:", "", as_toml(done.slug, table)]
        return lines
    _, tables = configured(registry.settings.file)
    if done.slug == origin and done.table and tables.get(origin) != done.table:
        text = as_toml(origin, done.table)
        return ["Its table in tenants.toml is another one by now, and is left alone. At that time it was:", "", text]
    return []


def _table_to_be(registry: Registry, done: Restored) -> dict[str, Any]:
    """Return the table as it was, but for partners that are gone; a copy's without the doors that are in use."""
    origin = done.manifest.slug
    found = dict(done.table) if done.slug == origin else table_for(registry, done.slug, done.table, origin)
    partners = [slug for slug in found.pop("partners", ()) if slug in registry]
    found |= {"partners": partners} if partners else {}
    return {key: value for key, value in found.items() if key != "status"}
