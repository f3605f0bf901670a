"""The one Redis of a platform: a pool of connections for all tenants, and what to do while it does not answer.

What is asked of it has to do without an answer. An outage is logged once, and the server is then left alone for some
seconds at a time, so that pages do not wait for it one after the other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from .errors import BadSetup, ImportFailed, blaming
from .outages import Outage

if TYPE_CHECKING:
    from redis import Redis

T = TypeVar("T")

#: Seconds to wait for a connection, and for an answer. A Redis that is well answers in a thousandth of that.
TIMEOUT = 0.25
#: Seconds for which it is left alone after it did not answer.
PAUSE = 5.0


class SharedRedis:
    """A Redis as tenants share it. Keys have to begin with the tenant's: see :meth:`key`.

    :param url: as ``redis://host:6379/0``; settings of the client may follow, as ``?socket_timeout=1``.
    :ivar client: the client, whose connections are opened when they are used, and never carried across a fork.
    :raises ImportFailed: if the package ``redis`` is not installed.
    :raises BadSetup: if the address cannot be read.
    """

    def __init__(self, url: str, timer: Callable[[], float] = time.monotonic) -> None:
        with blaming("redis"):
            self.client = _client(url)
        self._timer = timer
        self._changing = threading.Lock()
        self._is_down = False
        self._ask_again = timer()
        self._outage = Outage(
            "Redis does not answer (%s). Pages are served without it, and it is asked again every few seconds. See "
            "whether it runs, has memory left, and is at the address that [platform] redis in tenants.toml gives.",
            "Redis answers again.",
        )

    @staticmethod
    def key(deed_hex: str, *parts: str) -> str:
        """Return a tenant's key: ``tenantry:<deed>:cache:…``."""
        return ":".join(("tenantry", deed_hex, *parts))

    def ask(self, question: Callable[[Redis], T], otherwise: T) -> T:
        """Return what ``question`` gives for the client, and ``otherwise`` where Redis does not answer."""
        from redis import RedisError

        if not self._may_ask():
            return otherwise
        try:
            answer = question(self.client)
        except (RedisError, OSError, UnicodeError) as error:
            self._is_down, self._ask_again = True, self._timer() + PAUSE
            self._outage.begins(error)
            return otherwise
        if self._is_down:
            self._is_down = False
            self._outage.ends()
        return answer

    def _may_ask(self) -> bool:
        """Whether it answered the last time, or it is this thread's turn to see whether it does again."""
        if not self._is_down:
            return True
        with self._changing:
            now = self._timer()
            if now < self._ask_again:
                return False
            self._ask_again = now + PAUSE  # one looks; the others do without meanwhile
            return True


def _client(url: str) -> Redis:
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        reason = f"{error}. [platform] redis needs it: pip install 'tenantry[redis]'"
        raise ImportFailed("redis", reason) from None
    try:
        return Redis.from_url(
            url,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),  # its own retries would make a page wait several times
        )
    except (ValueError, TypeError) as error:
        raise BadSetup(f"The address in [platform] redis cannot be read: {error}") from None
