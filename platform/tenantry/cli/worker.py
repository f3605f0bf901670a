"""``tenantry worker``: the process that runs jobs and sends mails."""

from __future__ import annotations

import logging
import os
import sys

import click

from .output import load_platform


@click.command()
@click.option(
    "--threads", type=click.IntRange(1, 256), default=4, show_default=True, help="How many jobs may run at once."
)
@click.pass_context
def worker(context: click.Context, threads: int) -> None:
    """Run jobs and send mails, until it is stopped.

    Several may run, on one machine or, with [platform] redis, on many. Edits of the file are taken up by themselves.
    """
    platform = load_platform(context)
    settings = platform.registry.settings
    if settings.environment == "testing":
        raise click.UsageError("With TENANTRY_ENV=testing jobs stay in the process that asks for them, for its tests.")
    from ..worker import GRACE, Worker

    _log_to_console()
    made = Worker(platform, threads)
    place = "Redis" if settings.redis else str(settings.state_dir / "jobs.db")
    click.echo(f"Tenantry's worker runs jobs and sends mails in {threads} threads, from {place}.")
    sys.stdout.flush()
    if not made.run():
        click.echo(f"A job has not ended within {GRACE} seconds; it is left, and runs again.", err=True)
        sys.stdout.flush()
        os._exit(0)  # its thread would keep the interpreter from ending in order


def _log_to_console() -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO, force=True)
    for name in ("alembic", "huey"):
        logging.getLogger(name).setLevel(logging.WARNING)
