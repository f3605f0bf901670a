"""Warm tenants: built in gunicorn's master before it forks, and as right and as apart as all others."""

from __future__ import annotations

import gc
import json
import os
import signal
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from conftest import Server, wait_until
from tenantry import Platform, last_good
from tenantry.errors import ConfigError, StateError
from tenantry.registry import Registry
from tenantry.testing import make_platform
from tenantry.warmth import check_code, warm_slugs, warm_up

Write = Callable[[str, str], Path]
Serve = Callable[..., Server]

BLUEPRINT = """
    import os
    from flask import Blueprint, current_app, render_template
    from tenantry import current_tenant, db

    bp = Blueprint("shop", __name__, url_prefix="/shop", template_folder="templates")
    VERSION = 1

    @bp.get("/")
    def index():
        return {
            "tenant": current_tenant.slug,
            "title": current_tenant.title,
            "page": render_template("shop/page.html"),
            "built_by": current_app.config["BUILT_BY"],
            "served_by": os.getpid(),
            "version": VERSION,
        }
"""

EXTENSION = """
    import os

    def init_app(app):
        app.config["BUILT_BY"] = os.getpid()
        if app.config.get("BROKEN"):
            raise RuntimeError("it is broken")
"""

TENANTS = """
[platform]
blueprints = "{package}"
extensions = ["{package}_ext:init_app"]
warm = {warm}
[tenants.acme]
title = "{title}"
path = "/acme"
{acme}
[tenants.globex]
path = "/globex"
[tenants.old]
path = "/old"
status = "archived"
"""


class Site:
    """A folder with tenants of which some are warm."""

    def __init__(self, folder: Path, package: str, write: Write) -> None:
        self.folder, self.package = folder, package
        self.views = write(f"{package}/shop/__init__.py", BLUEPRINT)
        write(f"{package}/shop/templates/shop/page.html", "the page of {{ current_tenant.title }}")
        (self.views.parent / "templates/shop/picture.png").write_bytes(b"\x89PNG\xff")
        write(f"{package}_ext.py", EXTENSION)

    def configure(self, warm: str = '"all"', title: str = "Acme", acme: str = "") -> Path:
        file = self.folder / "tenants.toml"
        file.write_text(TENANTS.format(package=self.package, warm=warm, title=title, acme=acme))
        return file

    def change_code(self) -> None:
        # Its size changes too, as Python tells by size and second whether what it has compiled is of now.
        self.views.write_text(self.views.read_text().replace("VERSION = 1", "VERSION = 2  # other"))


@pytest.fixture
def shop(tmp_path: Path, package: str, write: Write) -> Site:
    return Site(tmp_path, package, write)


