"""Serves the pages in a process of its own, for :mod:`bench.instructions`, without a server around them."""

from __future__ import annotations

import cProfile
import gc
import pstats
import re
import sys
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from werkzeug.test import create_environ

from . import apps
from .common import ROOT
from .visits import DATABASE_PAGES, PAGES, Page
from .workers import Answers, answer_questions
from .wrk import NONE

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

#: Requests before anything is counted, so that what is made once is there.
WARM = 20
_LIBRARY = re.compile(r"/site-packages/(\w+)")
#: What a browser sends, as a longer environ is more to read.
_HEADERS = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate",
    "Accept-Language": "en-GB,en;q=0.5",
    "Connection": "keep-alive",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
}


class Pages:
    """The pages of one side, as WSGI calls.

    :param side: ``bare``, ``plain`` or ``tenantry``.
    :param prefix: stands before the path of each page.
    :param book: the pages by name.
    :param headers: sent with every request, beside a browser's.
    """

    def __init__(
        self, side: str, prefix: str = "", *, book: Mapping[str, Page] = PAGES, headers: Mapping[str, str] = NONE
    ) -> None:
        self.side, self._prefix, self._book, self._headers = side, prefix, book, headers
        self._apps: dict[str, WSGIApplication] = {}

    def ask(self, path: str) -> Answers:
        """Ask once for any path of the side."""
        return {"body": self._serve(self._app(""), create_environ(self._prefix + path), 1)[0].decode()}

    def count(self, page: str, counts: list[int]) -> Answers:
        """Ask for a page so many times, then so many; each in a C function by which the profiler knows it."""
        app, environ = self._app(page), self._environ(page)
        self._serve(app, environ, WARM)
        for number in counts:
            gc.collect()
            gc.freeze()  # what is there already must not be looked through at a time that chance decides
            bodies = sys.call_tracing(self._serve, (app, environ, number))
            assert all(self._book[page].holds in body for body in bodies), f"the page '{page}' is {bodies[-1]!r}"
        return {}

    def profile(self, page: str, requests: int) -> Answers:
        """Return where a page's time goes, and its calls of Python functions a request, by library."""
        app, environ = self._app(page), self._environ(page)
        self._serve(app, environ, WARM)
        profile = cProfile.Profile(builtins=False)  # what C functions take is then their caller's
        profile.runcall(self._serve, app, environ, requests)
        seconds: Counter[str] = Counter()
        calls: Counter[str] = Counter()
        found: Any = pstats.Stats(profile)
        for (file, _, _), (_, called, own, _, _) in found.stats.items():
            seconds[_library(file)] += own
            calls[_library(file)] += called
        total = sum(seconds.values())
        return {
            name: {"share": taken / total, "calls": calls[name] / requests} for name, taken in seconds.most_common()
        }

    def tasks(self) -> dict[str, Callable[..., Answers]]:
        """What a worker's process is asked for."""
        return {"ask": self.ask, "count": self.count, "profile": self.profile}

    def name_of_app(self, page: str) -> str:
        """Return the name in :mod:`bench.apps` of the app that has a page."""
        return "plain_database" if self.side == "plain" and page in DATABASE_PAGES else self.side

    def make_app(self, page: str) -> WSGIApplication:
        """Return a new app that has a page."""
        make: Callable[[], WSGIApplication] = getattr(apps, self.name_of_app(page))
        return make()

    def _app(self, page: str) -> WSGIApplication:
        """Return the app that has a page, made when it is first asked for."""
        name = self.name_of_app(page)
        if name not in self._apps:
            self._apps[name] = self.make_app(page)
        return self._apps[name]

    def _environ(self, page: str) -> WSGIEnvironment:
        path, method = self._prefix + self._book[page].path, self._book[page].method
        environ = create_environ(path, method=method, headers={**_HEADERS, **self._headers})
        if page == "session":
            environ["HTTP_COOKIE"] = self._cookie(environ)
        return environ

    def _cookie(self, environ: WSGIEnvironment) -> str:
        """Return the session cookie that a first visit gives."""
        given: list[str] = []

        def start_response(status: str, headers: Iterable[tuple[str, str]], exc_info: Any = None) -> Any:
            given.extend(value.partition(";")[0] for name, value in headers if name == "Set-Cookie")

        _read(self._app("session")(environ.copy(), start_response))
        return given[0]

    @staticmethod
    def _serve(app: WSGIApplication, environ: WSGIEnvironment, count: int) -> list[bytes]:
        return [_read(app(environ.copy(), _start_response)) for _ in range(count)]


def _read(answer: Iterable[bytes]) -> bytes:
    """Do what a server does with an answer: read it whole, then close it, which ends the request's work."""
    body = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    return body


def _start_response(status: str, headers: object, exc_info: object = None) -> Callable[[bytes], object]:
    assert status == "200 OK", f"a page answered {status}; expected 200 OK"
    return _write


def _write(data: bytes) -> object:
    raise AssertionError("nothing of ours uses write()")


def _library(file: str) -> str:
    """Return the name of the library that a file belongs to."""
    if found := _LIBRARY.search(file):
        return found[1]
    if file.startswith(str(ROOT / "platform")):
        return "tenantry"
    if file.startswith(str(ROOT)):
        return "the page itself"
    return "standard library" if file.startswith(sysconfig.get_paths()["stdlib"]) else "generated code"


if __name__ == "__main__":
    answer_questions(Pages(*sys.argv[1:]).tasks())
