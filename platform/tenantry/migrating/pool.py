"""The processes that migrate: replaced after a while, so that memory does not climb, and when they die.

Each has a pipe of its own, so that where one is killed it is known which tenant it was at. That one is tried once more.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from ..errors import StateError
from .ledger import Result
from .work import Batch, main

#: Tenants after which a process is replaced.
RECYCLE = 250
#: Seconds after which it is looked up, as Ctrl-C that comes just before a wait does not end that.
_LOOK = 1.0
#: How often a tenant is begun at most, should the process die each time.
_ATTEMPTS = 2


@dataclass
class _Hand:
    """A process, with what it has not told of yet."""

    process: BaseProcess
    connection: Connection
    todo: deque[Batch] = field(default_factory=deque)
    taken: int = 0
    is_ready: bool = False


class Pool:
    """Some processes that migrate.

    :param jobs: how many.
    :param root: folder from which the blueprints are imported.
    :param folders: the blueprints' migrations folders.
    """

    def __init__(self, jobs: int, root: Path, folders: tuple[Path, ...]) -> None:
        self._jobs, self._arguments = jobs, (root, folders)
        # Processes of a server that has imported everything, and never a fork of this one, which has threads.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tenantry.cli", main.__module__])
        self._crashes: Counter[str] = Counter()

    def run(self, batches: Iterable[Batch]) -> Iterator[Result]:
        """Give what became of each tenant, as it becomes known.

        :raises StateError: if the processes cannot be started.
        """
        waiting, hands = deque(batches), dict[Connection, _Hand]()
        try:
            while waiting or hands:
                while waiting and len(hands) < self._jobs:
                    hand = self._start()
                    hands[hand.connection] = hand
                    _hand_over(hand, waiting)
                for connection in wait(list(hands), _LOOK):
                    yield from self._listen(hands, hands[connection], waiting)  # type: ignore[index]  # only ours
        finally:
            for hand in hands.values():
                hand.connection.close()

    def _start(self) -> _Hand:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=main, args=(theirs, *self._arguments))
        process.start()
        theirs.close()  # so that the pipe ends when the process does
        return _Hand(process, ours)

    def _listen(self, hands: dict[Connection, _Hand], hand: _Hand, waiting: deque[Batch]) -> Iterator[Result]:
        try:
            result: Result | None = hand.connection.recv()
        except (EOFError, OSError):
            del hands[hand.connection]
            yield from self._after_death(hand, waiting)
            return
        if result is None:
            hand.is_ready = True
            return
        hand.todo.popleft()
        yield result
        if not hand.todo and not (hand.taken < RECYCLE and _hand_over(hand, waiting)):
            hand.connection.close()  # it ends by itself
            del hands[hand.connection]

    def _after_death(self, hand: _Hand, waiting: deque[Batch]) -> Iterator[Result]:
        hand.connection.close()
        hand.process.join()
        code = hand.process.exitcode or 0
        if not hand.is_ready:
            raise StateError(f"The processes that migrate cannot be started: the first ended with status {code}.")
        culprit = hand.todo[0]
        (tenant, versions), *_ = culprit.tenants
        self._crashes[tenant.slug] += 1
        if self._crashes[tenant.slug] >= _ATTEMPTS:
            hand.todo.popleft()
            before = tuple(sorted(versions))
            how = f"by signal {-code}" if code < 0 else f"with status {code}"
            reason = f"The process that migrated it ended {how}, twice. Nothing of it was kept."
            yield Result(tenant.slug, "failed", before, before, 0.0, reason)
        waiting.extendleft(reversed(hand.todo))  # each by itself from here on


def _hand_over(hand: _Hand, waiting: deque[Batch]) -> bool:
    """Give a process the next batch. Return whether there was one."""
    if not waiting:
        return False
    batch = waiting.popleft()
    hand.todo = deque(Batch((one,), batch.closing) for one in batch.tenants)
    hand.taken += len(batch.tenants)
    with suppress(OSError):  # it has died, which is told when it is listened to
        hand.connection.send(batch)
    return True
