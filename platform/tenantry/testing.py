"""Fixtures for authors of blueprints: a platform with two tenants, and proof that nothing is left behind.

In ``conftest.py``::

    pytest_plugins = ["tenantry.testing"]

Then a test takes what it needs::

    def test_hello(acme, globex):
        assert acme.get("/demo/").text == "Hello, World!"

``acme`` has a path door, ``globex`` a host door. Define a fixture ``tenants_toml`` to test with other tenants, and call
:func:`client_of` for theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import has_app_context, has_request_context
from werkzeug.test import Client, TestResponse

from .app import Platform
from .registry import ENVIRONMENT, Registry, Tenant

TWO_TENANTS = """
[defaults]
languages = ["en", "de"]
sections = ["help", "faq"]

[tenants.acme]
title = "Acme"
path = "/acme"

[tenants.globex]
title = "Globex"
hosts = ["globex.localhost"]
languages = ["de", "en"]
"""


class TenantClient(Client):
    """A client of one tenant: it goes through the platform, at the tenant's first door, so paths are the tenant's own.

    :param platform: the platform.
    :param tenant: whose pages are asked for.
    :param by_path: use the path door of a tenant that has both.
    """

    def __init__(self, platform: Platform, tenant: Tenant, by_path: bool = False) -> None:
        super().__init__(platform)
        self.tenant = tenant
        use_host = bool(tenant.hosts) and not by_path
        self.prefix = "" if use_host else tenant.path or ""
        host = tenant.hosts[0] if use_host else tenant.settings.main_host
        self.base_url = f"{tenant.settings.scheme}://{host}/"

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send a request; takes what Werkzeug's ``Client.open`` takes. The answer is read whole."""
        kwargs.setdefault("buffered", True)
        if args and isinstance(args[0], str) and args[0].startswith("/"):
            args = (self.prefix + args[0], *args[1:])
            kwargs.setdefault("base_url", self.base_url)
        return super().open(*args, **kwargs)


def client_of(platform: Platform, slug: str, by_path: bool = False) -> TenantClient:
    """Return a client of one tenant."""
    return TenantClient(platform, platform.registry[slug], by_path)


def make_platform(folder: Path, tenants_toml: str = TWO_TENANTS) -> Platform:
    """Write a tenants.toml into ``folder`` and return its platform."""
    file = folder / "tenants.toml"
    file.write_text(tenants_toml, encoding="utf-8")
    return Platform(Registry.from_file(file))


@pytest.fixture
def tenants_toml() -> str:
    """The tenants.toml that the ``platform`` fixture is made of."""
    return TWO_TENANTS


@pytest.fixture
def platform(tmp_path: Path, tenants_toml: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """A platform on a temporary folder, in the testing environment. Fails if a connection is still lent afterwards."""
    monkeypatch.setenv(ENVIRONMENT, "testing")
    made = make_platform(tmp_path, tenants_toml)
    yield made
    lent = made.databases.lent
    made.databases.close_idle()
    assert lent == 0, f"{lent} database connections were not given back: a context was entered and never left"


@pytest.fixture
def acme(platform: Platform) -> TenantClient:
    """A client of the tenant ``acme``."""
    return client_of(platform, "acme")


@pytest.fixture
def globex(platform: Platform) -> TenantClient:
    """A client of the tenant ``globex``."""
    return client_of(platform, "globex")


@pytest.fixture(autouse=True)
def no_context_left_behind() -> Iterator[None]:
    """Fail a test that leaves an app or request context pushed, as the next test would run in it."""
    yield
    assert not has_request_context(), "a request context was pushed and never popped"
    assert not has_app_context(), "an app context was pushed and never popped"
