"""One run over many tenants: it is looked once, some go first as canaries, and failures stop nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .ledger import Ledger, Result
from .looking import Found, look_at
from .pool import Pool
from .work import Batch, bare

if TYPE_CHECKING:
    from ..app import Platform
    from ..migration_plan import Step
    from ..registry import Tenant
    from ..schema_versions import SchemaVersions

#: Tenants that a process is given at once; and so many where they are closed together.
_AT_ONCE, _CLOSED_AT_ONCE = 8, 24


@dataclass(frozen=True)
class Selection:
    """The tenants that were chosen, and what is to be done to them.

    :ivar found: all tenants that were chosen, as they were found.
    :ivar pending: for each set of versions that is behind, what is to be applied, in order.
    """

    found: tuple[Found, ...]
    pending: dict[frozenset[str], list[Step]]

    def having(self, *states: str) -> list[Found]:
        """Return the tenants of these states, in their order."""
        return [each for each in self.found if each.state in states]

    @property
    def steps(self) -> list[Step]:
        """All revisions that any tenant lacks."""
        return list({step.revision: step for steps in self.pending.values() for step in steps}.values())

    def closes(self, found: Found) -> bool:
        """Whether a tenant has to be closed to workers of older code meanwhile."""
        return not all(step.additive for step in self.pending[found.versions])


@dataclass
class Summary:
    """What became of the tenants that were not current.

    :ivar not_begun: how many were left alone, as a canary has failed.
    """

    results: list[Result] = field(default_factory=list)
    not_begun: int = 0

    def having(self, outcome: str) -> list[Result]:
        """Return those of one outcome, by slug."""
        return sorted((each for each in self.results if each.outcome == outcome), key=lambda each: each.slug)

    @property
    def is_good(self) -> bool:
        """Whether all are as they should be."""
        return not self.not_begun and not self.having("failed")


def select_tenants(schema: SchemaVersions, tenants: Sequence[Tenant]) -> Selection:
    """Look at the tenants, and find out once what those lack that are behind.

    :raises StateError: if the revisions do not fit together, or fail on an empty database; no tenant was touched then.
    """
    found = tuple(look_at(schema, tenants))
    behind = {each.versions for each in found if each.state == "behind"}
    if behind:
        schema.plan()
    return Selection(found, {versions: schema.pending_from(versions, dict) for versions in behind})


def carry_out(
    platform: Platform, selection: Selection, ledger: Ledger, jobs: int, canary: int, tell: Callable[[Result], None]
) -> Summary:
    """Migrate the tenants that are behind.

    :param canary: how many go first, and alone; if one fails, the others are not begun.
    :param tell: told of each tenant, as it becomes known.
    """
    summary, behind, schema = Summary(), selection.having("behind"), platform.schema
    with ledger.writing(len(selection.found), len(behind), schema.heads) as entry:
        pool = Pool(jobs, platform.registry.settings.root, schema.folders[1:])
        for result in _all_results(pool, selection, behind, jobs, canary, summary):
            entry.note(result)
            summary.results.append(result)
            tell(result)
        if summary.not_begun:
            entry.end("stopped")
    return summary


def _all_results(
    pool: Pool, selection: Selection, behind: list[Found], jobs: int, canary: int, summary: Summary
) -> Iterator[Result]:
    for each in selection.having("broken", "unknown"):
        versions = tuple(sorted(each.versions))
        yield Result(each.tenant.slug, "failed", versions, versions, 0.0, each.reason)
    first, rest = behind[:canary], behind[canary:]
    failed = False
    for result in pool.run(_batches(selection, first, jobs)):
        failed |= result.outcome == "failed"
        yield result
    if failed:
        summary.not_begun = len(rest)
        return
    yield from pool.run(_batches(selection, rest, jobs))


def _batches(selection: Selection, tenants: list[Found], jobs: int) -> Iterator[Batch]:
    """Divide tenants into batches, those that are to be closed by themselves."""
    for closing, most in ((False, _AT_ONCE), (True, _CLOSED_AT_ONCE)):
        alike = [(bare(each.tenant), each.versions) for each in tenants if selection.closes(each) is closing]
        size = max(1, min(most, -(-len(alike) // jobs)))
        for start in range(0, len(alike), size):
            yield Batch(tuple(alike[start : start + size]), closing)
