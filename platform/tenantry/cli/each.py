"""``tenantry each``: a command for all tenants, one by one or several at once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from ..memory import Memory
from ..running_each import Crew, Outcome
from ..taking_up import in_force

_STATUSES = ("active", "read-only", "maintenance", "suspended", "archived")


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="How many at once.")
@click.option(
    "--status",
    "statuses",
    type=click.Choice(_STATUSES),
    multiple=True,
    help="Only tenants of this status; may be given several times. Without it, all but the archived ones.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND…")
@click.pass_context
def each(context: click.Context, jobs: int, statuses: tuple[str, ...], command: tuple[str, ...]) -> None:
    """Run a command for each tenant.

    '{}' in it stands for the slug, which is in TENANTRY_TENANT as well. Each line of its output has the slug in front.
    One that fails does not stop the others; the status is 1 then.
    """
    if "{}" not in command[0] and shutil.which(command[0]) is None:
        raise click.UsageError(f"There is no command '{command[0]}'.")
    file = Path(context.obj).absolute()
    registry = in_force(file, Memory()).registry
    chosen = [slug for slug, tenant in registry.items() if tenant.status in (statuses or _STATUSES[:-1])]
    os.environ["TENANTRY_CONFIG"] = str(file)
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("Running", total=len(chosen))
        crew = Crew(command, jobs, say=click.echo, advance=lambda: progress.advance(bar))
        outcomes = crew.run(chosen)
    _sum_up(outcomes, crew.was_stopped)
    context.exit(130 if crew.was_stopped else 1 if any(outcome.status != 0 for outcome in outcomes) else 0)


def _sum_up(outcomes: list[Outcome], was_stopped: bool) -> None:
    failed = [outcome for outcome in outcomes if outcome.status]
    not_run = [outcome for outcome in outcomes if outcome.status is None]
    for outcome in failed:
        click.echo(f"Failed for '{outcome.slug}': {outcome.reason}.", err=True)
    done = len(outcomes) - len(failed) - len(not_run)
    stopped = f", {len(not_run)} not run, as it was stopped" if was_stopped else ""
    click.echo(f"Done for {done}, failed for {len(failed)}{stopped}.", err=True)
