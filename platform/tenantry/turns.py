"""Turns: the writers of one database, in this process, one after the other and first come, first served.

A lock would not do, as Python lets who has just given it up take it again before those that wait.
"""

from __future__ import annotations

import threading
from collections import deque


class Queue:
    """Those that wait for one thing."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._taken = False

    def wait(self, seconds: float) -> bool:
        """Wait for one's turn; return whether it came within so many seconds."""
        with self._changing:
            if not self._taken:
                self._taken = True
                return True
            ticket = threading.Lock()
            ticket.acquire()
            self._waiting.append(ticket)
        return ticket.acquire(timeout=seconds) or not self._leave(ticket)

    def _leave(self, ticket: threading.Lock) -> bool:
        """Stop waiting; return ``False`` where the turn has come at this very moment."""
        with self._changing:
            if ticket not in self._waiting:
                return False
            self._waiting.remove(ticket)
            return True

    def next(self) -> None:
        """End one's turn: whoever waits longest has the next one."""
        with self._changing:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


class Turn:
    """One connection's turn in a queue, which it takes and gives up any number of times."""

    __slots__ = ("_has", "_queue")

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._has = False

    def take(self, seconds: float) -> bool:
        """Wait for it; return whether it came within so many seconds."""
        self._has = self._has or self._queue.wait(seconds)
        return self._has

    def give_up(self) -> None:
        """Let the next one have it, if this connection has it."""
        if self._has:
            self._has = False
            self._queue.next()
