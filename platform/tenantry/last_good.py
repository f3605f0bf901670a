"""What gunicorn's master found good, at the start or at a reload, and its workers begin with.

They take it as it is and read no file; a moment later they follow the generation in force (``following.py``).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import Problem
from .registry import Registry

if TYPE_CHECKING:
    from .app import Platform


@dataclass(frozen=True, slots=True)
class Good:
    """A platform with its registry and its key ring, and the process that found them good."""

    platform: Platform
    pid: int

    @property
    def registry(self) -> Registry:
        """The tenants."""
        return self.platform.registry


_known: dict[Path, Good] = {}


def remember(platform: Platform) -> None:
    """Keep a platform as the last good one of its file, for this process and those that it forks."""
    _known[platform.registry.settings.file] = Good(platform, os.getpid())


def get(file: Path) -> Good | None:
    """Return what was last good of a file."""
    return _known.get(file)


def inherited(file: Path) -> Good | None:
    """Return what the process that this one was forked from found good."""
    good = _known.get(file)
    return good if good is not None and good.pid != os.getpid() else None


def new_ones(problems: Iterable[Problem], registry: Registry, good: Registry) -> list[Problem]:
    """Return the problems that an edit has brought: all but those of tenants that it left as they were.

    Such a tenant answers 503 already, and must not keep the operator from editing the others. Where the platform names
    other code, it may be that which does not fit the tenant; what is wrong with its own folder is not.
    """
    return [problem for problem in problems if not _was_there(problem, registry, good)]


def _was_there(problem: Problem, registry: Registry, good: Registry) -> bool:
    table, _, rest = problem.key.partition(".")
    slug, _, key = rest.partition(".")
    if table != "tenants" or slug not in registry or slug not in good or (key and registry.code != good.code):
        return False
    return replace(registry[slug], settings=good.settings) == good[slug]
