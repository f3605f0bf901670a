"""The last good registry of each file: what goes on being served where an edit is refused.

It is kept in memory. gunicorn's master remembers it before it forks, so every worker that starts later has it.
"""

from __future__ import annotations

from pathlib import Path

from .registry import Registry

_registries: dict[Path, Registry] = {}


def remember(registry: Registry) -> None:
    """Keep a registry as the last good one of its file."""
    _registries[registry.settings.file] = registry


def get(file: Path) -> Registry | None:
    """Return the last good registry of a file, if this process or its parent had one."""
    return _registries.get(file)
