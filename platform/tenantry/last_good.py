"""The last good registry of each file: what goes on being served where an edit is refused.

It is kept in memory. gunicorn's master remembers it before it forks, so every worker that starts later has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from .errors import Problem
from .registry import Registry

_registries: dict[Path, Registry] = {}


def remember(registry: Registry) -> None:
    """Keep a registry as the last good one of its file."""
    _registries[registry.settings.file] = registry


def get(file: Path) -> Registry | None:
    """Return the last good registry of a file, if this process or its parent had one."""
    return _registries.get(file)


def new_ones(problems: Iterable[Problem], registry: Registry, good: Registry) -> list[Problem]:
    """Return the problems that an edit has brought: all but those of tenants that it left as they were.

    Such a tenant answers 503 already, and must not keep the operator from editing the others.
    """
    return [problem for problem in problems if not _was_there(problem, registry, good)]


def _was_there(problem: Problem, registry: Registry, good: Registry) -> bool:
    table, _, rest = problem.key.partition(".")
    slug = rest.partition(".")[0]
    if table != "tenants" or slug not in registry or slug not in good:
        return False
    return replace(registry[slug], settings=good.settings) == good[slug]
