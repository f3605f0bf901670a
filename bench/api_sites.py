"""The two sides of the API's benchmark, on real servers, each checked to give the same answers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .api_content import Content
from .api_tenant import PREFIX, make_tenant
from .plain_database import DATABASE, SETTINGS
from .servers import Answer, ask, environment, serving
from .visits import Page, Site

#: What is listed and what is exported.
LISTED = Content(organizations=3, projects=(500,) * 10)
_LIST = "/api/v1.0/tasks?limit=50&project_id=1&sort=-updated_at"
#: The pages that are measured: a list's first part, as it comes by default, and its second by number.
PAGES = {"50 tasks": Page(_LIST, b'"next":"http'), "50 tasks, page 2": Page(f"{_LIST}&page=2", b'"prev":"http')}
#: Names the environment variable with the token, for a process without a server.
TOKEN = "BENCH_TOKEN"
#: Headers that must be the same; of the links, only where they lead may differ.
_SAME_HEADERS = ("content-type", "cache-control")


@dataclass(frozen=True)
class Side:
    """One side, ready to be served.

    :ivar variant: ``tenantry`` or ``plain``.
    :ivar app: what gunicorn imports.
    :ivar prefix: stands before the path of each page.
    :ivar config: the environment that its process needs; with the token.
    """

    variant: str
    app: str
    prefix: str
    config: Mapping[str, str]

    @property
    def headers(self) -> dict[str, str]:
        """What the asker sends."""
        return {"Authorization": f"Bearer {self.config[TOKEN]}"}

    @contextmanager
    def serve(self, folder: Path) -> Iterator[Site]:
        """Serve it from a folder until the block is left."""
        place = folder / self.variant
        place.mkdir(exist_ok=True)
        with serving(self.app, place, self.config) as server:
            yield Site(self.variant, server, self.prefix, tuple(PAGES), book=PAGES, headers=self.headers)


def make_sides(folder: Path, content: Content) -> tuple[Side, Side]:
    """Make the databases of both sides in a folder, with the same content and settings. Tenantry comes first."""
    from .plain_api import TOKEN as PLAIN_TOKEN

    made = make_tenant(folder, content)
    names = {DATABASE: str(folder / "plain.db"), SETTINGS: made.settings}
    command = [sys.executable, "-m", "bench.plain_api", content.to_json()]
    subprocess.run(command, env=environment(names), check=True)
    return (
        Side("tenantry", "bench.apps:tenantry()", PREFIX, {**made.config, TOKEN: made.token}),
        Side("plain", "bench.plain_api:make_app()", "", {**names, TOKEN: PLAIN_TOKEN}),
    )


def check_same(ours: Site, theirs: Site) -> None:
    """Make sure that both answer the same, but for addresses; and that both know what need not be sent again."""
    for page in PAGES:
        one, other = ours.ask(page), theirs.ask(page)
        for site, answer in ((ours, one), (theirs, other)):
            assert answer.status == 200, f"{site.variant} answers {answer.status} for '{page}'; expected 200"
            _check_again(site, page, answer)
        told, expected = _without_addresses(other), _without_addresses(one)
        assert told == expected, f"plain answers {told!r} for '{page}'; expected {expected!r}"
        assert len(told["body"]["items"]) == 50
        assert told["body"]["count"] == 500


def _without_addresses(answer: Answer) -> dict[str, Any]:
    body = json.loads(answer.body)
    for name in ("prev", "next"):
        body[name] = body[name] is not None
    links = [part.rpartition(";")[2] for part in answer.headers["link"].split(",")]
    return {"body": body, "links": links, **{name: answer.headers[name] for name in _SAME_HEADERS}}


def _check_again(site: Site, page: str, answer: Answer) -> None:
    headers = {**site.headers, "If-None-Match": answer.headers["etag"]}
    again = ask(site.server.port, site.prefix + PAGES[page].path, headers)
    assert again.status == 304, f"{site.variant} answers {again.status} to its own entity tag; expected 304"
    stranger = ask(site.server.port, site.prefix + PAGES[page].path, {"Authorization": "Bearer nobody"})
    assert stranger.status == 401, f"{site.variant} answers {stranger.status} to a wrong token; expected 401"
