"""Commands by which a tenant begins, is copied, gets another name, and ends: add, clone, rename, remove."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import tomlkit

from .. import life
from ..app import Platform
from ..editing import editing
from ..life.making import begun, settings_of
from ..life.removing import check_removable
from ..registry import Tenant
from .output import load_platform, relative, tell_arrival
from .users import administrator_address, appoint

#: Keys of a table, in the order in which they are written.
_KEYS = ("title", "path", "hosts", "languages", "features", "color")
#: Characters, as the schema has it.
_LONGEST_TITLE = 200
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
    said: list[str] = []

    def finish(platform: Platform, asked: Mapping[str, Any]) -> None:
        if asked["admin"]:
            with platform.tenant(slug):
                said.append(appoint(slug, asked["admin"]))

    if life.is_added(file, slug, _given(keys) if adopt else _with_door(slug, _given(keys)), adopt=adopt):
        generation = life.finish_added(file, slug, {"admin": admin}, finish)
        said.insert(0, "It was there already, as asked for.")
    else:
        if begun(file, slug, "add") is None:
            _ask(slug, keys, adopt)
        table = _table(file, slug, _given(keys), adopt)
        generation = life.add(file, slug, {"table": table, "file": name, "admin": admin, "adopt": adopt}, finish)
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
        title = f"Copy of {editor.registry[slug].title}"[:_LONGEST_TITLE]
        table, left_out = life.cloned_table(editor, slug, new, _with_door(new, {"title": title, **_given(keys)}))
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
        question = f"All of '{slug}' will be removed, but for its backups. Type its slug to go on"
        yes = click.prompt(question, default="", show_default=False)
    if yes != slug:
        raise click.ClickException(f"'{yes}' is not '{slug}', so nothing was removed.")
    removed = life.remove(file, slug)
    click.echo(f"'{slug}' is removed.")
    click.echo(f"Its last backup is {relative(removed.backup)}." if removed.backup else "It never had a database.")
    tell_arrival(context, removed.generation)


def _ask(slug: str, keys: dict[str, Any], adopt: bool) -> None:
    """Ask for what is missing, where there is somebody to be asked."""
    if not sys.stdin.isatty() or adopt:
        return
    if keys["title"] is None:
        keys["title"] = click.prompt("Title", default=slug.replace("-", " ").title())
    if not keys["hosts"] and keys["path"] is None:
        keys["path"] = click.prompt("Path", default=f"/{slug}")


def _given(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a table that were given."""
    given = {key: list(keys[key]) if isinstance(keys[key], tuple) else keys[key] for key in _KEYS if key in keys}
    return {key: value for key, value in given.items() if value not in (None, [])}


def _with_door(slug: str, table: dict[str, Any]) -> dict[str, Any]:
    """Return a table that has a door in any case, at the place where one is expected."""
    if "path" not in table and "hosts" not in table:
        table["path"] = f"/{slug}"
    order = [*(key for key in _KEYS if key in table), *(key for key in table if key not in _KEYS)]
    return {key: table[key] for key in order}


def _table(file: Path, slug: str, given: dict[str, Any], adopt: bool) -> str:
    """Return the table that a tenant gets, as TOML."""
    table = life.adopted_table(Tenant(slug, settings_of(file)), given) if adopt else given
    return tomlkit.dumps({"tenants": {slug: _with_door(slug, table)}})


def _tell_where(context: click.Context, slug: str) -> None:
    platform = load_platform(context)
    tenant = platform.registry[slug]
    click.echo(f"'{slug}' ({tenant.title}) is at {' and '.join(platform.addresses(tenant))}")
