"""Sweeping: finding mails that wait and whose wake-up was lost, as with a process that was killed before it called.

It has to be cheap for thousands of tenants. So a database is looked into only if its files have changed since the last
time, or if there was a mail waiting in it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.exc import DatabaseError

from .. import deed as deeds
from ..errors import DatabaseUnavailable
from ..explaining import explain
from ..files import Stamp, stamp_of
from ..jobs.calls import Call
from ..sqlite import DatabaseFile, side_files
from ..times import now
from .delivery import deliver
from .outbox import Outbox, is_due

if TYPE_CHECKING:
    from ..app import Platform
    from ..registry import Tenant

log = logging.getLogger("tenantry")

#: Nanoseconds within which two changes may have the same time, as clocks of file systems are coarse.
_COARSE = 2_000_000_000
#: Of the database and its log.
_Stamps = tuple[Stamp | None, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    stamps: _Stamps
    has_waiting: bool


class Sweeper:
    """Wakes workers for the tenants that have mails due.

    :param push: puts a call on the queue.
    """

    def __init__(self, push: Callable[[Platform, Call], None]) -> None:
        self._push = push
        self._seen: dict[str, _Seen] = {}

    def sweep(self, platform: Platform) -> int:
        """Look once at all active tenants. Return how many databases were looked into."""
        looked = 0
        served = {tenant.slug: tenant for tenant in platform.registry.served() if tenant.status == "active"}
        self._seen = {slug: seen for slug, seen in self._seen.items() if slug in served}
        for tenant in served.values():
            stamps = _stamps(tenant)
            seen = self._seen.get(tenant.slug)
            if stamps[0] is None or (seen is not None and not seen.has_waiting and seen.stamps == stamps):
                continue
            looked += 1
            self._look(platform, tenant, stamps)
        return looked

    def _look(self, platform: Platform, tenant: Tenant, stamps: _Stamps) -> None:
        try:
            has_waiting, is_any_due, deed = _read(platform, tenant)
        except (DatabaseError, DatabaseUnavailable, OSError) as error:  # its app tells the operator, where it is built
            log.debug("The outbox of tenant '%s' could not be looked into: %s", tenant.slug, explain(error))
            self._seen.pop(tenant.slug, None)
            return
        self._seen[tenant.slug] = _Seen(stamps if _are_settled(stamps) else (), has_waiting)
        if is_any_due and deed is not None:
            self._push(platform, deliver.call_for(tenant.slug, deed))


def _read(platform: Platform, tenant: Tenant) -> tuple[bool, bool, UUID | None]:
    """Return whether there are mails waiting, whether one is due, and the deed. Past the table of open connections."""
    file = DatabaseFile.at(tenant.database_file, tenant.limits.database_mb)
    with platform.databases.direct(file, "read") as connection:
        if not connection.scalar(select(exists().where(Outbox.due_at.is_not(None)))):
            return False, False, None
        deed = deeds.read(connection)
        is_any_due = bool(connection.scalar(select(exists().where(is_due(now())))))
        return True, is_any_due, deed.id if deed else None


def _stamps(tenant: Tenant) -> _Stamps:
    file = tenant.database_file
    return stamp_of(file), stamp_of(side_files(file)[0])


def _are_settled(stamps: _Stamps) -> bool:
    """Whether a change from now on would show in the stamps."""
    return all(stamp is None or stamp[0] < time.time_ns() - _COARSE for stamp in stamps)
