"""Commands that only look: check, list, show, routes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from ..accepting import candidate_of
from ..checking import dry_app, dry_platform, problems_of
from ..environments import public_port
from ..errors import ConfigError
from ..generations import Generations, state_dir_of
from ..memory import Memory
from ..novelty import seconds_for
from ..registry import Registry, Tenant
from ..secret_names import is_secret
from ..sources import Sources
from ..trial import Fork
from .output import as_json, load_registry, print_json, print_table, relative


@click.command()
@as_json
@click.pass_context
def check(context: click.Context, as_json: bool) -> None:
    """Check the file and all that it names.

    All mistakes are told at once. The status is 1 if there are any.
    """
    file = Path(context.obj).absolute()
    try:
        memory = Memory()
        sources = Sources(file)
        registry = Registry.load(sources, memory)
        candidate_of(Sources(file), Generations(state_dir_of(file), file), memory)
        # In a process of its own, as what is imported may hang or exit, which is a mistake to be told.
        problems = Fork(file, seconds_for(len(registry)), partial(problems_of, registry, sources)).problems()
    except ConfigError as error:
        registry, problems = None, list(error.problems)
    if as_json:
        print_json({"ok": not problems, "problems": [problem.to_json() for problem in problems]})
    elif problems:
        click.echo(str(ConfigError(problems)), err=True)
    else:
        click.echo(f"{context.obj}: {len(registry or ())} tenants, no problems.")
    context.exit(1 if problems else 0)


@click.command("list")
@as_json
@click.pass_context
def list_tenants(context: click.Context, as_json: bool) -> None:
    """List the tenants with their doors."""
    tenants = load_registry(context).values()
    if as_json:
        print_json([_summary(tenant) for tenant in tenants])
        return
    print_table(
        ("SLUG", "TITLE", "STATUS", "DATABASE", "LANGUAGES", "DOORS"),
        (
            (tenant.slug, tenant.title, tenant.status, _database(tenant), " ".join(tenant.languages), doors(tenant))
            for tenant in tenants
        ),
    )


@click.command()
@click.argument("slug")
@as_json
@click.pass_context
def show(context: click.Context, slug: str, as_json: bool) -> None:
    """Show what holds for one tenant.

    That is, its configuration once the defaults are applied, and where its things are.
    """
    details = _details(load_registry(context)[slug])
    if as_json:
        print_json(details)
    else:
        print_table(("KEY", "VALUE"), ((key, _text(value)) for key, value in details.items()))


@click.command()
@click.argument("slug")
@as_json
@click.pass_context
def routes(context: click.Context, slug: str, as_json: bool) -> None:
    """Print a tenant's URL map."""
    registry = load_registry(context)
    app = dry_app(dry_platform(registry), registry[slug])
    rows = [
        {
            "rule": rule.rule,
            "methods": sorted(rule.methods or ()),
            "endpoint": rule.endpoint,
            "override": app.tenant.overrides.get(str(rule.endpoint)),
        }
        for rule in sorted(app.url_map.iter_rules(), key=lambda rule: (rule.rule, str(rule.endpoint)))
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("RULE", "METHODS", "ENDPOINT", ""),
        (
            (
                str(row["rule"]),
                " ".join(row["methods"]),
                str(row["endpoint"]),
                f"-> {row['override']}" if row["override"] else "",
            )
            for row in rows
        ),
    )


def _summary(tenant: Tenant) -> dict[str, Any]:
    return {
        "slug": tenant.slug,
        "title": tenant.title,
        "status": tenant.status,
        "path": tenant.path,
        "hosts": tenant.hosts,
        "languages": tenant.languages,
        "provisioned": tenant.database_file.exists(),
    }


def _details(tenant: Tenant) -> dict[str, Any]:
    limits = dataclasses.asdict(tenant.limits)
    return {
        **_summary(tenant),
        "addresses": tenant.addresses(public_port(tenant.settings.environment)),
        "database": tenant.database,
        "sections": tenant.sections,
        "features": tenant.features if tenant.features is not None else "all",
        "color": tenant.color,
        **{f"limits.{key}": value for key, value in limits.items()},
        **{f"overrides.{key}": value for key, value in tenant.overrides.items()},
        **{f"config.{key}": shown(key, value) for key, value in tenant.config.items()},
        "folder": relative(tenant.folder) if tenant.folder.is_dir() else None,
        "database_file": relative(tenant.database_file),
        "environment": tenant.settings.environment,
    }


def shown(key: str, value: Any) -> Any:
    """Return a value of a tenant's configuration, unless it is to be kept secret."""
    if is_secret(key):
        return "(hidden)"
    if isinstance(value, Mapping):
        return {name: shown(name, each) for name, each in value.items()}
    return [shown("", each) for each in value] if isinstance(value, (list, tuple)) else value


def _database(tenant: Tenant) -> str:
    return "ready" if tenant.database_file.exists() else "missing"


def doors(tenant: Tenant) -> str:
    """Return a tenant's doors, in one line."""
    return " ".join([*tenant.hosts, *([tenant.path] if tenant.path else [])])


def _text(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value)) or "–"
    return "–" if value is None else str(value)
