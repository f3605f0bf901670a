"""Serves the API's lists in a process of its own, for :mod:`bench.api_list`, without a server around them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from .api_sites import PAGES, TOKEN
from .instructions_worker import Pages
from .workers import answer_questions

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class Lists(Pages):
    """The lists of one side, as WSGI calls.

    :param side: ``plain`` or ``tenantry``.
    :param prefix: stands before the path of each page.
    """

    def __init__(self, side: str, prefix: str = "") -> None:
        super().__init__(side, prefix, book=PAGES, headers={"Authorization": f"Bearer {os.environ[TOKEN]}"})

    def make_app(self, page: str) -> WSGIApplication:
        """Return the app of the side."""
        if self.side == "tenantry":
            return super().make_app(page)
        from .plain_api import make_app

        return make_app()


if __name__ == "__main__":
    answer_questions(Lists(*sys.argv[1:]).tasks())
