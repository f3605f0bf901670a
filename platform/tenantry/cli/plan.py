"""What an edit would do, doing it, what edits have done, and the way back: plan, apply, diff, rollback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ..accepting import candidate_of
from ..changes import Change, Changes, some
from ..errors import StateError
from ..following import pending_in_words
from ..generations import Generation, Generations, state_dir_of
from ..memory import Memory
from ..registry import Registry, Tenant
from ..rewriting import ASIDE, write_back
from ..rewriting import apply as put_in_place
from ..sources import Sources
from .inspect import doors, shown
from .output import as_json, print_json, print_table, tell_arrival
from .status import moment

#: At most so many tenants are listed of each kind.
_LISTED = 50


_draft = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("draft", type=_draft, required=False)
@as_json
@click.pass_context
def plan(context: click.Context, draft: Path | None, as_json: bool) -> None:
    """Show what an edit would change, and change nothing.

    The edit is what the file says, where that is not in force; or DRAFT, in the place of the file. Mistakes are told as
    by check, with status 1.
    """
    generations, memory = _generations(context), Memory()
    current = generations.current()
    before = Registry.load(generations.sources(current.number), memory) if current else None
    base = (current.number, before) if current and before else None
    found = candidate_of(Sources(generations.file, draft=draft), generations, memory, base)
    _show(before, found.registry, found.kept, as_json)


@click.command()
@click.argument("draft", type=_draft)
@click.pass_context
def apply(context: click.Context, draft: Path) -> None:
    """Put DRAFT in the place of the file, at once and as a whole.

    Where it would be refused nothing is written, and the status is 1.
    """
    generations = _generations(context)
    before, generation = put_in_place(generations, draft)
    _show_both(generations, before, generation)
    if before and before.number != generation.number:
        click.echo(f"'tenantry rollback {before.number}' goes back to what was in force before.")
    tell_arrival(context, generation)


@click.command()
@click.argument("generation", type=int, required=False)
@as_json
@click.pass_context
def diff(context: click.Context, generation: int | None, as_json: bool) -> None:
    """Show what has changed since a generation; without one, list them."""
    generations, memory = _generations(context), Memory()
    if generation is None:
        _list(generations, as_json)
        return
    current = generations.current()
    if current is None:
        raise StateError("There is no generation yet. The first one is made when gunicorn starts.")
    before = Registry.load(generations.sources(generation), memory)
    _show(before, Registry.load(generations.sources(current.number), memory), current.kept, as_json)


@click.command()
@click.argument("generation", type=int)
@click.pass_context
def rollback(context: click.Context, generation: int) -> None:
    """Put the files back as they were in a generation.

    That is taken up like any other edit, and undone in the same way.
    """
    generations = _generations(context)
    written, before, current = write_back(generations, generation)
    if not written:
        click.echo("Nothing was different.")
        return
    click.echo(f"As in generation {generation} again: {', '.join(written)}. What stood there is in *{ASIDE}.")
    empty = [slug for slug, tenant in _show_both(generations, before, current) if not tenant.database_file.exists()]
    if empty:
        click.echo(
            f"Back without a database, and empty: {some(empty)}. What was removed or renamed since is not undone by a "
            "rollback; for a backup see: tenantry backup list"
        )
    tell_arrival(context, current)


def _generations(context: click.Context) -> Generations:
    file = Path(context.obj).absolute()
    return Generations(state_dir_of(file), file)


def _show_both(generations: Generations, before: Generation | None, after: Generation) -> list[tuple[str, Tenant]]:
    """Show what is different, and return the tenants that are new."""
    memory = Memory()
    registry = Registry.load(generations.sources(before.number), memory) if before else None
    found = Registry.load(generations.sources(after.number), memory)
    _show(registry, found, after.kept, as_json=False)
    return [(slug, tenant) for slug, tenant in found.items() if registry is None or slug not in registry]


def _list(generations: Generations, as_json: bool) -> None:
    found = [(number, generations.since(number)) for number in generations.numbers()]
    if as_json:
        print_json([{"generation": number, "since": since} for number, since in found])
    else:
        print_table(("GENERATION", "SINCE"), ((str(number), moment(since)) for number, since in found))


def _show(before: Registry | None, after: Registry, kept: tuple[str, ...], as_json: bool) -> None:
    found = Changes.between(before or Registry(after.settings, {}), after)
    same = len(after) - len(found.new) - len(found.changed)
    if as_json:
        print_json({**_as_data(found), "kept": kept, "unchanged": same})
        return
    if rows := list(_rows(found, before, after, kept)):
        print_table(("TENANT", "IS", "WHAT"), rows)
    click.echo(
        f"{len(found.new)} new, {len(found.changed)} changed (their apps are built anew), {len(found.gone)} gone, "
        f"{len(kept)} kept though not in the file, {same} as they were."
    )
    if found.needs_reload:
        click.echo(pending_in_words(tuple(found.needs_reload)))


def _rows(
    found: Changes, before: Registry | None, after: Registry, kept: tuple[str, ...]
) -> Iterator[tuple[str, str, str]]:
    if found.platform:
        yield "[platform]", "changed", _said(found.platform)
    yield from ((slug, "new", doors(after[slug])) for slug in found.new[:_LISTED])
    yield from ((slug, "changed", _said(changes)) for slug, changes in list(found.changed.items())[:_LISTED])
    yield from ((slug, "gone", _how(before, slug)) for slug in found.gone[:_LISTED])
    yield from ((slug, "kept", "not in the file, and never archived") for slug in kept[:_LISTED])


def _how(before: Registry | None, slug: str) -> str:
    was_archived = before is not None and before[slug].status == "archived"
    return "was archived" if was_archived else "was renamed, or archived since"


def _said(changes: tuple[Change, ...]) -> str:
    return "; ".join(
        f"{change.key}: {_value(change.key, change.before)} -> {_value(change.key, change.after)}" for change in changes
    )


def _value(key: str, value: Any) -> str:
    """Return a value as it is shown: no password or other secret of a tenant's configuration."""
    value = _without_secrets(key, value)
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None or value == "" else str(value)


def _without_secrets(key: str, value: Any) -> Any:
    if key == "redis" and value:  # a password may stand in its address
        return "(hidden)"
    return shown(key, value) if key.startswith("config.") and value is not None else value


def _as_data(found: Changes) -> dict[str, Any]:
    changed = {slug: [_as_dict(change) for change in changes] for slug, changes in found.changed.items()}
    platform = [_as_dict(change) for change in found.platform]
    return {
        "platform": platform,
        "new": found.new,
        "changed": changed,
        "gone": found.gone,
        "needs_reload": found.needs_reload,
    }


def _as_dict(change: Change) -> dict[str, Any]:
    before, after = (_without_secrets(change.key, value) for value in (change.before, change.after))
    return {"key": change.key, "before": before, "after": after}
