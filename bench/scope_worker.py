"""Serves a page that knows no organizations, with the security context and without it, for :mod:`bench.api_scope`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import process_time
from typing import Any

from sqlalchemy.orm import Session

from tenantry import db, organizations, sqlite_dialect
from tenantry.filtered_session import FilteredSession

from .instructions_worker import WARM, Pages
from .visits import PAGES
from .workers import Answers, answer_questions

#: The page, as it is served; in SQLAlchemy's own session; and without the look at the SQL as well.
PAGE = "database read"
BOOK = {f"{PAGE}{what}": PAGES[PAGE] for what in ("", ", no filter", ", no guard either")}


class Scoped(Pages):
    """The page of one tenant, as WSGI calls, in its three ways.

    :param side: ``tenantry``.
    :param prefix: stands before the path of the page.
    """

    def __init__(self, side: str, prefix: str = "") -> None:
        super().__init__(side, prefix, book=BOOK)

    def count(self, page: str, counts: list[int]) -> Answers:
        """Ask for the page so many times, then so many, in one of its ways."""
        with _without(page):
            return super().count(page, counts)

    def time(self, page: str, requests: int) -> Answers:
        """Return the processor time of the page in one of its ways, in microseconds a request."""
        app, environ = self._app(page), self._environ(page)
        with _without(page):
            self._serve(app, environ, WARM)
            began = process_time()
            self._serve(app, environ, requests)
            return {"us": (process_time() - began) / requests * 1e6}

    def tasks(self) -> dict[str, Callable[..., Answers]]:
        """What it is asked for."""
        return {**super().tasks(), "time": self.time}


@contextmanager
def _without(page: str) -> Iterator[None]:
    """Leave out, for as long as the block lasts, what the way of the page is without."""
    assert type(FilteredSession.narrowing).__module__.startswith(organizations.__name__), "else nothing is filtered"
    ways = list(BOOK)
    with ExitStack() as stack:
        if page != ways[0]:
            stack.callback(setattr, db, "FilteredSession", FilteredSession)
            setattr(db, "FilteredSession", Session)  # noqa: B010  # an attribute that types do not export
        if page == ways[2]:
            kept: Any = sqlite_dialect._guard
            sqlite_dialect._guard = lambda statement, context: None
            stack.callback(setattr, sqlite_dialect, "_guard", kept)
        yield


if __name__ == "__main__":
    answer_questions(Scoped(*sys.argv[1:]).tasks())
