"""The sites that the page benchmarks compare: the same pages as a tenant, in plain Flask, and without a framework."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

from .apps import HEADERS
from .servers import Answer, Server, ask, serving
from .wrk import Load, load

#: Page to its path within a site.
PAGES = {"hello": "/demo/", "session": "/demo/session"}

_TENANTS = """\
[platform]
blueprints = "bench.blueprints"

[tenants.bench]
path = "/bench"
"""


@dataclass(frozen=True)
class Measured:
    """What the client counted, and the processor time of the server's workers, in microseconds an answer."""

    load: Load
    cpu: float

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
        return cls(whole, sum(each.cpu * each.load.requests for each in slices) / max(requests, 1))


@dataclass(frozen=True)
class Site:
    """A server under test, with its prefix, the pages that it has, and the session cookie that it gave."""

    server: Server
    prefix: str
    pages: tuple[str, ...]
    cookie: str = ""

    def ask(self, page: str, cookie: str = "") -> Answer:
        """Ask for one page once."""
        return ask(self.server.port, self.prefix + PAGES[page], cookie)

    def load(self, page: str, connections: int, seconds: int) -> Measured:
        """Measure one page, as a client that has a session where the page uses one."""
        cookie = self.cookie if page == "session" else ""
        before = self.server.cpu_seconds()
        counted = load(f"http://127.0.0.1:{self.server.port}{self.prefix}{PAGES[page]}", connections, seconds, cookie)
        used = self.server.cpu_seconds() - before
        return Measured(counted, used / max(counted.requests, 1) * 1e6)


@contextmanager
def serve_sites(folder: Path) -> Iterator[dict[str, Site]]:
    """Serve every variant at once, each checked to give the same pages; idle servers cost the busy one nothing.

    :param folder: a temporary folder; the tenant's database stays in it from one call to the next.
    """
    (folder / "tenants.toml").write_text(_TENANTS, encoding="utf-8")
    both = tuple(PAGES)
    with ExitStack() as stack:

        def serve(app: str, prefix: str, pages: tuple[str, ...], **environment: str) -> Site:
            place = folder / app
            place.mkdir(exist_ok=True)
            server = stack.enter_context(serving(f"bench.apps:{app}()", place, environment))
            return _check(Site(server, prefix, pages))

        config = {"TENANTRY_CONFIG": str(folder / "tenants.toml"), "TENANTRY_ENV": "production"}
        tenantry = serve("tenantry", "/bench", both, **config)
        plain = serve("plain", "", both)
        added = json.dumps(_added_headers(tenantry.ask("hello"), plain.ask("hello")))
        yield {
            "tenantry": tenantry,
            "plain": plain,
            "plain_headers": serve("plain_with_headers", "", both, **{HEADERS: added}),
            "bare": serve("bare", "", ("hello",)),
        }


def _added_headers(ours: Answer, theirs: Answer) -> list[tuple[str, str]]:
    """Return the headers that only the first answer has: what Tenantry adds to a page, as it does today."""
    return [(name.title(), value) for name, value in ours.headers.items() if name not in theirs.headers]


def _check(site: Site) -> Site:
    """Return the site with a session's cookie, once its pages have said what they should."""
    assert site.ask("hello").body == b"Hello, World!", "the hello page is another; expected 'Hello, World!'"
    if "session" not in site.pages:
        return site
    cookie = site.ask("session").headers["set-cookie"].partition(";")[0]
    assert site.ask("session", cookie).body == b"Visit 2", "the session cookie was not read; expected 'Visit 2'"
    return replace(site, cookie=cookie)
