"""What a process serves at its start: the files where they are good, else the last good generation of them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .accepting import Accepted, candidate_of, decide
from .errors import ConfigError, Problem, StateError
from .generations import Generations, state_dir_of
from .memory import Memory
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
    verdict = decide(generations, Sources(file), memory, lambda registry: ())
    if isinstance(verdict, Accepted):
        return InForce(verdict.registry, verdict.generation.number)
    return _last_good(generations, memory, verdict.problems)


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
