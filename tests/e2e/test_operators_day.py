"""What visitors see while an operator works, in a real browser: an edit, maintenance and its pass, a suspension, an export.

The operator uses the command line, beside a real gunicorn.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from browsing import Person, chromium
from conftest import ROOT, Server, environ_without_tenantry


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def tenantry(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tenantry.cli", *arguments],
        cwd=folder,
        env={**environ_without_tenantry(), "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "platform", folder, ROOT)))},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_visitors_notice_what_the_operator_does_and_nothing_else(
    site: Path, serve: Callable[..., Server], browser: Browser
) -> None:
    server = serve(site)
    root = f"http://localhost:{server.port}"
    visitor, staff = Person(browser, f"{root}/acme/"), Person(browser, f"{root}/acme/")
    visitor.open("")
    assert visitor.page.title() == "Acme Corp"
    color = "getComputedStyle(document.querySelector('a')).color"
    before = visitor.page.evaluate(color)

    file = site / "tenants.toml"
    file.write_text(file.read_text().replace('"Acme Corp"', '"Acme & Sons"').replace("#b3261e", "#00695c"))
    tenantry(site, "read-only", "on", "globex")  # which waits until all of that is in force
    visitor.open("")
    assert visitor.page.title() == "Acme & Sons"
    assert visitor.page.evaluate(color) != before

    tenantry(site, "maintenance", "on", "acme")
    answer = visitor.page.goto(f"{root}/acme/en/")
    assert answer is not None
    assert (answer.status, answer.header_value("Retry-After")) == (503, "300")
    visitor.problems.clear()  # the console tells of the 503
    visitor.look()
    assert visitor.sees(re.compile("Acme & Sons"))
    link = re.search(r"https?://\S+maintenance-pass=\S+", tenantry(site, "maintenance", "pass", "acme"))
    assert link is not None
    staff.open(link[0].replace("http://localhost/", f"{root}/"))
    assert "maintenance-pass" not in staff.page.url
    assert staff.page.title() == "Acme & Sons"
    staff.open("help/")
    answer = visitor.page.goto(f"{root}/acme/help/")
    assert answer is not None
    assert answer.status == 503

    tenantry(site, "maintenance", "off", "acme")
    visitor.problems.clear()
    visitor.open("help/")
    tenantry(site, "suspend", "acme")
    answer = visitor.page.goto(f"{root}/acme/help/")
    assert answer is not None
    assert answer.status == 403
    assert visitor.sees("This site is suspended.")
    tenantry(site, "resume", "acme")
    visitor.open("help/")


def test_an_administrator_takes_the_workspaces_data_home(
    site: Path, serve: Callable[..., Server], browser: Browser, tmp_path: Path
) -> None:
    server = serve(site)
    said = tenantry(site, "add", "umbrella", "--title", "Umbrella", "--admin", "alice@example.com")
    link = re.search(r"https?://\S+/reset/\S+", said)
    assert link is not None, said
    admin = Person(browser, f"http://localhost:{server.port}/umbrella/")
    admin.open(link[0].replace("http://localhost/", f"http://localhost:{server.port}/"))
    admin.page.locator("#password").fill("correct horse battery")
    admin.page.get_by_role("button", name="Set password").click()
    admin.page.wait_for_load_state()
    admin.open("accounts/log-in")
    admin.page.locator("#login").fill("alice")
    admin.page.locator("#password").fill("correct horse battery")
    admin.page.locator("#password").press("Enter")
    admin.page.wait_for_load_state()
    admin.open("accounts/export")
    with admin.page.expect_download() as download:
        admin.page.get_by_role("button", name="Download").click()
    target = tmp_path / "export.zip"
    download.value.save_as(target)
    with zipfile.ZipFile(target) as archive:
        names = archive.namelist()
        text = "".join(archive.read(name).decode("utf-8", "replace") for name in names)
    assert any(name.endswith(".jsonl") for name in names)
    assert "alice@example.com" in text
    assert "argon2" not in text
    assert admin.problems == []
