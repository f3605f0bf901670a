"""What a process serves at its start: the files where they are good, else the last good generation of them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .accepting import Accepted, Candidate, candidate_of, decide
from .checking import code_of
from .errors import ConfigError, Problem, StateError
from .generations import Generations, state_dir_of
from .memory import Memory
from .novelty import problems_of_changes
from .registry import Registry
from .sources import Sources


@dataclass(frozen=True, slots=True)
class InForce:
    """What is served, and the number of its generation, 0 where it has none yet; with what is wrong with the files
    where it is not theirs."""

    registry: Registry
    generation: int
    problems: tuple[Problem, ...] = ()


def at_start(file: Path, memory: Memory) -> InForce:
    """Return what a server serves that starts now. What the files say becomes the next generation.

    :raises ConfigError: if the files are not good, and never were.
    :raises StateError: if the state folder cannot be used.
    """
    generations = Generations(state_dir_of(file), file)
    if generations.current() is None:
        Registry.load(Sources(file), memory)  # a mistake is told before a folder is made
    verdict = decide(generations, Sources(file), memory, lambda candidate: _problems(candidate, generations, memory))
    if isinstance(verdict, Accepted):
        return InForce(verdict.registry, verdict.generation.number)
    return _last_good(generations, memory, verdict.problems)


def _problems(candidate: Candidate, generations: Generations, memory: Memory) -> list[Problem]:
    """Return what is wrong with code that was not named before, and with files that were refused already.

    Other tenants' mistakes take down only these, and are told when they are built; nothing is imported for them here.
    """
    current = generations.current()
    if current is None or current.digest == candidate.sources.digest:
        return []
    try:
        before = Registry.load(generations.sources(current.number), memory)
    except (ConfigError, StateError):  # it is damaged, or of code that is not here any more
        return []
    is_known = before.code == candidate.registry.code and code_of(candidate.registry.values()) <= code_of(
        before.values()
    )
    if is_known and not generations.is_refused(candidate.sources.digest):
        return []
    return problems_of_changes(candidate, before)


def in_force(file: Path, memory: Memory) -> InForce:
    """Return what a command works with: the files as they are, or the last good generation. Nothing is written.

    :raises ConfigError: if the files are not good, and never were.
    """
    generations = Generations(state_dir_of(file), file)
    try:
        return InForce(candidate_of(Sources(file), generations, memory).registry, 0)
    except ConfigError as error:
        return _last_good(generations, memory, error.problems)


def _last_good(generations: Generations, memory: Memory, problems: tuple[Problem, ...]) -> InForce:
    current = generations.current()
    numbers = [current.number] if current else []
    for number in [*numbers, *reversed(generations.numbers())]:
        with suppress(ConfigError, StateError):  # it is damaged, or of code that is not here any more
            return InForce(Registry.load(generations.sources(number), memory), number, problems)
    raise ConfigError(problems)
