"""Sweeping: finding mails that wait and whose wake-up was lost, as with a process that was killed before it called.

It has to be cheap for thousands of tenants. So a database is looked into only if its files have changed since the last
time, or if there was a mail waiting in it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import exists, select
from sqlalchemy.exc import DatabaseError

from .. import deed as deeds
from ..errors import DatabaseUnavailable, explain
from ..jobs.calls import Call
from ..sqlite import DatabaseFile, side_files
from ..times import now
from .delivery import deliver
from .outbox import Outbox, is_due

if TYPE_CHECKING:
    from ..app import Platform
    from ..registry import Tenant

log = logging.getLogger("tenantry")

#: Nanoseconds for which a time of change may also be that of a later change, as clocks of file systems are coarse.
_COARSE = 2_000_000_000
#: What a call without arguments has.
_NO_ARGUMENTS = "[[],{}]"
#: Of the database and its log: time of change in nanoseconds, size in bytes, inode; ``None`` where there is none.
_Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    stamp: _Stamp
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
            stamp = _stamp(tenant)
            seen = self._seen.get(tenant.slug)
            if stamp[0] is None or (seen is not None and not seen.has_waiting and seen.stamp == stamp):
                continue
            looked += 1
            self._look(platform, tenant, stamp)
        return looked

    def _look(self, platform: Platform, tenant: Tenant, stamp: _Stamp) -> None:
        try:
            has_waiting, is_any_due, deed = _read(platform, tenant)
        except (DatabaseError, DatabaseUnavailable, OSError) as error:  # its app tells the operator, where it is built
            log.debug("The outbox of tenant '%s' could not be looked into: %s", tenant.slug, explain(error))
            self._seen.pop(tenant.slug, None)
            return
        self._seen[tenant.slug] = _Seen(stamp if _is_settled(stamp) else (), has_waiting)
        if is_any_due and deed is not None:
            self._push(platform, Call(deliver.name, tenant.slug, deed, _NO_ARGUMENTS))


def _read(platform: Platform, tenant: Tenant) -> tuple[bool, bool, str | None]:
    """Return whether there are mails waiting, whether one is due, and the deed. Past the table of open connections."""
    file = DatabaseFile.at(tenant.database_file, tenant.limits.database_mb)
    with platform.databases.direct(file, "read") as connection:
        if not connection.scalar(select(exists().where(Outbox.due_at.is_not(None)))):
            return False, False, None
        deed = deeds.read(connection)
        is_any_due = bool(connection.scalar(select(exists().where(is_due(now())))))
        return True, is_any_due, deed.id.hex if deed else None


def _stamp(tenant: Tenant) -> _Stamp:
    file = tenant.database_file
    return tuple(_stamp_of(str(path)) for path in (file, side_files(file)[0]))


def _stamp_of(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _is_settled(stamp: _Stamp) -> bool:
    """Whether a change from now on would show in the stamp."""
    return all(part is None or part[0] < time.time_ns() - _COARSE for part in stamp)
