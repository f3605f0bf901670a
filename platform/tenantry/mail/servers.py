"""Mail servers that do not answer are left alone for a while, by all tenants of this process.

One attempt at a server that hangs takes a worker's thread for many seconds. So once a server has failed, one thread at
a time looks whether it is back, and the others go on with the mails of other servers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

#: Seconds for which a server that failed is left alone: doubled each time, from the first to the last.
FIRST_PAUSE, LAST_PAUSE = 10.0, 60.0
#: Seconds after which to ask again while another thread looks whether a server is back.
_WHILE_TRIED = 5.0


#: A server as one speaks to it: host, port, and whether by MAIL_USE_SSL or MAIL_USE_TLS. A tenant whose mails wait for
#: an answer that never comes, as it speaks TLS to a port that does not, must not let those of others wait.
Server = tuple[str, int, bool, bool]


@dataclass
class _Trouble:
    pause: float
    until: float
    tried_by: object = None


class Servers:
    """What is known of the mail servers."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._changing = threading.Lock()
        self._troubles: dict[Server, _Trouble] = {}

    def pause(self, server: Server, who: object) -> float:
        """Return the seconds to leave a server alone; 0 if this thread may try it.

        Tell ``answered``, ``failed`` or ``left`` then.

        :param who: who asks, and has the turn where it is one's turn.
        """
        with self._changing:
            trouble = self._troubles.get(server)
            if trouble is None:
                return 0.0
            if (left := trouble.until - self._timer()) > 0:
                return left
            if trouble.tried_by not in (None, who):
                return _WHILE_TRIED
            trouble.tried_by = who
            return 0.0

    def left(self, server: Server, who: object) -> None:
        """Note that a server was not tried after all, by whoever had the turn; nobody else gives it back."""
        with self._changing:
            if (trouble := self._troubles.get(server)) is not None and trouble.tried_by is who:
                trouble.tried_by = None

    def answered(self, server: Server) -> None:
        """Note that a server answers."""
        with self._changing:
            self._troubles.pop(server, None)

    def failed(self, server: Server) -> float:
        """Note that a server did not answer. Return the seconds for which it is left alone."""
        with self._changing:
            now, trouble = self._timer(), self._troubles.get(server)
            if trouble is not None and now < trouble.until:
                return trouble.until - now  # several threads were at it
            pause = min(trouble.pause * 2, LAST_PAUSE) if trouble else FIRST_PAUSE
            self._troubles[server] = _Trouble(pause, now + pause)
            return pause


#: Of this process.
SERVERS = Servers()
