"""The project board in a real browser, against a real gunicorn: with the mouse, with the keyboard alone, with somebody
else at work on the same tasks, with a server that refuses, and without scripts. With ``TENANTRY_SHOTS`` the pages are
kept as pictures in that folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from sqlalchemy import select

from blueprints.projects import services
from blueprints.projects.models import Comment, Project, Task
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
    **more: Any,
) -> Person:
    """Somebody who is logged in.

    :param more: of the browser's window, as Playwright has it: without scripts, in the dark, far away.
    """
    found = Person(browser, f"http://localhost:{site.server.port}/{slug}/", language, width)
    if more:
        found.context.close()
        found.context = browser.new_context(viewport={"width": width, "height": 800}, locale=language, **more)
        found.page = found.context.new_page()
        found.page.on("console", lambda message: found._note(message.text, message.type))
        found.page.on("pageerror", lambda error: found._note(str(error), "error"))
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
        each.look()
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
        each.look()
        each.context.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param({"status": 500, "body": "{}"}, "Something went wrong. Please try again.", id="500"),
        pytest.param({"status": 503, "body": "<h1>busy</h1>"}, "Something went wrong. Please try again.", id="503"),
        pytest.param({"status": 429, "body": "{}", "headers": {"Retry-After": "7"}}, "Too many requests. Please try again in 7 seconds.", id="429"),
        pytest.param({"status": 403, "body": "{}"}, "You may not change this any more. Load the page again.", id="403"),
        pytest.param({"status": 401, "body": "{}"}, "Your log-in has ended. Log in in a new tab, and try again.", id="401"),
        pytest.param({"status": 409, "body": '{"detail": "It is archived."}'}, "This is not possible any more; perhaps the project has been archived. Load the page again.", id="409"),
        pytest.param({"status": 422, "body": "{}"}, "The server did not accept this. Please check what you typed.", id="422"),
        pytest.param(None, "The server cannot be reached. Please try again.", id="offline"),
    ],
)  # fmt: skip
def test_what_the_server_refuses_is_undone_and_told(
    site: Site, browser: Browser, answer: dict[str, object] | None, said: str
) -> None:
    project = site.project("Trouble", "First", "Stay", "Last")
    ada = person(site, browser)
    page = ready(ada, project)
    page.route(
        "**/api/v1.0/tasks/*",
        lambda route: route.fulfill(content_type="application/problem+json", **answer) if answer else route.abort(),
    )
    card(page, "Stay").get_by_role("button", name="Done").click()
    expect(page.locator(".trouble")).to_have_text(said)
    assert column(page, "todo").locator(".task a").all_inner_texts() == ["First", "Stay", "Last"], "not where it was"
    assert page.evaluate("document.activeElement.textContent") == "Stay"
    page.unroute("**/api/v1.0/tasks/*")
    card(page, "Stay").get_by_role("button", name="Done").click()
    expect(page.locator("#said")).to_have_text("“Stay” is now in: Done.")
    expect(page.locator(".trouble")).to_be_hidden()
    ada.context.close()


def test_what_was_archived_meanwhile_is_told(site: Site, browser: Browser) -> None:
    project = site.project("Closed", "Late")
    ada = person(site, browser, language="de")
    page = ready(ada, project)
    with site.platform.tenant("acme"):
        services.archive(db.session.scalars(Project.unscoped().where(Project.id == project)).one(), True)
    for trouble in (
        card(page, "Late").get_by_role("button", name="Erledigt"),
        page.get_by_role("button", name="Hinzufügen"),
    ):
        page.fill(".add [name=title]", "Zu spät")
        trouble.click()
        expect(page.locator(".trouble")).to_contain_text("vielleicht wurde das Projekt archiviert")
    expect(page.locator(".add [name=title]")).to_have_value("Zu spät")
    assert site.states(project) == {"Late": "todo"}
    ada.look()
    ada.context.close()


def test_an_answer_that_is_lost_does_nothing_twice(site: Site, browser: Browser) -> None:
    project = site.project("Lost", "Move")
    ada = person(site, browser)
    page = ready(ada, project)

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/api/v1.0/tasks**", lose, times=1)
    page.fill(".add [name=title]", "New")
    page.keyboard.press("Enter")
    expect(page.locator(".trouble")).to_have_text("The server cannot be reached. Please try again.")
    page.keyboard.press("Enter")
    expect(card(page, "New")).to_be_visible()
    page.route("**/api/v1.0/tasks/*", lose, times=1)
    card(page, "Move").get_by_role("button", name="Done").click()
    expect(page.locator(".trouble")).to_be_visible()
    card(page, "Move").get_by_role("button", name="Done").click()
    expect(page.locator("#said")).to_have_text("“Move” is now in: Done.")
    expect(page.locator(".trouble")).to_be_hidden()
    assert site.states(project) == {"Move": "done", "New": "todo"}
    ada.context.close()


def test_who_is_fast_is_not_held_up(site: Site, browser: Browser) -> None:
    """Two steps, the second while the first is on its way, end where they lead."""
    project = site.project("Fast", "Run")
    ada = person(site, browser)
    page = ready(ada, project)

    def linger(route: Route) -> None:
        page.wait_for_timeout(400)
        route.continue_()

    page.route("**/api/v1.0/tasks/*", linger, times=1)
    card(page, "Run").get_by_role("link").focus()
    page.keyboard.press("Shift+ArrowRight")
    expect(card(page, "Run")).to_have_attribute("aria-busy", "true")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#said")).to_have_text("“Run” is now in: Done.")
    expect(card(page, "Run")).not_to_have_attribute("aria-busy", "true")
    assert page.evaluate("document.activeElement.textContent") == "Run"
    assert site.states(project) == {"Run": "done"}
    ada.look()
    ada.context.close()


def test_what_is_moved_goes_where_the_page_would_have_it(site: Site, browser: Browser) -> None:
    project = site.project("Order", "First", "Later", "Soon", "No day")
    with site.platform.tenant("acme"):
        for task in db.session.scalars(Task.unscoped().where(Task.project_id == project)):
            task.due_on = {"Later": date(2030, 2, 1), "Soon": date(2030, 1, 1)}.get(task.title)
            task.state = "todo" if task.title == "Soon" else "doing"
    ada = person(site, browser)
    page = ready(ada, project)
    card(page, "Soon").get_by_role("button", name="In progress").click()
    expect(page.locator("#said")).to_have_text("“Soon” is now in: In progress.")
    there = column(page, "doing").locator(".task a")
    expect(there).to_have_text(["Soon", "Later", "First", "No day"])
    page.reload()
    expect(there).to_have_text(["Soon", "Later", "First", "No day"])
    ada.look()
    ada.context.close()


def test_news_are_known_for_news_wherever_somebody_is(site: Site, browser: Browser) -> None:
    """What a list has told is not taken for what was seen, and a clock in another zone does not make all of it new."""
    project = site.project("Zones", "Near", "Far", "Gone")
    ada = person(site, browser, timezone_id="Asia/Kolkata", color_scheme="dark")
    page = ready(ada, project)
    with site.platform.tenant("acme"):
        tasks = {task.title: task for task in db.session.scalars(Task.unscoped().where(Task.project_id == project))}
        tasks["Far"].title = "Far away"
        tasks["Far"].due_on = date(2030, 1, 2)
        tasks["Far"].assignee_id = db.session.scalars(select(User.id).where(User.username == "bob")).one()
        db.session.delete(tasks["Gone"])
    card(page, "Gone").get_by_role("link").focus()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(card(page, "Far away").locator("p")).to_have_text("Bob due on Jan 2, 2030")
    assert page.evaluate("document.activeElement.textContent") == "Far away", "the focus is lost with the task"
    assert card(page, "Near").get_attribute("data-etag"), "nothing is new about it"
    expect(column(page, "todo").locator(".count")).to_have_text("2")
    with site.platform.tenant("acme"):
        db.session.scalars(Task.unscoped().where(Task.title == "Far away")).one().due_on = date(2020, 1, 2)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(card(page, "Far away").locator(".due.late")).to_have_text("was due on Jan 2, 2020")
    card(page, "Far away").get_by_role("button", name="Done").click()
    expect(column(page, "done").locator(".due:not(.late)")).to_have_text("due on Jan 2, 2020")
    card(page, "Far away").get_by_role("button", name="To do").click()
    expect(column(page, "todo").locator(".due.late")).to_have_text("was due on Jan 2, 2020")
    ada.look("board-dark")
    with site.platform.tenant("acme"):
        db.session.scalars(Task.unscoped().where(Task.title == "Far away")).one().description = "Not seen yet"
    card(page, "Far away").get_by_role("button", name="Done").click()
    expect(page.locator(".trouble")).to_contain_text(
        "Somebody has changed “Far away” in the meantime. It is in: To do."
    )
    ada.context.close()


def test_a_large_board(site: Site, browser: Browser) -> None:
    project = site.project("Large")
    with site.platform.tenant("acme"):
        found = db.session.scalars(Project.unscoped().where(Project.id == project)).one()
        db.session.add_all(
            Task(organization_id=found.organization_id, project_id=project, title=f"Task {n:03}", state="todo")
            for n in range(130)
        )
    ada = person(site, browser)
    page = ready(ada, project)
    count = column(page, "todo").locator(".count")
    expect(count).to_have_text("130")
    last = column(page, "todo").locator(".task").last
    title = last.get_by_role("link").inner_text()
    page.route("**/api/v1.0/tasks/*", lambda route: route.abort())
    last.get_by_role("button", name="Done").click()
    expect(page.locator(".trouble")).to_be_in_viewport()
    ada.problems.clear()  # the browser complains of what did not arrive
    page.unroute("**/api/v1.0/tasks/*")
    card(page, title).get_by_role("button", name="Done").click()
    expect(count).to_have_text("129")
    expect(card(page, title)).not_to_have_attribute("aria-busy", "true")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(column(page, "todo").locator(".task")).to_have_count(100)
    expect(count).to_have_text("129")
    ada.press("All 130 of them", "link")
    assert page.locator(".rows li").count() == 100
    ada.press("Next", "link")
    assert page.locator(".rows li").count() == 29
    ada.context.close()


def test_without_scripts_it_is_all_there(site: Site, browser: Browser) -> None:
    project = site.project("Paper", "First")
    ada = person(site, browser, java_script_enabled=False)
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
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Assigned to")).to_have_value(re.compile(r"\d+"))
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".facts")).to_contain_text("Bob")
    page.get_by_role("textbox", name="Comment").fill("Looks good")
    page.get_by_role("button", name="Add comment").click()
    expect(page.locator(".comment .lines")).to_have_text("Looks good")
    page.get_by_role("button", name="In progress").click()
    expect(page.locator(".flash.success")).to_have_text("“First” is now in: In progress.")
    assert site.states(project) == {"First": "doing", "Second": "done"}
    assert page.locator("h1").inner_text() == "First"
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


def test_the_pages_look_as_they_should(site: Site, browser: Browser) -> None:
    """Every page of an organization, a project and a task fits a small window and a large one, by day and by night."""
    project = site.project(
        "Names that are quite long and have " + "Donaudampfschifffahrtsgesellschaft" * 2, "Fly", "Land"
    )
    with site.platform.tenant("acme"):
        task = db.session.scalars(Task.unscoped().where(Task.project_id == project, Task.title == "Fly")).one()
        task.due_on, task.description = date(2030, 1, 2), "As high as can be.\n\n" + "x" * 300
        task.assignee_id = db.session.scalars(select(User.id).where(User.username == "bob")).one()
        comment = Comment(
            organization_id=task.organization_id, task_id=task.id, body="y" * 300, author_id=task.assignee_id
        )
        db.session.add(comment)
        db.session.flush()
        organization, number, said = task.organization_id, task.id, comment.id
    paths = {
        "index": "", "organization": f"organizations/{organization}/", "projects": f"organizations/{organization}/projects/",
        "organization-new": "organizations/new", "organization-edit": f"organizations/{organization}/edit",
        "organization-delete": f"organizations/{organization}/delete", "project-new": f"new?organization={organization}",
        "board-long": f"{project}/", "project-edit": f"{project}/edit", "project-delete": f"{project}/delete",
        "task-new": f"{project}/tasks/new", "tasks": f"{project}/tasks/todo", "task": f"tasks/{number}/",
        "task-edit": f"tasks/{number}/edit", "task-delete": f"tasks/{number}/delete", "comment": f"comments/{said}/edit",
    }  # fmt: skip
    for width, scheme, language in ((1200, "light", "en"), (360, "dark", "de")):
        ada = person(site, browser, width=width, language=language, color_scheme=scheme)
        for name, path in paths.items():
            ada.page.goto(f"{ada.home}projects/{path}")
            ada.look(f"{name}-{width}-{scheme}")
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
