"""What differs between two registries: which tenants are new, changed or gone, and in what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from .registry import LASTING, Registry, Settings, Tenant

#: At most so many tenants are named in a sentence.
_NAMED = 5


class Change(NamedTuple):
    """One key that is different: what it was, and what it is."""

    key: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Changes:
    """The differences of two registries.

    :ivar platform: in the [platform] table.
    :ivar new: tenants that are new.
    :ivar changed: tenants that are different, with what is.
    :ivar gone: tenants that are not there any more.
    """

    platform: tuple[Change, ...]
    new: tuple[str, ...]
    changed: Mapping[str, tuple[Change, ...]]
    gone: tuple[str, ...]

    @classmethod
    def between(cls, before: Registry, after: Registry) -> Changes:
        """Compare two registries."""
        both = [slug for slug in after if slug in before]
        found = {slug: tuple(_changes(before[slug], after[slug])) for slug in both if before[slug] is not after[slug]}
        return cls(
            tuple(_settings_changes(before.settings, after.settings)),
            tuple(slug for slug in after if slug not in before),
            {slug: changes for slug, changes in found.items() if changes},
            tuple(slug for slug in before if slug not in after),
        )

    @property
    def needs_reload(self) -> list[str]:
        """The [platform] keys that differ and that only a new process takes up."""
        return [change.key for change in self.platform if change.key in LASTING]

    def __bool__(self) -> bool:
        return bool(self.platform or self.new or self.changed or self.gone)

    def __str__(self) -> str:
        """Say it in one line."""
        parts = [
            _some("new", self.new),
            _some("changed", tuple(self.changed)),
            _some("gone", self.gone),
            _some("[platform]", tuple(change.key for change in self.platform)),
        ]
        return "; ".join(part for part in parts if part) or "nothing is different"


def _some(what: str, names: tuple[str, ...]) -> str:
    if not names:
        return ""
    return f"{what}: {some(names)}"


def some(names: Sequence[str]) -> str:
    """Return the first few names for a sentence, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _changes(before: Tenant, after: Tenant) -> list[Change]:
    names = [each.name for each in fields(Tenant) if each.name not in ("settings", "slug", "deed")]
    found: list[Change] = []
    for name in names:
        was, now = getattr(before, name), getattr(after, name)
        if was != now:
            found += _parts(name, was, now)
    return found


def _parts(name: str, before: Any, after: Any) -> list[Change]:
    """Return the keys of a table that differ, or the value itself."""
    was, now = _as_table(before), _as_table(after)
    if was is None or now is None:
        return [Change(name, before, after)]
    keys = dict.fromkeys((*was, *now))
    return [Change(f"{name}.{key}", was.get(key), now.get(key)) for key in keys if was.get(key) != now.get(key)]


def _as_table(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, Mapping):
        return value
    return {each.name: getattr(value, each.name) for each in fields(value)} if hasattr(value, "database_mb") else None


def _settings_changes(before: Settings, after: Settings) -> list[Change]:
    pairs = ((each.name, getattr(before, each.name), getattr(after, each.name)) for each in fields(Settings))
    return [Change(name, was, now) for name, was, now in pairs if was != now]
