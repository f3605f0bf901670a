"""The project board in a real browser, against a real gunicorn: with the mouse, with the keyboard alone, with somebody
else at work on the same tasks, with a server that refuses, and without scripts. With ``TENANTRY_SHOTS`` the pages are
kept as pictures in that folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from blueprints.projects import services
from blueprints.projects.models import Project, Task
from browsing import Person, chromium
from conftest import Server
from tenantry import Platform, db
from tenantry.organizations import Organization, add_member
from tenantry.testing import make_platform
from tenantry.times import now
from tenantry.users import CurrentUser, User, become, hash_password

PASSWORD = "correct horse battery"
TOML = """
[tenants.acme]
title = "Acme"
path = "/acme"
languages = ["en", "de"]
sections = ["help"]

[tenants.plain]
title = "Plain"
path = "/plain"
features = ["front", "accounts", "projects"]
"""


@dataclass
class Site:
    """A running server, and the platform on the same files."""

    server: Server
    platform: Platform

    def project(self, name: str, *titles: str, slug: str = "acme") -> int:
        """A new project of an organization to which ada, bob and eve (who only reads) belong, with tasks to be done."""
        with self.platform.tenant(slug):
            ada = db.session.scalar(select(User).where(User.username == "ada"))
            assert ada
            become(CurrentUser.of(ada, "session"))
            organization = db.session.scalar(select(Organization)) or services.create_organization("Rockets")
            for username, role in (("bob", "member"), ("eve", "viewer")):
                other = db.session.scalar(select(User).where(User.username == username))
                assert other
                add_member(organization.id, other.id, role)
            made = services.create_project(organization, name)
            for title in titles:
                services.create_task(made, title)
            return made.id

    def states(self, project: int, slug: str = "acme") -> dict[str, str]:
        """What the database says: title to state."""
        with self.platform.tenant(slug):
            chosen = Task.unscoped().where(Task.project_id == project)
            return {task.title: task.state for task in db.session.scalars(chosen)}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("board")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENANTRY_ENV", "testing")
        platform = make_platform(folder, TOML)
        for slug in ("acme", "plain"):
            with platform.tenant(slug):
                secret = hash_password(PASSWORD)
                for name in ("ada", "bob", "eve"):
                    db.session.add(
                        User(
                            username=name,
                            email=f"{name}@x.example",
                            name=name.capitalize(),
                            password_hash=secret,
                            activated_at=now(),
                        )
                    )
    server = Server(folder, TENANTRY_ENV="testing")
    yield Site(server, platform)
    server.stop()
    platform.databases.close_idle()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def person(
    site: Site,
    browser: Browser,
    username: str = "ada",
    slug: str = "acme",
    width: int = 1200,
    language: str = "en",
    scripts: bool = True,
) -> Person:
    found = Person(browser, f"http://localhost:{site.server.port}/{slug}/", language, width)
    if not scripts:
        found.context.close()
        found.context = browser.new_context(
            viewport={"width": width, "height": 800}, locale=language, java_script_enabled=False
        )
        found.page = found.context.new_page()
    if shots := os.environ.get("TENANTRY_SHOTS"):
        found.shots = Path(shots)
        found.shots.mkdir(parents=True, exist_ok=True)
    if language != "en":
        found.page.goto(f"{found.home}{language}/")
    found.page.goto(f"{found.home}accounts/log-in")
    found.page.fill("[name=login]", username)
    found.page.fill("[name=password]", PASSWORD)
    found.page.click("main button[type=submit]")
    return found


def ready(who: Person, project: int) -> Page:
    who.page.goto(f"{who.home}projects/{project}/")
    who.page.wait_for_selector(".board-ready .keys:not([hidden])")
    return who.page


def card(page: Page, title: str):  # type: ignore[no-untyped-def]
    return page.locator(".task").filter(has=page.get_by_role("link", name=title, exact=True))


def column(page: Page, state: str):  # type: ignore[no-untyped-def]
    return page.locator(f".column[data-state={state}]")


def test_the_mouse_drags_and_the_form_adds(site: Site, browser: Browser) -> None:
    project = site.project("Mouse", "Fly", "Land")
    ada = person(site, browser)
    page = ready(ada, project)
    ada.look("board")
    card(page, "Fly").drag_to(column(page, "doing"))
    expect(page.locator("#said")).to_have_text("“Fly” is now in: In progress.")
    expect(column(page, "doing").locator(".count")).to_have_text("1")
    assert site.states(project) == {"Fly": "doing", "Land": "todo"}
    page.fill(".add [name=title]", "<b>Come home</b>")
    page.keyboard.press("Enter")
    expect(card(page, "<b>Come home</b>")).to_be_visible()
    expect(page.locator(".add [name=title]")).to_have_value("")
    card(page, "<b>Come home</b>").get_by_role("button", name="Done").click()
    expect(column(page, "done").locator(".count")).to_have_text("1")
    page.reload()
    expect(card(page, "<b>Come home</b>")).to_be_visible()
    assert site.states(project) == {"Fly": "doing", "Land": "todo", "<b>Come home</b>": "done"}
    ada.look("board-moved")
    ada.context.close()


def test_the_keyboard_alone_on_a_small_screen_in_german(site: Site, browser: Browser) -> None:
    project = site.project("Keys", "Eins", "Zwei")
    ada = person(site, browser, width=360, language="de")
    page = ready(ada, project)
    ada.look("board-360-de")
    page.locator("body").focus()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('.task') !== null"):
            break
    focused = "document.activeElement.textContent"
    assert page.evaluate(focused) == "Eins"
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == "Zwei"
    assert page.locator(".column ul").first.locator("a").all_inner_texts() == ["Eins", "Zwei"]
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#said")).to_have_text("„Zwei“ ist jetzt in: In Arbeit.")
    assert page.evaluate(focused) == "Zwei", "the focus goes along"
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#said")).to_have_text("„Zwei“ ist jetzt in: Erledigt.")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#said")).to_have_text("„Zwei“ ist in der letzten Spalte.")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(focused) == "Eins"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/projects/tasks/\d+/"))
    ada.look("task-360-de")
    assert site.states(project) == {"Eins": "todo", "Zwei": "done"}
    ada.context.close()


def test_who_was_slower_is_told_and_loses_nothing(site: Site, browser: Browser) -> None:
    project = site.project("Two", "Shared", "Doomed")
    ada, bob = person(site, browser), person(site, browser, "bob")
    page, other = ready(ada, project), ready(bob, project)
    card(other, "Shared").get_by_role("button", name="Done").click()
    expect(other.locator("#said")).to_have_text("“Shared” is now in: Done.")
    card(page, "Shared").get_by_role("button", name="In progress").click()
    expect(page.locator(".trouble")).to_have_text(
        "Somebody has changed “Shared” in the meantime. It is in: Done. Please try again."
    )
    expect(column(page, "done").locator(".task")).to_have_count(1)
    ada.look("board-conflict")
    card(page, "Shared").get_by_role("button", name="In progress").click()
    expect(page.locator("#said")).to_have_text("“Shared” is now in: In progress.")
    with site.platform.tenant("acme"):
        db.session.delete(db.session.scalars(Task.unscoped().where(Task.title == "Doomed")).one())
    card(page, "Doomed").get_by_role("button", name="Done").click()
    expect(page.locator(".trouble")).to_have_text("“Doomed” has been deleted in the meantime.")
    expect(card(page, "Doomed")).to_have_count(0)
    assert site.states(project) == {"Shared": "doing"}
    for each in (ada, bob):
        each.context.close()


def test_what_others_do_shows_by_itself(site: Site, browser: Browser) -> None:
    project = site.project("News", "Mine")
    ada, bob = person(site, browser), person(site, browser, "bob")
    page, other = ready(ada, project), ready(bob, project)
    other.fill(".add [name=title]", "Theirs")
    other.keyboard.press("Enter")
    expect(card(other, "Theirs")).to_be_visible()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(card(page, "Theirs")).to_be_visible()
    card(page, "Theirs").get_by_role("button", name="Done").click()
    expect(page.locator("#said")).to_have_text("“Theirs” is now in: Done.")
    for each in (ada, bob):
        each.context.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param({"status": 500, "body": "{}"}, "Something went wrong, and nothing was changed. Please try again.", id="500"),
        pytest.param({"status": 503, "body": "<h1>busy</h1>"}, "Something went wrong, and nothing was changed. Please try again.", id="503"),
        pytest.param({"status": 429, "body": "{}", "headers": {"Retry-After": "7"}}, "Too many requests. Please try again in 7 seconds.", id="429"),
        pytest.param({"status": 403, "body": "{}"}, "You may not change this any more. Load the page again.", id="403"),
        pytest.param({"status": 401, "body": "{}"}, "Your log-in has ended. Log in in a new tab, and try again.", id="401"),
        pytest.param({"status": 409, "body": '{"detail": "It is archived."}'}, "That was not possible: It is archived.", id="409"),
        pytest.param(None, "The server cannot be reached, and nothing was changed. Please try again.", id="offline"),
    ],
)  # fmt: skip
def test_what_the_server_refuses_is_undone_and_told(
    site: Site, browser: Browser, answer: dict[str, object] | None, said: str
) -> None:
    project = site.project("Trouble", "Stay")
    ada = person(site, browser)
    page = ready(ada, project)
    page.route(
        "**/api/v1.0/tasks/*",
        lambda route: route.fulfill(content_type="application/problem+json", **answer) if answer else route.abort(),
    )
    card(page, "Stay").get_by_role("button", name="Done").click()
    expect(page.locator(".trouble")).to_have_text(said)
    expect(column(page, "todo").locator(".task")).to_have_count(1)
    page.unroute("**/api/v1.0/tasks/*")
    card(page, "Stay").get_by_role("button", name="Done").click()
    expect(page.locator("#said")).to_have_text("“Stay” is now in: Done.")
    expect(page.locator(".trouble")).to_be_hidden()
    ada.context.close()


def test_without_scripts_it_is_all_there(site: Site, browser: Browser) -> None:
    project = site.project("Paper", "First")
    ada = person(site, browser, scripts=False)
    page = ada.page
    page.goto(f"{ada.home}projects/{project}/")
    expect(page.locator(".keys")).to_be_hidden()
    page.fill(".add [name=title]", "Second")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".flash.success")).to_have_text("The task has been created.")
    card(page, "Second").get_by_role("button", name="Done").click()
    expect(page.locator(".flash.success")).to_have_text("“Second” is now in: Done.")
    card(page, "First").get_by_role("link").click()
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Due on").fill("2030-01-02")
    page.get_by_label("Assigned to").select_option("Bob")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("textbox", name="Comment").fill("Looks good")
    page.get_by_role("button", name="Comment").click()
    expect(page.locator(".comment .lines")).to_have_text("Looks good")
    assert site.states(project) == {"First": "todo", "Second": "done"}
    ada.context.close()


def test_a_tenant_without_the_api_has_the_board_of_forms(site: Site, browser: Browser) -> None:
    project = site.project("Plain", "Only", slug="plain")
    ada = person(site, browser, slug="plain")
    page = ada.page
    page.goto(f"{ada.home}projects/{project}/")
    ada.look()
    assert page.locator("script").count() == 0
    card(page, "Only").get_by_role("button", name="Done").click()
    expect(page.locator(".flash.success")).to_have_text("“Only” is now in: Done.")
    ada.context.close()


def test_who_only_reads_has_nothing_to_press(site: Site, browser: Browser) -> None:
    project = site.project("Glass", "Look")
    eve = person(site, browser, "eve")
    eve.open(f"projects/{project}/")
    assert eve.page.locator("main button").count() == 0
    assert eve.page.locator("script").count() == 0
    with site.platform.tenant("acme"):
        assert db.session.scalars(Project.unscoped().where(Project.id == project)).one().name == "Glass"
    eve.context.close()
