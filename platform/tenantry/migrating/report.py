"""The drift report: which tenants are at which version, what failed, and whose tables are not what they should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..structure import StructureReader, differences
from .ledger import Ledger, Run
from .looking import look_at

if TYPE_CHECKING:
    from ..registry import Tenant
    from ..schema_versions import SchemaVersions


@dataclass(frozen=True)
class DriftReport:
    """What was found.

    :ivar versions: how many tenants have which versions, and what that is to the code: the most frequent first.
    :ivar slugs: those that are not ``current``, by state.
    :ivar reasons: why, of those that are ``unknown`` or ``broken``.
    :ivar failed: reason and time (UTC) of the last failure of those that are still not current.
    :ivar differing: in words, where the tables of those that are current are not those of a new database.
    """

    heads: tuple[str, ...]
    versions: tuple[tuple[str, tuple[str, ...], int], ...]
    slugs: dict[str, list[str]]
    reasons: dict[str, str]
    failed: dict[str, tuple[str, str]]
    differing: dict[str, list[str]]
    runs: tuple[Run, ...]

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "heads": self.heads,
            "versions": [
                {"state": state, "versions": versions, "tenants": count} for state, versions, count in self.versions
            ],
            **self.slugs,
            "reasons": self.reasons,
            "failed": {slug: {"reason": reason, "at": at} for slug, (reason, at) in self.failed.items()},
            "differing": self.differing,
            "runs": [asdict(run) for run in self.runs],
        }


def make_report(schema: SchemaVersions, tenants: Sequence[Tenant], ledger: Ledger) -> DriftReport:
    """Look at all of the tenants. Nothing is written.

    :raises StateError: if a revision fails on an empty database.
    """
    wanted = schema.plan().structure
    slugs: dict[str, list[str]] = {state: [] for state in ("missing", "behind", "newer", "unknown", "broken")}
    counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
    reasons, differing, current = dict[str, str](), dict[str, list[str]](), set[str]()
    for found in look_at(schema, tenants, StructureReader()):
        slug = found.tenant.slug
        counts[found.state, tuple(sorted(found.versions))] += 1
        if found.state != "current":
            slugs[found.state].append(slug)
        else:
            current.add(slug)
            if found.structure != wanted:
                differing[slug] = differences(wanted, found.structure)
        if found.reason:
            reasons[slug] = found.reason
    chosen = {tenant.slug for tenant in tenants}
    failed = {slug: why for slug, why in ledger.failures().items() if slug in chosen - current - set(reasons)}
    versions = tuple((*key, count) for key, count in counts.most_common())
    return DriftReport(tuple(sorted(schema.heads)), versions, slugs, reasons, failed, differing, tuple(ledger.runs()))
