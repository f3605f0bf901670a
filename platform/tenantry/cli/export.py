"""``tenantry export``: a tenant's own data, for whom it belongs to."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .. import db, exporting
from ..backups.keeping import written_whole
from .output import load_platform, relative


@click.command()
@click.argument("slug")
@click.option("--to", metavar="FILE|-", help="Another file than <slug>-<time>.zip here; '-' for standard output.")
@click.pass_context
def export(context: click.Context, slug: str, to: str | None) -> None:
    """Write a tenant's data in open formats: a zip of JSON lines, CSV and uploads.

    Passwords, tokens and the like are left out. Its administrators can do the same on a page of theirs.
    """
    if to == "-" and sys.stdout.isatty():
        raise click.UsageError("A zip is no text for a terminal. Send it to a file or a program.")
    with load_platform(context).tenant(slug):
        db.begin(write=False)
        if to == "-":
            exporting.write(sys.stdout.buffer)
            return
        path = Path(to or exporting.file_name())
        try:
            with written_whole(path) as file:
                exporting.write(file)
        except OSError as error:
            raise click.ClickException(f"{path} cannot be written ({error.strerror or error}).") from None
    click.echo(f"The data of '{slug}' is in {relative(path.absolute())}.")
