"""What follows once a session's work is kept, or undone: each is bound to the savepoint in which it was asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

log = logging.getLogger("tenantry")


class _Asked(NamedTuple):
    """What was asked for within some transactions, the innermost first, for when they are kept or undone."""

    within: tuple[SessionTransaction, ...]
    when_undone: bool
    function: Callable[[], None]


class Consequences:
    """What follows from the work of one session. Made for the first one that is asked for, as few sessions have any.

    :param session: the session.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._asked: list[_Asked] = []
        self._due: list[Callable[[], None]] = []
        event.listen(session, "after_commit", self._kept)
        event.listen(session, "after_transaction_end", self._ended)

    @property
    def are_waiting(self) -> bool:
        """Whether something was asked for of which it is open whether it is kept."""
        return bool(self._asked)

    def add(self, function: Callable[[], None], when_undone: bool = False) -> None:
        """Let ``function`` be called once what the session is doing is kept; or, instead, once it is undone."""
        if not self._session.in_transaction():
            self._session.begin()
        self._asked.append(_Asked(tuple(_transactions(self._session)), when_undone, function))

    def follow(self) -> None:
        """Call what is due. What one of them writes is kept by itself; one that fails keeps no other from its turn."""
        while self._due:
            function = self._due.pop(0)
            try:
                function()
                self._session.commit()
            except Exception:
                log.exception("What was to follow a change has failed. The change itself is kept.")
                self._session.rollback()

    def _kept(self, session: Session) -> None:
        if (savepoint := session.get_nested_transaction()) is not None:  # what is around it decides now
            self._asked = [
                asked._replace(within=tuple(each for each in asked.within if each is not savepoint))
                for asked in self._asked
            ]
            return
        self._due += [asked.function for asked in self._asked if not asked.when_undone]
        self._asked.clear()

    def _ended(self, session: Session, ended: SessionTransaction) -> None:
        """Drop what was asked for within a transaction that ended and was not kept."""
        undone = [asked for asked in self._asked if ended in asked.within]
        self._asked = [asked for asked in self._asked if ended not in asked.within]
        for asked in undone:
            if asked.when_undone:
                asked.function()


def _transactions(session: Session) -> Iterator[SessionTransaction]:
    current = session.get_nested_transaction() or session.get_transaction()
    while current is not None:
        yield current
        current = current.parent
