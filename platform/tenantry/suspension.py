"""What ends when a tenant is suspended or archived: its log-ins, and the answers that are still being sent.

The gate lets nobody in any more, but a stream may have been open for hours. Each one of a tenant's app is noted here,
and while there are any, one thread looks every second whether their tenants are still served.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete

from .explaining import explain
from .sqlite import DatabaseFile
from .times import from_unix
from .users.models import Login

if TYPE_CHECKING:
    from .app import Platform
    from .registry import Registry, Tenant

log = logging.getLogger("tenantry")

#: Seconds between two looks at the states of the tenants that have streams.
_PAUSE = 1.0
#: States in which nothing of a tenant is sent on.
_OVER = ("suspended", "archived")


def close_sessions(platform: Platform, tenant: Tenant, since: float) -> int:
    """End every log-in of a tenant that is from before a moment, and return how many there were.

    API tokens stay, for the time when the tenant is active again; until then the gate refuses them.

    :param since: the moment, in Unix time: when the state came into force. A process that gets to this late must not
        end what has begun since.
    :raises DatabaseUnavailable: if the database cannot be written to just now.
    """
    try:
        file = DatabaseFile.at(tenant.database_file, tenant.limits.database_mb)
    except FileNotFoundError:
        return 0
    with platform.databases.direct(file, "write") as connection:
        ended = connection.execute(delete(Login).where(Login.created_at < from_unix(since))).rowcount
        connection.commit()
    return ended


def follow(platform: Platform, before: Registry, since: float) -> None:
    """End the log-ins of the tenants that are suspended now and were not before, or were and are no more.

    The latter too, as the former may have failed, happened while no process was there, or been late for a log-in. What
    fails is logged, and noted to be tried again. Each process does so, and it is done by whichever is first.

    :param since: when the registry came into force, in Unix time.
    """
    was = {slug for slug, tenant in before.items() if tenant.status == "suspended"}
    changed = [
        slug for slug, tenant in platform.registry.items() if (tenant.status == "suspended") is not (slug in was)
    ]
    platform.unended.update(dict.fromkeys(changed, since))
    for slug, reason in end_noted(platform).items():
        if slug in changed:
            log.error("The log-ins of '%s' could not be ended, and are tried again: %s", slug, reason)


def end_noted(platform: Platform) -> dict[str, str]:
    """End the log-ins that are noted to be ended; return the tenants with which it fails, and why."""
    failed: dict[str, str] = {}
    for slug, since in list(platform.unended.items()):
        try:
            if slug in platform.registry:
                close_sessions(platform, platform.registry[slug], since)
            del platform.unended[slug]
        except Exception as error:  # the other tenants' edits are to be taken up, whatever this one's database is
            failed[slug] = explain(error)
    return failed


class Streams:
    """The answers of one process that are made while they are sent.

    :param platform: whose registry says how its tenants are.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[Stream] = weakref.WeakSet()
        self._is_watched = False

    def __len__(self) -> int:
        return len(self._open)

    def note(self, stream: Stream) -> None:
        """Look after a stream until it is dropped."""
        with self._lock:
            self._open.add(stream)
            if not self._is_watched:
                threading.Thread(target=self._watch, name="tenantry-streams", daemon=True).start()
                self._is_watched = True

    def drop(self, stream: Stream) -> None:
        """Look after a stream no more. Once this returns, its connection may be another answer's."""
        with self._lock:
            self._open.discard(stream)

    def _watch(self) -> None:
        while self._look():
            time.sleep(_PAUSE)

    def _look(self) -> bool:
        """Cut the streams of tenants that are no longer served. Return whether any are open."""
        with self._lock:
            for stream in self._open:
                if not self._is_served(stream.slug):
                    stream.cut()
            self._is_watched = len(self._open) > 0
            return self._is_watched

    def _is_served(self, slug: str) -> bool:
        registry = self._platform.registry
        return slug in registry and registry[slug].status not in _OVER


class Stream:
    """The body of an answer, which breaks off where its tenant is no longer served.

    The connection is closed under it, without the mark that ends a whole answer: half of an export must not be taken
    for all of it. So it also ends while the app has nothing to send, or the client does not read.

    :param connection: the socket that it is sent through, where the server tells.
    """

    __slots__ = ("__weakref__", "_body", "_connection", "_is_cut", "_is_noted", "_rest", "_streams", "slug")

    def __init__(self, streams: Streams, slug: str, body: Iterable[Any], connection: socket.socket | None) -> None:
        self.slug = slug
        self._streams = streams
        self._body = body
        self._rest = iter(body)
        self._connection = connection
        self._is_cut = self._is_noted = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if not self._is_noted:  # and not before, as the answer to a HEAD is neither sent nor closed
            self._is_noted = True
            self._streams.note(self)
        if self._is_cut:
            # What gunicorn takes for a client that is gone, and closes the connection without a word.
            raise ConnectionResetError(errno.ECONNRESET, "The tenant is no longer served.")
        return next(self._rest)

    def cut(self) -> None:
        """Close the connection, and end the body when it is asked for more."""
        if not self._is_cut and self._connection is not None:
            with suppress(OSError):  # it is closed already
                self._connection.shutdown(socket.SHUT_RDWR)
        self._is_cut = True

    def close(self) -> None:
        """End the body, as servers do after an answer."""
        self._streams.drop(self)
        if hasattr(self._body, "close"):
            self._body.close()