def ask(server: Server, slug: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(server.get(f"/{slug}/shop/").text)
    return found


def wait_for(server: Server, text: str) -> None:
    deadline = time.monotonic() + 30
    while text not in server.output():
        assert time.monotonic() < deadline, f"gunicorn did not say '{text}':\n{server.output()}"
        time.sleep(0.1)


def test_warm_tenants_are_built_by_the_master_and_the_others_by_the_workers(shop: Site, serve: Serve) -> None:
    shop.configure('["acme"]')
    server = serve(shop.folder)
    acme, globex = ask(server, "acme"), ask(server, "globex")
    assert acme["built_by"] == server.process.pid
    assert acme["served_by"] != server.process.pid
    assert globex["built_by"] == globex["served_by"] != server.process.pid
    assert [acme["page"], globex["page"]] == ["the page of Acme", "the page of globex"]


def test_after_a_reload_the_new_workers_have_the_new_configuration_warm(shop: Site, serve: Serve) -> None:
    shop.configure()
    server = serve(shop.folder)
    assert ask(server, "acme")["title"] == "Acme"
    shop.configure(title="Acme & Sons")
    server.reload()
    found = ask(server, "acme")
    assert (found["built_by"], found["title"]) == (server.process.pid, "Acme & Sons")
    assert found["page"] == "the page of Acme &amp; Sons"
    assert ask(server, "globex")["built_by"] == server.process.pid


def test_a_reload_is_refused_while_code_has_changed(shop: Site, serve: Serve) -> None:
    shop.configure()
    server = serve(shop.folder)
    assert ask(server, "acme")["version"] == 1
    shop.change_code()
    shop.configure(title="Acme & Sons")
    os.kill(server.process.pid, signal.SIGHUP)
    wait_for(server, f"{shop.views} has changed. With warm tenants code is read once, when gunicorn starts")
    # The edit is no code, and is taken up as any other is.
    wait_until(lambda: ask(server, "acme")["title"] == "Acme & Sons")
    assert ask(server, "acme")["version"] == 1


def test_without_warm_tenants_a_reload_takes_new_code(shop: Site, serve: Serve) -> None:
    shop.configure("[]")
    server = serve(shop.folder)
    assert ask(server, "acme")["version"] == 1
    shop.change_code()
    server.reload()
    assert ask(server, "acme")["version"] == 2


def test_a_tenant_that_cannot_be_warmed_harms_no_other(shop: Site, serve: Serve) -> None:
    shop.configure(acme="config = { BROKEN = true }")
    server = serve(shop.folder)
    assert server.get("/acme/shop/").status == 503
    assert ask(server, "globex")["built_by"] == server.process.pid
    assert "WARNING tenantry: Tenant 'acme' could not be warmed up" in server.output()
    assert "RuntimeError: it is broken" in server.output()


def test_code_that_was_mended_after_nobody_could_be_warmed_needs_a_restart_and_says_so(
    shop: Site, serve: Serve
) -> None:
    extension = shop.folder / f"{shop.package}_ext.py"
    code = extension.read_text()
    extension.write_text(code.replace("    app.config", "    1 / 0\n    app.config"))
    shop.configure()
    server = serve(shop.folder)
    assert server.get("/acme/shop/").status == 503
    extension.write_text(code)
    os.kill(server.process.pid, signal.SIGHUP)
    wait_for(server, f"{extension} has changed. With warm tenants code is read once, when gunicorn starts")


def test_a_loader_that_cannot_list_its_templates_ends_nothing(shop: Site, serve: Serve) -> None:
    extension = shop.folder / f"{shop.package}_ext.py"
    extension.write_text(
        extension.read_text()
        + "    if app.tenant.slug == 'acme':\n"
        + "        from jinja2 import FunctionLoader\n"
        + "        app.jinja_loader = FunctionLoader(lambda name: None)\n"
    )
    shop.configure()
    server = serve(shop.folder)
    assert ask(server, "acme")["page"] == "the page of Acme"
    assert "Tenant 'acme' could not be warmed up (TypeError" in server.output()
    assert ask(server, "globex")["built_by"] == server.process.pid


def test_the_platform_of_before_is_gone_after_a_reload(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from tenantry import serving

    class Master:
        class log:
            error = staticmethod(lambda *args: pytest.fail(str(args)))
            info = staticmethod(lambda *args: None)

        address: ClassVar[list[Any]] = []
        cfg = SimpleNamespace(address=[])

    shop.configure()
    monkeypatch.chdir(shop.folder)
    monkeypatch.setattr("tenantry.last_good._known", {})
    try:
        serving.check_before_start(Master)
        watched = []
        for number in range(3):
            watched.append(weakref.ref(last_good.get(shop.folder / "tenants.toml").platform))  # type: ignore[union-attr]
            shop.configure(title=f"Acme {number}")
            serving.check_before_reload(Master)
        assert [each() for each in watched] == [None, None, None]
    finally:
        gc.unfreeze()


def test_connections_opened_while_warming_do_not_cross_the_fork(shop: Site) -> None:
    shop.configure()
    platform = Platform(Registry.from_file(shop.folder / "tenants.toml"))
    warm_up(platform)
    with platform.tenant("acme"):
        from tenantry import db

        db.begin(write=False)
    assert platform.databases._idle
    child = os.fork()
    if child == 0:
        os._exit(len(platform.databases._idle))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    ("warm", "live", "expected"),
    [
        ('"all"', 10, ["acme", "globex"]),
        ('"all"', 1, ["acme"]),
        ('["globex", "old"]', 10, ["globex"]),
        ("[]", 10, []),
    ],
)
def test_who_is_warm(tmp_path: Path, warm: str, live: int, expected: list[str]) -> None:
    text = TENANTS.format(package="x", warm=f"{warm}\nlive_tenants = {live}", title="Acme", acme="")
    assert warm_slugs(make_platform(tmp_path, text).registry) == expected


@pytest.mark.parametrize(
    ("warm", "said"),
    [
        ('["acmee"]', "platform.warm: there is no tenant 'acmee'; did you mean 'acme'?"),
        ('["zzz"]', "platform.warm: there is no tenant 'zzz'; expected the name of one"),
        ('["acme", "acme"]', "'acme' stands there twice"),
        ('"some"', "platform.warm: 'some' is neither \"all\" nor a list of tenants; expected one of these"),
        ('"acme"', 'like ["acme"]'),
        ("true", "platform.warm: True is neither"),
        ('["acme", "globex"]\nlive_tenants = 1', "found 2 tenants; expected no more than live_tenants, which is 1"),
    ],
)
def test_mistakes_in_warm_are_told(tmp_path: Path, warm: str, said: str) -> None:
    with pytest.raises(ConfigError) as told:
        make_platform(tmp_path, TENANTS.format(package="x", warm=warm, title="Acme", acme=""))
    assert said in str(told.value)


def test_warming_compiles_the_templates_and_what_is_none_is_left_alone(shop: Site) -> None:
    platform = Platform(Registry.from_file(shop.configure()))
    warm_up(platform)
    kept = {key[1] for key in platform.template_code._codes}  # type: ignore[index]
    assert {"shop/page.html", "tenantry/base.html"} <= kept
    assert "shop/picture.png" not in kept
    assert len(platform.live) == 2


def test_code_that_changed_while_it_was_warmed_up_counts_as_changed(
    shop: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = Platform(Registry.from_file(shop.configure()))
    monkeypatch.setattr("tenantry.warmth._STARTED", shop.views.stat().st_mtime_ns - 1)
    warm_up(platform)
    with pytest.raises(StateError, match="has changed"):
        check_code()


def test_code_that_is_gone_counts_as_changed(shop: Site) -> None:
    platform = Platform(Registry.from_file(shop.configure()))
    warm_up(platform)
    check_code()
    content = shop.views.read_text()
    stat = shop.views.stat()
    shop.views.unlink()
    with pytest.raises(StateError, match="has changed"):
        check_code()
    shop.views.write_text(content + "# more")
    with pytest.raises(StateError, match="has changed"):
        check_code()
    shop.views.write_text(content)  # at another time, but as it was
    assert shop.views.stat().st_mtime_ns != stat.st_mtime_ns
    check_code()


@pytest.fixture(autouse=True)
def nothing_stays_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenantry.warmth._loaded", {})
    monkeypatch.setattr("tenantry.warmth._STARTED", 2**62)  # as if the process had begun after the files were written
    assert gc.get_freeze_count() == 0
