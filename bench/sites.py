"""The sites that the page benchmark compares: the same pages as a tenant, in plain Flask, and without a framework."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from .apps import HEADERS
from .plain_database import DATABASE, SETTINGS
from .servers import Answer, environment, serving
from .visits import DATABASE_PAGES, PAGES, Site

#: The pages that are also measured with Tenantry's headers on the plain side.
_WITH_HEADERS = ("hello", "session")
_PREFIX = "/bench"

# The limits are out of reach, so that no request is refused should they be enforced.
_TENANTS = f"""\
[platform]
blueprints = "bench.blueprints"

[defaults]
limits = {{ concurrency = 10_000, requests_per_minute = 1_000_000_000 }}
config = {{ CANARY = "{{slug}}" }}

[tenants.bench]
path = "{_PREFIX}"
"""


@contextmanager
def serve_sites(folder: Path) -> Iterator[list[Site]]:
    """Serve every variant at once, each checked to give the same pages; idle servers cost the busy one nothing.

    The plain side is two apps, so that its pages without a database are those of Flask alone.

    :param folder: a temporary folder; the databases stay in it from one call to the next.
    """
    (folder / "tenants.toml").write_text(_TENANTS, encoding="utf-8")
    without = tuple(page for page in PAGES if page not in DATABASE_PAGES)
    config = {"TENANTRY_CONFIG": str(folder / "tenants.toml"), "TENANTRY_ENV": "production"}
    with ExitStack() as stack:
        serve = partial(_serve, stack, folder)
        tenantry = serve("tenantry", "tenantry", tuple(PAGES), config, _PREFIX)
        plain = serve("plain", "plain", without, {})
        database = plain_database(folder, tenantry.database_settings())
        headers = json.dumps(_added_headers(tenantry.ask("hello"), plain.ask("hello")))
        sites = [
            tenantry,
            plain,
            serve("plain_database", "plain", DATABASE_PAGES, database),
            serve("plain_with_headers", "plain_headers", _WITH_HEADERS, {HEADERS: headers}),
            serve("bare", "bare", ("hello",), {}),
        ]
        _check_same(sites)
        yield sites


def _serve(
    stack: ExitStack,
    folder: Path,
    app: str,
    variant: str,
    pages: tuple[str, ...],
    more: Mapping[str, str],
    prefix: str = "",
) -> Site:
    """Serve one of the applications until the stack is left; its pages are looked at."""
    place = folder / app
    place.mkdir(exist_ok=True)
    server = stack.enter_context(serving(f"bench.apps:{app}()", place, more))
    return _check(Site(variant, server, prefix, pages))


def plain_database(folder: Path, settings: bytes) -> dict[str, str]:
    """Make the plain side's database, unless it is there. Return the environment that an app on it needs.

    :param settings: of its connections, as JSON.
    """
    file = folder / "plain.db"
    names = {DATABASE: str(file), SETTINGS: settings.decode()}
    if not file.exists():
        subprocess.run([sys.executable, "-m", "bench.plain_database"], env=environment(names), check=True)
    return names


def _added_headers(ours: Answer, theirs: Answer) -> list[tuple[str, str]]:
    """Return the headers that only the first answer has: what Tenantry adds to a page, as it does today."""
    return [(name.title(), value) for name, value in ours.headers.items() if name not in theirs.headers]


def _check(site: Site) -> Site:
    """Return the site with a session's cookie, once its pages have said what they should."""
    for page in site.pages:
        answer, expected = site.ask(page), PAGES[page].holds
        assert answer.status == 200, f"the page '{page}' answered {answer.status}; expected 200"
        assert expected in answer.body, f"the page '{page}' is {answer.body!r}; expected {expected!r} in it"
    if "session" not in site.pages:
        return site
    cookie = site.ask("session").headers["set-cookie"].partition(";")[0]
    assert site.ask("session", cookie).body == b"Visit 2", "the session cookie was not read; expected 'Visit 2'"
    return replace(site, cookie=cookie)


def _check_same(sites: list[Site]) -> None:
    """Make sure that all give the same pages, but for the prefix in their links, and on the same database settings."""
    ours = sites[0]
    for site in sites[1:]:
        for page in site.pages:
            theirs, expected = site.ask(page).body, ours.ask(page).body.replace(ours.prefix.encode(), b"")
            assert theirs == expected, f"{site.variant} answers {theirs!r} for '{page}'; expected {expected!r}"
        if set(DATABASE_PAGES) & set(site.pages):
            assert json.loads(site.database_settings()) == json.loads(ours.database_settings())
