"""How often something may be tried: counted in the tenant's own database, so that all workers count together.

The windows are those of the ``limits`` library; only where it counts is ours.
"""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass

from limits import RateLimitItem, parse
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter
from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.dialects.sqlite import insert

from .. import db
from .models import Attempts
from .refusals import TooManyAttempts


class AttemptsStorage(Storage):
    """Counts in the table of :class:`Attempts` of the current tenant. Its methods are described in ``limits``."""

    STORAGE_SCHEME = None

    @property
    def base_exceptions(self) -> type[Exception]:
        return ()  # type: ignore[return-value]  # none is to be wrapped; a tuple is what ``except`` takes

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count one more and return how many there are; the first one opens a window of so many seconds."""
        now = time.time()
        db.session.execute(delete(Attempts).where(Attempts.expires_at <= now))
        counted = insert(Attempts).values(key=_short(key), count=amount, expires_at=now + expiry)
        counted = counted.on_conflict_do_update(set_={"count": Attempts.count + amount})
        return int(db.session.execute(counted.returning(Attempts.count)).scalar_one())

    def get(self, key: str) -> int:
        """Return how many there are."""
        return db.session.scalar(select(Attempts.count).where(_running(key))) or 0

    def get_expiry(self, key: str) -> float:
        """Return when the window closes, in Unix time."""
        return db.session.scalar(select(Attempts.expires_at).where(_running(key))) or time.time()

    def check(self) -> bool:
        """Return that it can be counted: where the database cannot be reached, nothing else goes on either."""
        return True

    def reset(self) -> int | None:
        """Forget all."""
        db.session.execute(delete(Attempts))
        return None

    def clear(self, key: str) -> None:
        """Forget one key."""
        db.session.execute(delete(Attempts).where(Attempts.key == _short(key)))


@dataclass(frozen=True, slots=True)
class Throttle:
    """So many attempts in a time: ``Throttle("log-in", "10 per 15 minutes")``.

    :param name: what is tried.
    :param rate: in the notation of ``limits``.
    """

    name: str
    rate: str

    def count(self, *who: str) -> None:
        """Count an attempt of somebody.

        :raises TooManyAttempts: if that was one too many.
        """
        if not _LIMITER.hit(self._item, self.name, *who):
            raise TooManyAttempts(math.ceil(self.seconds_left(*who)))

    def check(self, *who: str) -> None:
        """Look whether an attempt is left, and count none.

        :raises TooManyAttempts: if none is.
        """
        if not _LIMITER.test(self._item, self.name, *who):
            raise TooManyAttempts(math.ceil(self.seconds_left(*who)))

    def take_back(self, *who: str) -> None:
        """Count one attempt less: it was no guess."""
        _STORAGE.incr(self._item.key_for(self.name, *who), 1, -1)

    def forget(self, *who: str) -> None:
        """Let somebody begin anew."""
        _LIMITER.clear(self._item, self.name, *who)

    def seconds_left(self, *who: str) -> float:
        """Return the seconds until the window closes."""
        return max(1.0, _LIMITER.get_window_stats(self._item, self.name, *who).reset_time - time.time())

    @property
    def _item(self) -> RateLimitItem:
        return parse(self.rate)


def _short(key: str) -> str:
    """Keys hold names and addresses that somebody typed: of any length, and nobody's business."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def _running(key: str) -> ColumnElement[bool]:
    return (Attempts.key == _short(key)) & (Attempts.expires_at > time.time())


_STORAGE = AttemptsStorage()
_LIMITER = FixedWindowRateLimiter(_STORAGE)
