"""``tenantry maintenance``: tenants that are worked on."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click

from ..maintenance import make_pass
from .output import Commands, load_platform
from .states import give, slugs_argument


@click.group(cls=Commands)
def maintenance() -> None:
    """Tenants that are worked on."""


@maintenance.command("on")
@slugs_argument
@click.pass_context
def maintenance_on(context: click.Context, slugs: tuple[str, ...]) -> None:
    """Show visitors that tenants are worked on. Staff with a pass get in."""
    give(context, slugs, "maintenance")


@maintenance.command("off")
@slugs_argument
@click.pass_context
def maintenance_off(context: click.Context, slugs: tuple[str, ...]) -> None:
    """Let visitors in again."""
    give(context, slugs, "active", only="maintenance")


@maintenance.command("pass")
@click.argument("slug")
@click.option(
    "--hours",
    type=click.FloatRange(0, 24 * 31, min_open=True),
    default=8.0,
    show_default=True,
    help="For how long it works.",
)
@click.pass_context
def maintenance_pass(context: click.Context, slug: str, hours: float) -> None:
    """Print a link that lets staff in while a tenant is in maintenance.

    Whoever opens it sees the tenant as it is, in that browser, and logs in there as ever. Everybody else goes on seeing
    the maintenance page.
    """
    platform = load_platform(context)
    tenant = platform.registry[slug]
    link = make_pass(platform, tenant, hours * 3600)
    until = datetime.fromtimestamp(time.time() + hours * 3600, UTC).isoformat(timespec="minutes")
    click.echo(link)
    click.echo(f"It works until {until}, while the status of '{slug}' is maintenance.", err=True)
    if tenant.status != "maintenance":
        click.echo(f"At the moment it is {tenant.status}.", err=True)
