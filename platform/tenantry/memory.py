"""What is remembered of a configuration that was loaded, so that after an edit only what changed is read again.

Of ten thousand tenants an edit changes a few: reading them all takes most of a second, in which a worker's other
threads have to wait, and reading those few takes a tenth of that.
"""

from __future__ import annotations

import tomllib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .registry import Settings, Tenant
from .sources import KEPT, Sources, Unreadable
from .tables import Cut, cut

#: So many values for each tenant are held as ones that others may have too.
_MOST_SHARED = 20


class Part(NamedTuple):
    """One tenant's tables: in which file, as what text, and the tenant itself where that text is known."""

    file: str
    slug: str
    text: str
    tenant: Tenant | None


@dataclass(slots=True)
class Memory:
    """What was read the last time that all was well.

    :ivar settings: of the [platform] table, in the environment of then.
    :ivar defaults: the [defaults] table.
    :ivar shared: equal values to the one object that stands for them.
    """

    settings: Settings | None = None
    defaults: dict[str, Any] = field(default_factory=dict)
    shared: dict[Hashable, Any] = field(default_factory=dict)
    _heads: dict[str, str] = field(default_factory=dict)
    _patterns: dict[str, list[str]] = field(default_factory=dict)
    _tenants: dict[str, tuple[str, Tenant]] = field(default_factory=dict)

    def parts(self, sources: Sources) -> list[Part] | None:
        """Return the tenants' tables as they are now; ``None`` where all has to be read: more than tables changed."""
        try:
            cuts = self._cut_alike(sources)
        except (Unreadable, OSError, ValueError):
            return None
        if cuts is None:
            return None
        found = [
            Part(name, slug, text, self._known(slug, text))
            for name, each in cuts.items()
            for slug, text in each.tables.items()
        ]
        return found if len({part.slug for part in found}) == len(found) else None

    def keep(
        self,
        sources: Sources,
        settings: Settings,
        defaults: dict[str, Any],
        tenants: Mapping[str, Tenant],
    ) -> None:
        """Remember what was loaded, in the place of what was known before."""
        cuts = {name: cut(text) for name, text in _texts(sources)}
        sound = {name: each for name, each in cuts.items() if each is not None}
        texts = {slug: text for each in sound.values() for slug, text in each.tables.items()}
        self._heads, self._tenants, self.settings = {}, {}, settings
        if len(self.shared) > _MOST_SHARED * (len(tenants) + 1):
            self.shared = {}  # most of it is of tenants as they were
        whole = len(sound) == len(cuts) and texts.keys() == tenants.keys()
        if whole and not any("tenants" in tomllib.loads(each.head) for each in sound.values()):
            self.defaults = defaults
            self._heads = {name: each.head for name, each in sound.items()}
            self._patterns = dict(sources.patterns)
            self._tenants = {slug: (texts[slug], tenant) for slug, tenant in tenants.items()}

    def same(self, settings: Settings) -> Settings:
        """Return the settings of before where these are equal: tenants hold them, and are compared with others'."""
        return self.settings if self.settings is not None and self.settings == settings else settings

    def _known(self, slug: str, text: str) -> Tenant | None:
        known = self._tenants.get(slug)
        return known[1] if known is not None and known[0] == text else None

    def _cut_alike(self, sources: Sources) -> dict[str, Cut] | None:
        """Return the files in parts, where all but tenants' tables is as it was."""
        main = sources.main.name
        cuts = {main: cut(sources.read(main))}
        if not self._heads or (first := cuts[main]) is None or first.head != self._heads.get(main):
            return None
        for pattern in self._patterns:
            names = [name for name in sources.found(pattern) if name != main]
            cuts |= {name: cut(sources.read(name)) for name in names}
        if sources.kept:
            cuts[KEPT] = cut(sources.kept)
        alike = {name: each for name, each in cuts.items() if each and each.head == self._heads.get(name, each.head)}
        return alike if len(alike) == len(cuts) and all(_is_empty(alike[n].head) for n in alike if n != main) else None


def _texts(sources: Sources) -> list[tuple[str, str]]:
    return [*sources.texts.items(), *([(KEPT, sources.kept)] if sources.kept else [])]


def _is_empty(head: str) -> bool:
    """Whether nothing but comments stands before the tenants, as in a file that is included.

    :raises ValueError: if it is no TOML, as comments with control characters are not.
    """
    return not tomllib.loads(head)
