"""Outages of something that is asked again and again: told once when they begin, and once when they are over."""

from __future__ import annotations

import logging
import threading
import time

from .explaining import explain

log = logging.getLogger("tenantry")

#: Seconds for which nothing more is logged, should it come and go.
_QUIET = 60.0


class Outage:
    """Whether something does not answer just now.

    :param begun: what to log when it begins, with one ``%s`` for the error.
    :param over: what to log when it is over.
    """

    def __init__(self, begun: str, over: str) -> None:
        self._begun, self._over = begun, over
        self._changing = threading.Lock()
        self._is_out = self._is_told = False
        self._quiet_until = 0.0

    def begins(self, error: BaseException) -> None:
        """Note that it did not answer."""
        with self._changing:
            is_news = not self._is_out and time.monotonic() >= self._quiet_until
            self._is_out = True
            if is_news:
                self._is_told, self._quiet_until = True, time.monotonic() + _QUIET
        if is_news:
            log.error(self._begun, explain(error).rstrip("."))

    def ends(self) -> None:
        """Note that it did answer."""
        if not self._is_out:
            return
        with self._changing:
            was_told, self._is_out, self._is_told = self._is_told, False, False
        if was_told:
            log.warning(self._over)
