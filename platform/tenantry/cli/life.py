"""Commands by which a tenant begins, is copied, gets another name, and ends: add, clone, rename, remove."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import tomlkit

from .. import life
from ..app import Platform
from ..closing import Task
from ..editing import editing
from ..life.making import begun
from ..life.removing import check_removable
from .output import relative, tell_arrival
from .users import administrator_address, appoint

#: Keys of a table, in the order in which they are written.
_KEYS = ("title", "path", "hosts", "languages", "features", "color")
title_option = click.option("--title", help="What the tenant is called on its pages.")
path_option = click.option("--path", help="Its path prefix, as '/acme'.")
hosts_option = click.option(
    "--host", "hosts", multiple=True, help="A host name of its own; may be given several times."
)


@click.command()
@click.argument("slug")
@title_option
@path_option
@hosts_option
@click.option("--language", "languages", multiple=True, help="A language, the first one first.")
@click.option("--feature", "features", multiple=True, help="A blueprint that it has; without it, as in [defaults].")
@click.option("--color", help="Of its pages, as '#c62828'.")
@click.option("--file", "name", default="", help="The included file that gets its table, as 'tenants.d/acme.toml'.")
@click.option("--admin", default="", callback=administrator_address, help="Address of its first administrator.")
@click.option("--adopt", is_flag=True, help="Serve the state that is there under its slug, as after a restore.")
@click.pass_context
def add(context: click.Context, /, slug: str, name: str, admin: str, adopt: bool, **keys: Any) -> None:
    """Add a tenant, and serve it at once.

    What is not given is asked for on a terminal; elsewhere its door is its slug. Nothing is left of it where it fails.
    Where it was cut short, run it again: it goes on.
    """
    file = Path(context.obj).absolute()
    if begun(file, slug, "add") is None:
        _ask(slug, keys, adopt)
    table = tomlkit.dumps({"tenants": {slug: _given(slug, keys)}})
    asked = {"table": table, "file": name, "admin": admin, "adopt": adopt}
    said: list[str] = []

    def finish(platform: Platform, task: Task) -> None:
        if task.details["admin"]:
            with platform.tenant(slug):
                said.append(appoint(slug, task.details["admin"]))

    generation = life.add(file, slug, asked, finish)
    _tell_where(context, slug)
    for text in said:
        click.echo(text)
    tell_arrival(context, generation)


@click.command()
@click.argument("slug")
@click.argument("new")
@title_option
@path_option
@hosts_option
@click.option("--anonymise", is_flag=True, help="Give people other names and addresses, and no passwords.")
@click.pass_context
def clone(context: click.Context, /, slug: str, new: str, anonymise: bool, **keys: Any) -> None:
    """Make a copy of a tenant that can do no harm, while the tenant is served.

    It sends no mail, and no log-in, token or link of the tenant works there. Names and addresses of people stay, unless
    --anonymise is said. Its door is its slug, where no other is given.
    """
    file = Path(context.obj).absolute()
    begun(file, new, "clone")
    with editing(file) as editor:
        keys["title"] = keys["title"] or f"Copy of {editor.registry[slug].title}"
        table, left_out = life.cloned_table(editor, slug, new, _given(new, keys))
    generation = life.clone(file, new, {"table": table, "file": "", "source": slug, "anonymise": anonymise})
    _tell_where(context, new)
    if left_out:
        click.echo(f"Left out of its config, as they may be secrets: {', '.join(left_out)}.")
    tell_arrival(context, generation)


@click.command()
@click.argument("slug")
@click.argument("new")
@click.option("--path", help="Another path prefix; without it, its doors stay as they are.")
@click.pass_context
def rename(context: click.Context, slug: str, new: str, path: str | None) -> None:
    """Give a tenant another slug.

    It is closed for a moment. Its doors, log-ins, tokens, links and jobs that wait stay as they are.
    """
    generation = life.rename(Path(context.obj).absolute(), slug, new, path)
    click.echo(f"'{slug}' is '{new}' now.")
    tell_arrival(context, generation)


@click.command()
@click.argument("slug")
@click.option("--yes", metavar="SLUG", help="The slug once more, instead of being asked for it.")
@click.pass_context
def remove(context: click.Context, slug: str, yes: str | None) -> None:
    """Remove a tenant that is archived, after a last backup.

    Its table, database, files, mails and its folder in tenants/ go. Backups stay.
    """
    file = Path(context.obj).absolute()
    check_removable(file, slug)
    if yes is None:
        if not sys.stdin.isatty():
            raise click.UsageError(f"To remove it without being asked, say: --yes {slug}")
        yes = click.prompt(f"All of '{slug}' will be removed, but for its backups. Type its slug to go on", default="")
    if yes != slug:
        raise click.UsageError(f"'{yes}' is not '{slug}'; nothing was removed.")
    removed = life.remove(file, slug)
    click.echo(f"'{slug}' is removed.")
    click.echo(f"Its last backup is {relative(removed.backup)}." if removed.backup else "It never had a database.")
    tell_arrival(context, removed.generation)


def _ask(slug: str, keys: dict[str, Any], adopt: bool) -> None:
    """Ask for what is missing, where there is somebody to be asked."""
    if not sys.stdin.isatty() or adopt:
        return
    keys["title"] = keys["title"] or click.prompt("Title", default=slug.replace("-", " ").title())
    if not keys["hosts"]:
        keys["path"] = keys["path"] or click.prompt("Path", default=f"/{slug}")


def _given(slug: str, keys: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a table that were given, and in any case one door."""
    if not keys["hosts"]:
        keys["path"] = keys["path"] or f"/{slug}"
    given = {key: list(keys[key]) if isinstance(keys[key], tuple) else keys[key] for key in _KEYS if key in keys}
    return {key: value for key, value in given.items() if value}


def _tell_where(context: click.Context, slug: str) -> None:
    with editing(Path(context.obj).absolute()) as editor:
        tenant = editor.registry[slug]
    click.echo(f"'{slug}' ({tenant.title}) is at {' and '.join(tenant.addresses())}")
