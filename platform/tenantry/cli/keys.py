"""``tenantry keys``: the key ring."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from ..keys import HEAD_START, VERIFY_DAYS, Key, KeyRing, create_ring
from ..registry import Registry
from .output import Commands, as_json, print_json, print_table


@click.group(cls=Commands)
def keys() -> None:
    """The keys that cookies, links and tokens are signed with."""


@keys.command("list")
@as_json
@click.pass_context
def list_keys(context: click.Context, as_json: bool) -> None:
    """List the keys, newest first. The secrets themselves are never shown."""
    found = [_summary(key) for key in _ring(context).all()]
    if as_json:
        print_json(found)
    else:
        print_table(
            ("ID", "SIGNS FROM", "VERIFIES UNTIL"), [tuple(str(v or "–") for v in row.values()) for row in found]
        )


@keys.command()
@click.option(
    "--verify-days",
    type=click.FloatRange(0, 3650),
    default=VERIFY_DAYS,
    show_default=True,
    help="Days for which what the old keys signed is still accepted; 0 logs everybody out.",
)
@click.pass_context
def rotate(context: click.Context, verify_days: float) -> None:
    """Add a new key, with which everything is signed from now on."""
    new = _ring(context).rotate(verify_days)
    click.echo(
        f"Key {new.id} signs from {HEAD_START:.0f} seconds from now on, in every worker, without a restart. "
        f"What older keys signed is accepted for {verify_days:g} days more."
    )


@keys.command()
@click.pass_context
def create(context: click.Context) -> None:
    """Make a new key ring where the old one is gone. Every cookie and link of old is void."""
    path = Registry.from_file(context.obj).settings.key_file
    if path.exists():
        raise click.ClickException(f"There is a key ring, {path}. To sign with a new key, use 'tenantry keys rotate'.")
    create_ring(path)
    click.echo(f"Made the key ring {path}. Restart gunicorn.")


def _ring(context: click.Context) -> KeyRing:
    return KeyRing(Registry.from_file(context.obj).settings.key_file)


def _summary(key: Key) -> dict[str, Any]:
    return {"id": key.id, "signs_from": _time(key.signs_from), "verifies_until": _time(key.verifies_until)}


def _time(seconds: float | None) -> str | None:
    if not seconds or seconds == float("inf"):
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
