"""How often something may be tried: counted in the tenant's own database, so that all workers count together.

The windows are those of the ``limits`` library; only where it counts is ours.
"""

from __future__ import annotations

import hashlib
import math
import time
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, case, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from .. import db
from .models import Attempts
from .refusals import TooManyAttempts

if TYPE_CHECKING:
    from limits import RateLimitItem


class Throttle:
    """So many attempts in a time: ``Throttle("log-in", "10 per 15 minute")``.

    :param name: what is tried.
    :param rate: in the notation of ``limits``.
    """

    def __init__(self, name: str, rate: str) -> None:
        self.name = name
        self.rate = rate

    def count(self, *who: str) -> None:
        """Count an attempt of somebody.

        :raises TooManyAttempts: if that was one too many.
        """
        key, now = self._key(who), time.time()
        ends = now + self._item.get_expiry()
        over = Attempts.expires_at <= now
        counted = insert(Attempts).values(key=key, count=1, expires_at=ends)
        counted = counted.on_conflict_do_update(
            set_={
                "count": case((over, 1), else_=Attempts.count + 1),
                "expires_at": case((over, ends), else_=Attempts.expires_at),
            }
        )
        count, ends = db.session.execute(counted.returning(Attempts.count, Attempts.expires_at)).one()
        db.session.execute(delete(Attempts).where(over))  # each time, as what is done now and then would tell when
        if count > self._item.amount:
            raise TooManyAttempts(_seconds_to(ends))

    def check(self, *who: str) -> None:
        """Look whether an attempt is left, and count none.

        :raises TooManyAttempts: if none is.
        """
        found = db.session.execute(select(Attempts.count, Attempts.expires_at).where(self._running(who))).first()
        if found is not None and found[0] >= self._item.amount:
            raise TooManyAttempts(_seconds_to(found[1]))

    def take_back(self, *who: str) -> None:
        """Count one attempt less: it was no guess."""
        db.session.execute(update(Attempts).where(self._running(who)).values(count=Attempts.count - 1))

    def forget(self, *who: str) -> None:
        """Let somebody begin anew."""
        db.session.execute(delete(Attempts).where(Attempts.key == self._key(who)))

    @cached_property
    def _item(self) -> RateLimitItem:
        from limits import parse  # where something is throttled, and not in every process

        return parse(self.rate)

    def _key(self, who: tuple[str, ...]) -> str:
        """Who they are is what somebody typed: of any length, and nobody's business."""
        return hashlib.sha256(self._item.key_for(self.name, *who).encode("utf-8", "replace")).hexdigest()

    def _running(self, who: tuple[str, ...]) -> ColumnElement[bool]:
        return (Attempts.key == self._key(who)) & (Attempts.expires_at > time.time())


def _seconds_to(moment: float) -> int:
    return max(1, math.ceil(moment - time.time()))
