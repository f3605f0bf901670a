"""One site under test: its pages, asked for once, or by wrk for as long as is measured."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean, median

from .servers import Answer, Server, ask
from .slices import ATTEMPTS, Slice, run_evenly
from .wrk import Load, read_load, start


@dataclass(frozen=True)
class Page:
    """A page: its path within a site, its method, and what must stand in it."""

    path: str
    holds: bytes
    method: str = "GET"


#: Every page that is measured, by name.
PAGES = {
    "hello": Page("/demo/", b"Hello, World!"),
    "session": Page("/demo/session", b"Visit"),
    "template": Page("/demo/template", b'/demo/rows/10">Row &lt;10&gt; &amp; more</a> 15.00'),
    "JSON": Page("/demo/json", b'"title":"Row <10> & more"'),
    "database read": Page("/database/read", b"bench, row 20"),
    "database write": Page("/database/write", b"Counted", "POST"),
}
#: The pages that need a database.
DATABASE_PAGES = ("database read", "database write")


@dataclass(frozen=True)
class Measured:
    """What the client counted, and the processor time of the server's workers, in microseconds an answer.

    :ivar repeated: slices that were thrown away, since a worker had next to nothing to do.
    :ivar lost: answers to a write of which the database knows nothing.
    :ivar unasked: writes in the database that no answer, broken connection or request under way at the end explains.
    """

    load: Load
    cpu: float
    repeated: int = 0
    lost: int = 0
    unasked: int = 0

    @classmethod
    def of(cls, slices: list[Slice]) -> Measured:
        """Return the last slice as what was measured. What went wrong in the others counts, too."""
        loads = [read_load(each.counted) for each in slices]
        bad, broken = sum(load.bad_answers for load in loads), sum(load.socket_errors for load in loads)
        return cls(replace(loads[-1], bad_answers=bad, socket_errors=broken), slices[-1].cpu, len(slices) - 1)

    @classmethod
    def together(cls, slices: list[Measured]) -> Measured:
        """Return several slices of equal length as one: rates and processor times averaged, latencies by the median."""
        loads = [each.load for each in slices]
        requests = sum(load.requests for load in loads)
        whole = Load(
            requests=requests,
            rate=fmean(load.rate for load in loads),
            p50=median(load.p50 for load in loads),
            p99=median(load.p99 for load in loads),
            bad_answers=sum(load.bad_answers for load in loads),
            socket_errors=sum(load.socket_errors for load in loads),
        )
        cpu = sum(each.cpu * each.load.requests for each in slices) / max(requests, 1)
        repeated, lost, unasked = (
            sum(getattr(each, name) for each in slices) for name in ("repeated", "lost", "unasked")
        )
        return cls(whole, cpu, repeated, lost, unasked)


@dataclass(frozen=True)
class Site:
    """A server under test.

    :ivar variant: what it is compared as.
    :ivar prefix: stands before the path of each page.
    :ivar pages: the names of those it has.
    :ivar cookie: the session cookie that it gave.
    :ivar book: the pages by name.
    :ivar headers: sent with every request.
    """

    variant: str
    server: Server
    prefix: str
    pages: tuple[str, ...]
    cookie: str = ""
    book: Mapping[str, Page] = field(default_factory=lambda: PAGES)
    headers: Mapping[str, str] = field(default_factory=dict)

    def ask(self, page: str, cookie: str = "") -> Answer:
        """Ask for one page once."""
        return self._ask(self.book[page].path, self.book[page].method, cookie)

    def database_settings(self) -> bytes:
        """Return the settings of the connections that its pages get, as JSON."""
        return self._ask("/database/settings").body

    def load(self, page: str, connections: int, seconds: int) -> Measured:
        """Measure one page, as a client that has a session where the page uses one."""
        if self.book[page].method == "GET":
            return Measured.of(self._load(page, connections, seconds))
        before = self._count_now()
        slices = self._load(page, connections, seconds)
        counted = self._count() - before
        answered = sum(each.counted["requests"] - each.counted["status"] for each in slices)
        # A request that was under way when the client left, or whose connection broke, may have been carried out.
        open_ones = sum(connections + each.counted["socket"] for each in slices)
        lost, unasked = max(0, answered - counted), max(0, counted - answered - open_ones)
        return replace(Measured.of(slices), lost=lost, unasked=unasked)

    def _load(self, page: str, connections: int, seconds: int) -> list[Slice]:
        headers = self._headers(self.cookie if page == "session" else "")
        path, method = self.book[page].path, self.book[page].method
        address = f"http://127.0.0.1:{self.server.port}{self.prefix}{path}"
        # One connection comes to one worker, whatever is tried.
        attempts = ATTEMPTS if connections > 1 else 1
        return run_evenly(
            self.server, lambda: start(address, connections, seconds, [method], headers=headers), attempts
        )

    def _headers(self, cookie: str) -> dict[str, str]:
        return {**self.headers, **({"Cookie": cookie} if cookie else {})}

    def _count(self) -> int:
        """Return how many writes there were, once it stands still."""
        last, now = -1, self._count_now()
        while last != now:
            time.sleep(0.1)
            last, now = now, self._count_now()
        return now

    def _count_now(self) -> int:
        return int(self._ask("/database/count").body)

    def _ask(self, path: str, method: str = "GET", cookie: str = "") -> Answer:
        return ask(self.server.port, self.prefix + path, self._headers(cookie), method)
