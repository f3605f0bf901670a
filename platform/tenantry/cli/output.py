"""How commands speak: tables for a person, JSON for a program, one paragraph for a mistake."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..app import Platform
from ..arrival import wait_for
from ..errors import ConfigError, TenantryError, did_you_mean
from ..generations import Generation
from ..life.making import settings_of
from ..memory import Memory
from ..registry import Registry
from ..taking_up import in_force

if TYPE_CHECKING:
    from rich.console import Console

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


class Commands(click.Group):
    """A group whose commands tell our own errors in a paragraph, and unknown commands with the nearest name."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except TenantryError as error:
            raise click.ClickException(str(error)) from None

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(context, args)
        except click.UsageError as error:
            hint = did_you_mean(args[0], self.list_commands(context)) if args else ""
            raise click.UsageError(f"{error.message.rstrip('.')}{hint or '.'}", context) from None


def load_registry(context: click.Context) -> Registry:
    """Return the tenants of the file that the command line names, with those that are kept; of the last good generation
    where it has mistakes."""
    found = in_force(Path(context.obj).absolute(), Memory())
    if found.problems:
        click.echo(f"{ConfigError(found.problems)}\nGeneration {found.generation} is used instead.\n", err=True)
    return found.registry


def load_platform(context: click.Context) -> Platform:
    """Return the platform of the tenants that :func:`load_registry` returns."""
    return Platform(load_registry(context))


def tell_arrival(context: click.Context, generation: Generation) -> None:
    """Wait until every process that serves has a generation, and say so; the status is 1 where one has not."""
    file = Path(context.obj).absolute()
    arrival = wait_for(settings_of(file), generation)
    click.echo(str(arrival), err=bool(arrival.behind))
    if arrival.behind:
        context.exit(1)


def console() -> Console:
    """Return a console for the present standard output. Rich is imported only by commands that print tables."""
    from rich.console import Console

    return Console(highlight=False)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their headings. Cells are plain text; colours and folding are for a terminal only."""
    if not console().is_terminal:
        _print_plain([tuple(columns), *map(tuple, rows)])
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, _STYLES.get(cell, "")) for cell in row))
    console().print(table)


def _print_plain(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    click.echo("\n".join(lines))


def print_json(value: Any) -> None:
    """Print a value as JSON; paths and other objects as text."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (set, frozenset)) else str(value)


def relative(path: Path) -> str:
    """Return a path as seen from here, where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


_STYLES = {
    "active": "green",
    "ready": "green",
    "created": "green",
    "updated": "green",
    "read-only": "yellow",
    "maintenance": "yellow",
    "missing": "yellow",
    "suspended": "red",
    "archived": "dim",
    "failed": "red",
}
