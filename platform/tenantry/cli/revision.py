"""``tenantry revision``: write the next change of a blueprint's tables, for its author."""

from __future__ import annotations

import click

from ..migrating.authoring import write_revision
from ..migrating.ledger import Ledger
from .output import load_platform, relative


@click.command()
@click.argument("blueprint")
@click.option("-m", "words", required=True, help="What it does, in a few words.")
@click.pass_context
def revision(context: click.Context, blueprint: str, words: str) -> None:
    """Write the next revision of a blueprint.

    It is what the models say and the tables do not have yet. Read it before you use it: that a column was renamed, or
    what becomes of rows, only you know.
    """
    platform = load_platform(context)
    with Ledger(platform.registry.settings.state_dir).alone():
        written = write_revision(platform, blueprint, words)
    if written is None:
        click.echo(f"The tables of '{blueprint}' are as its models say: there is nothing to write.")
        return
    click.echo(f"Wrote {relative(written.file)}.")
    if written.failure:
        raise click.ClickException(f"It does not run yet: {written.failure}. Edit it, or remove it.")
    if written.breaks:
        click.echo(f"It does more than add to the tables: {', '.join(written.breaks)}.")
    else:
        click.echo("It only adds to the tables, so tenants are served while it is applied.")
