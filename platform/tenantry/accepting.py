"""Whether an edit of the configuration is taken up: it has to be valid, and must not take customers away by mistake.

A tenant that has gone from the files without having been archived, or renamed by command, is kept as it was. A file
that ends in the middle of what it was is taken for one that was cut off.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from .closing import note_of
from .errors import ConfigError, Problem, StateError
from .generations import PATIENCE, Generation, Generations, Rejection
from .memory import Memory
from .registry import Registry
from .sources import KEPT, Sources
from .tables import cut


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the files would make: a registry, and the tenants that it only has because they are kept."""

    registry: Registry
    sources: Sources
    kept: tuple[str, ...] = ()


#: Looks at what an edit names, beyond the files, and returns what is wrong with it.
Check = Callable[[Candidate], Iterable[Problem]]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A registry that is in force, and as which generation."""

    registry: Registry
    generation: Generation


def candidate_of(
    sources: Sources,
    generations: Generations,
    memory: Memory,
    base: tuple[int, Registry] | None = None,
    *,
    forced: bool = False,
) -> Candidate:
    """Read the files, with what is kept of the generation in force.

    :param base: number and registry of a generation that is at hand, used where it is the one in force.
    :param forced: take a file that looks cut off.
    :raises ConfigError: with all mistakes at once.
    """
    registry = Registry.load(sources, memory)
    current = generations.current()
    if current is None or (current.digest == sources.digest and not current.kept):
        return Candidate(registry, sources)
    try:
        before = generations.sources(current.number)
    except StateError:  # it is damaged, and must not keep a file that is good from being served
        return Candidate(registry, sources)
    was = base[1] if base and base[0] == current.number else Registry.load(before, memory)
    if not forced and (problems := list(_cut_off(sources.texts, before.texts))):
        raise ConfigError(problems)
    gone = [tenant.slug for tenant in was.served() if tenant.slug not in registry]
    gone = [slug for slug in gone if not _is_renamed(slug, registry)]
    return _keeping(gone, sources, before, memory) if gone else Candidate(registry, sources)


def decide(
    generations: Generations,
    sources: Sources,
    memory: Memory,
    check: Check,
    base: tuple[int, Registry] | None = None,
    *,
    forced: bool = False,
    patience: float = PATIENCE,
) -> Accepted | Rejection:
    """Turn the files into the next generation, or refuse them. What is the generation in force stays that.

    :param sources: reads the files.
    :param check: looks at what the files name. What it raises ends this, and nothing is decided.
    :param base: number and registry of a generation that is at hand, used where it is the one in force.
    :param forced: take a file that looks cut off.
    :param patience: seconds for which another process may be at this.
    :raises Held: if it is for longer.
    :raises StateError: if the state folder cannot be used.
    """
    with generations.deciding(patience):
        try:
            candidate = candidate_of(sources, generations, memory, base, forced=forced)
            if problems := list(check(candidate)):
                raise ConfigError(problems)
        except ConfigError as error:
            return generations.reject(sources.digest, error.problems)
        generations.mend()
        current = generations.current()
        if current is None or (current.digest, current.kept) != (sources.digest, candidate.kept):
            current = generations.publish(candidate.sources, candidate.kept)
        return Accepted(candidate.registry, current)


def _is_renamed(slug: str, registry: Registry) -> bool:
    """Whether a tenant is there under the name that a command gives it just now."""
    note = note_of(registry.settings, slug)
    return note is not None and note.task == "rename" and note.details.get("new") in registry


def _keeping(gone: list[str], sources: Sources, before: Sources, memory: Memory) -> Candidate:
    """Return the files' registry with the tenants that have gone from them, as they were."""
    kept = "".join(_table(slug, before) for slug in gone)
    together = Sources(sources.main, replace(sources.to_store(), kept=kept))
    try:
        return Candidate(Registry.load(together, memory), together, tuple(gone))
    except ConfigError as error:
        raise ConfigError([_in_words(problem, sources.main.name) for problem in error.problems]) from None


def _in_words(problem: Problem, main: str) -> Problem:
    if problem.file != KEPT:
        return problem
    slug = problem.key.split(".")[1] if "." in problem.key else "?"
    message = (
        f"gone from the file without having been archived, so it is kept as it was, and that does not fit: "
        f"{problem.message}. Put its table back; then 'tenantry rename' or 'tenantry archive' does what is meant"
    )
    return Problem(main, f"tenants.{slug}", message)


def _table(slug: str, before: Sources) -> str:
    """Return a tenant's own tables as they were, as TOML."""
    for text in (before.kept, *before.texts.values()):
        parts = cut(text)
        if parts is not None and slug in parts.tables:
            return parts.tables[slug].rstrip() + "\n\n"
        raw = tomllib.loads(parts.head if parts else text).get("tenants", {}).get(slug)
        if raw is not None:
            import tomlkit  # which is for editing, and no worker needs

            return tomlkit.dumps({"tenants": {slug: raw}}) + "\n"
    raise AssertionError(f"'{slug}' is in the registry of a generation, and not in its files")


def _cut_off(now: Mapping[str, str], before: Mapping[str, str]) -> Iterable[Problem]:
    """Tell each file that is the beginning of what it was, and ends within a table."""
    for name in now.keys() & before.keys():
        text, old = now[name], before[name]
        if len(text) < len(old) and old.startswith(text) and _ends_within(text, old):
            message = (
                "ends in the middle of what it was, as if it had been cut off while it was written. Write the whole "
                "of it; if this end is meant, let gunicorn reload (kill -HUP), which takes it"
            )
            yield Problem(name, "", message, text.count("\n") + 1)


def _ends_within(text: str, old: str) -> bool:
    """Whether a text ends within a table of the old one, whose beginning it is; not so if whole tenants are gone."""
    now, was = tomllib.loads(text), tomllib.loads(old)
    tenants, were = now.pop("tenants", {}), was.pop("tenants", {})
    return now != was or any(table != were.get(slug) for slug, table in tenants.items())
