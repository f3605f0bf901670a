"""``tenantry provision``: make tenants ready before their first visitor comes."""

from __future__ import annotations

import click

from ..app import Platform
from ..explaining import explain
from ..provisioning import give_new_deed
from ..provisioning import provision as provision_one
from ..registry import Tenant
from .output import as_json, load_platform, print_json, print_table


@click.command()
@click.argument("slugs", nargs=-1, metavar="[SLUG]...")
@click.option("--all", "everyone", is_flag=True, help="Every tenant that is not archived.")
@click.option("--new-deed", is_flag=True, help="Make a database that was copied from another tenant's one of its own.")
@click.option("--quiet", is_flag=True, help="Say nothing of tenants that were ready.")
@as_json
@click.pass_context
def provision(
    context: click.Context, slugs: tuple[str, ...], everyone: bool, new_deed: bool, quiet: bool, as_json: bool
) -> None:
    """Make tenants ready before their visitors come.

    A new tenant gets its database and first content; the tables of the others are brought up to date.
    """
    if bool(slugs) is everyone:
        raise click.UsageError("Give either slugs of tenants, or --all.")
    if new_deed and len(slugs) != 1:
        raise click.UsageError("--new-deed is for one tenant; give its slug.")
    platform = load_platform(context)
    chosen = [platform.registry[slug] for slug in dict.fromkeys(slugs)] or platform.registry.served()
    if new_deed:
        give_new_deed(platform, chosen[0])
    results = [(tenant.slug, *_provision(platform, tenant)) for tenant in chosen]
    failed = [result for result in results if result[1] == "failed"]
    if as_json:
        print_json([{"slug": name, "result": result, "reason": reason or None} for name, result, reason in results])
    elif not quiet or any(result != "ready" for _, result, _ in results):
        print_table(("SLUG", "RESULT", ""), [row for row in results if not quiet or row[1] != "ready"])
    context.exit(1 if failed else 0)


def _provision(platform: Platform, tenant: Tenant) -> tuple[str, str]:
    try:
        return provision_one(platform, tenant), ""
    except Exception as error:  # one tenant's fault is told, and the others are made ready all the same
        return "failed", explain(error)
