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

import atexit
import re
import shutil
from collections.abc import Iterator, Mapping
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from flask import has_app_context, has_request_context
from sqlalchemy import select
from werkzeug.http import parse_cookie
from werkzeug.test import Client, TestResponse

from . import db
from .app import Platform
from .floor_plan import FloorPlan
from .jobs.running import INACTIVE_PAUSE, Dropped, NotActive, perform
from .registry import ENVIRONMENT, Registry, Tenant
from .template_code import TemplateCode
from .times import now
from .users.logins import log_in
from .users.models import User

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
        self.platform = platform
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

    def submit(self, path: str, data: Mapping[str, Any] | None = None, *, form: str | None = None) -> TestResponse:
        """Send the form of a page as a browser would: with the token that the page has, and what stands in its fields.

        :param path: the page's path within the tenant.
        :param data: what is typed into the fields, by name; files too, as Werkzeug's client takes them.
        :param form: path to send it to, where it is not the page's own.
        :raises AssertionError: if there is no form to be had.
        """
        page = self.get(path)
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
        assert token, f"{path} answered {page.status} and has no form of tenantry.forms"
        return self.post(form or path, data={"csrf_token": token[1], **(data or {})})

    def log_in(self, username: str = "ada", role: str = "member") -> User:
        """Log an account in, made if need be, without its password. Return it, detached from any session."""
        with self.platform.tenant(self.tenant.slug):
            user = _account(username, role)
        app = self.platform.tenant_app(self.tenant.slug)
        with app.test_request_context(self.prefix + "/", base_url=self.base_url, method="POST") as context:
            log_in(db.session.merge(user))
            response = app.process_response(app.response_class())
            cookie = parse_cookie(response.headers["Set-Cookie"].partition(";")[0])
            context.session.clear()
        for name, value in cookie.items():
            host = self.base_url.partition("://")[2].strip("/")
            self.set_cookie(name, value, domain=host.partition(":")[0], path=self.prefix or "/")
        return user


def _account(username: str, role: str) -> User:
    user = db.session.scalar(select(User).where(User.username == username))
    if user is None:
        user = User(username=username, email=f"{username}@example.com", name=username.capitalize(), activated_at=now())
        db.session.add(user)
    user.role = role
    db.session.flush()
    db.session.refresh(user)
    db.session.expunge(user)
    return user


def client_of(platform: Platform, slug: str, by_path: bool = False) -> TenantClient:
    """Return a client of one tenant."""
    return TenantClient(platform, platform.registry[slug], by_path)


def make_platform(folder: Path, tenants_toml: str = TWO_TENANTS) -> Platform:
    """Write a tenants.toml into ``folder`` and return its platform."""
    file = folder / "tenants.toml"
    file.write_text(tenants_toml, encoding="utf-8")
    return share_between_tests(Platform(Registry.from_file(file)))


_FLOOR_PLAN, _TEMPLATE_CODE = FloorPlan(), TemplateCode()


@cache
def _blank_folder() -> Path:
    folder = mkdtemp(prefix="tenantry-blank-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def share_between_tests(platform: Platform) -> Platform:
    """Let a platform that has no apps yet share compiled rules and templates with others of this process, and the blank
    database that new tenants are copied from; return it.

    They are found by all that they are made of: the blank database by the files of the revisions. It saves most of a
    test's time.
    """
    platform.floor_plan, platform.template_code, platform.blank_folder = _FLOOR_PLAN, _TEMPLATE_CODE, _blank_folder()
    return platform


def run_jobs(platform: Platform, *, delayed: bool = False) -> int:
    """Run what was put on the queue, and what that puts there; return how many jobs ran.

    An error in one reaches the test.

    :param delayed: also those that are to run later, as if that time had come.
    """
    queue, count = platform.queue, 0
    if delayed:
        queue.storage.hasten()
    while (call := queue.take()) is not None:
        try:
            perform(platform, call)
        except NotActive:
            queue.push(call, INACTIVE_PAUSE)
        except Dropped:
            continue
        else:
            count += 1
    return count


def mails_of(platform: Platform, slug: str) -> list[EmailMessage]:
    """Run the jobs, and return the mails that a tenant has sent since the platform was made, oldest first.

    Read one with ``mail["Subject"]``, ``mail["To"]`` and ``mail.get_body(("plain",)).get_content()``.
    """
    run_jobs(platform)
    files = sorted((platform.registry.settings.state_dir / "mail" / slug).glob("*.eml"))
    return [message_from_bytes(file.read_bytes().replace(b"\r\n", b"\n"), policy=default) for file in files]


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
