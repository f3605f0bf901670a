"""What is new in an edit: code that this process has not imported. Another process does so first (``trial.py``)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .accepting import Candidate
from .changes import some
from .checking import changed, code_of, problems_of_edit
from .errors import Problem
from .last_good import new_ones
from .sources import Sources
from .trial import Trial

if TYPE_CHECKING:
    from .app import Platform
    from .registry import Registry, Tenant

log = logging.getLogger("tenantry")

#: Seconds in which everything has to be imported that is new, and tenants of which a second is for each.
TRIAL_SECONDS = 30.0
_A_SECOND = 50


class BeingTried(Exception):
    """Another process looks at an edit just now. It is decided once that has ended."""


class Novelty:
    """Looks at what edits name, in another process where this one has not imported it.

    :param platform: what is served. Known is what its apps were built of, and what was tried before.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._platform_code = {platform.registry.code}
        self._names: set[str] = set()
        self._configs: set[int] = set()
        self._trial: Trial | None = None
        self._digest = self._whose = ""

    def is_tried(self) -> bool:
        """Whether a trial runs."""
        return self._trial is not None and not self._trial.poll()

    @property
    def whose(self) -> str:
        """For whom a trial runs, in words; empty where none does."""
        return self._whose if self.is_tried() else ""

    def forget(self) -> None:
        """End the trial, if there is one."""
        if self._trial is not None:
            self._trial.stop()
            self._trial = None

    def problems(self, candidate: Candidate) -> list[Problem]:
        """Return what is wrong with what an edit names.

        :raises BeingTried: while another process looks at it.
        """
        slugs = self._new_ones(candidate.registry)
        if slugs is None or slugs:
            if self._trial is None or self._digest != candidate.sources.digest:
                self._begin(candidate, slugs)
            if self.is_tried():
                raise BeingTried
            if self._trial and (
                problems := new_ones(self._trial.problems(), candidate.registry, self._platform.registry)
            ):
                return problems
        problems = problems_of_edit(self._platform, candidate.registry, candidate.sources)
        if not problems:
            self._platform_code.add(candidate.registry.code)
            accepted = changed(self._platform.registry, candidate.registry)
            self._names |= code_of(accepted)
            self._configs |= _configs_of(accepted)
        return problems

    def _begin(self, candidate: Candidate, slugs: Sequence[str] | None) -> None:
        self.forget()
        self._whose = "the platform" if slugs is None else some(slugs)
        log.info("The file names code that has to be imported first, for %s.", self._whose)
        self._trial, self._digest = _begun(candidate, slugs), candidate.sources.digest

    def _new_ones(self, registry: Registry) -> list[str] | None:
        """Return the tenants that an edit changes and that name or configure what is new; ``None`` for everything."""
        if registry.code not in self._platform_code:
            return None
        built = [app.source for app in self._platform.live.apps() if app.source]
        known = code_of(built) | self._names
        if "" in known:
            known.update(self._platform.blueprints.names())
        # By its configuration a blueprint or an extension may choose what to import.
        configs = _configs_of(built) | self._configs
        return [
            tenant.slug
            for tenant in changed(self._platform.registry, registry)
            if not code_of([tenant]) <= known or hash(repr(tenant.config)) not in configs
        ]


def _configs_of(tenants: Iterable[Tenant]) -> set[int]:
    """Return by what configurations are told apart: no more, as they have passwords, and old ones need not be kept."""
    return {hash(repr(each)) for each in {id(tenant.config): tenant.config for tenant in tenants}.values()}


def problems_of_changes(candidate: Candidate, before: Registry, slugs: Sequence[str] | None = None) -> list[Problem]:
    """Let another process look at what is different from what is in force, and wait for it; return what is wrong.

    :param slugs: tenants to look at; those that are different, where it is left out.
    """
    registry = candidate.registry
    if registry.code != before.code:
        return new_ones(_begun(candidate, None).problems(), registry, before)
    slugs = [tenant.slug for tenant in changed(before, registry)] if slugs is None else slugs
    return _begun(candidate, slugs).problems() if slugs else []


def problems_of_all(sources: Sources, count: int) -> list[Problem]:
    """Let another process look at everything, and wait for it; return what is wrong.

    :param count: how many tenants there are.
    """
    return Trial(sources, seconds_for(count)).problems()


def _begun(candidate: Candidate, slugs: Sequence[str] | None) -> Trial:
    return Trial(candidate.sources, seconds_for(len(candidate.registry if slugs is None else slugs)), slugs)


def seconds_for(count: int) -> float:
    """Return how long a look at so many tenants may take."""
    return TRIAL_SECONDS + count / _A_SECOND
