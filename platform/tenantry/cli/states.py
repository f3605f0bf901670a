"""Commands that open and close tenants: suspend, resume, archive, read-only. Maintenance has a group of its own."""

from __future__ import annotations

from pathlib import Path

import click

from ..life import set_statuses
from .output import Commands, tell_arrival

#: What is said of a tenant of a status, and what it was called before, where that is not its name.
_NOW = {"maintenance": "is in maintenance", "read-only": "can only be read"}
_WAS = {"maintenance": "in maintenance"}
slugs_argument = click.argument("slugs", nargs=-1, required=True, metavar="SLUG…")


@click.command()
@slugs_argument
@click.pass_context
def suspend(context: click.Context, slugs: tuple[str, ...]) -> None:
    """Close tenants: visitors see that the workspace is suspended, and jobs wait."""
    give(context, slugs, "suspended")


@click.command()
@slugs_argument
@click.pass_context
def resume(context: click.Context, slugs: tuple[str, ...]) -> None:
    """Make tenants active again, whatever they were: suspended, in maintenance, read-only or archived."""
    give(context, slugs, "active")


@click.command()
@slugs_argument
@click.pass_context
def archive(context: click.Context, slugs: tuple[str, ...]) -> None:
    """Take tenants out of service, and keep all that they have.

    Their doors are as if there were none. 'tenantry resume' brings them back, 'tenantry remove' ends them.
    """
    give(context, slugs, "archived")


@click.group("read-only", cls=Commands)
def read_only() -> None:
    """Tenants that are shown, and in which nobody writes."""


@read_only.command("on")
@slugs_argument
@click.pass_context
def read_only_on(context: click.Context, slugs: tuple[str, ...]) -> None:
    """Let tenants only be read."""
    give(context, slugs, "read-only")


@read_only.command("off")
@slugs_argument
@click.pass_context
def read_only_off(context: click.Context, slugs: tuple[str, ...]) -> None:
    """Let tenants be written to again."""
    give(context, slugs, "active", only="read-only")


def give(context: click.Context, slugs: tuple[str, ...], status: str, only: str = "") -> None:
    """Give tenants a status, and say what they were.

    :param only: the status out of which they may be taken; those that have another one are left as they are.
    """
    before, generation = set_statuses(Path(context.obj).absolute(), slugs, status, only)
    for slug, was in before.items():
        click.echo(_outcome(slug, was, status, only))
    tell_arrival(context, generation)
    if only and set(before.values()) - {only, status}:
        context.exit(1)


def _outcome(slug: str, was: str, status: str, only: str) -> str:
    now, before = _NOW.get(status, f"is {status}"), _WAS.get(was, was)
    if was == status:
        return f"'{slug}' {now} already."
    if only not in ("", was):
        return f"'{slug}' is not {_WAS.get(only, only)}, but {before}."
    return f"'{slug}' was {before}, and {now} now."
