"""The pages of ``projects``, as people use them: what each role sees and may do, and what is told to those who may not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, select
from werkzeug.test import TestResponse

from blueprints.projects import services
from blueprints.projects.models import Comment, Project, State, Task
from tenantry import Platform, db
from tenantry.events import Event
from tenantry.organizations import Membership, Organization, add_member
from tenantry.testing import TWO_TENANTS, TenantClient, client_of
from tenantry.users import CurrentUser, User, become

PLAIN = '\n[tenants.plain]\npath = "/plain"\nfeatures = ["front", "accounts", "projects"]\n'
TAGS = re.compile(r"<[^>]*>")


@pytest.fixture
def tenants_toml() -> str:
    return TWO_TENANTS + PLAIN


class World:
    """An organization of acme with a project, a task, and a comment on it: ada owns it, bob works in it, eve reads it,
    and gus has nothing to do with it.

    :ivar people: a client for each of them.
    """

    def __init__(self, platform: Platform, slug: str = "acme") -> None:
        self.platform, self.slug = platform, slug
        self.people = {name: client_of(platform, slug) for name in ("ada", "bob", "eve", "gus")}
        self.ids = {name: client.log_in(name).id for name, client in self.people.items()}
        with self.as_("ada"):
            organization = services.create_organization("Rockets", "To the moon\nand back")
            for name, role in (("bob", "member"), ("eve", "viewer")):
                add_member(organization.id, self.ids[name], role)
            project = services.create_project(organization, "Apollo", "Eleven")
            task = services.create_task(project, "Fly", description="High", assignee_id=self.ids["bob"])
            comment = services.create_comment(task, "Soon?")
            self.organization, self.project, self.task, self.comment = (
                organization.id, project.id, task.id, comment.id,
            )  # fmt: skip

    @contextmanager
    def as_(self, name: str) -> Iterator[None]:
        """A context in which somebody asks."""
        with self.platform.tenant(self.slug):
            become(CurrentUser.of(db.session.get_one(User, self.ids[name]), "session"))
            yield

    def the(self, model: Any, number: int) -> Any:
        """A row as it is, or None."""
        with self.platform.tenant(self.slug):
            found = db.session.scalar(model.unscoped().where(model.id == number))
            if found is not None:
                db.session.expunge(found)
            return found

    def membership(self, name: str) -> int:
        with self.platform.tenant(self.slug):
            chosen = Membership.unscoped().where(Membership.user_id == self.ids[name])
            return db.session.scalars(chosen.where(Membership.organization_id == self.organization)).one().id

    def role(self, name: str) -> str:
        return str(self.the(Membership, self.membership(name)).role)

    def events(self, kind: str) -> int:
        with self.platform.tenant(self.slug):
            return len(db.session.scalars(Event.unscoped().where(Event.kind == kind)).all())

    def many(self, make: Callable[[int], Any], count: int) -> None:
        """Write many rows."""
        with self.as_("ada"):
            db.session.add_all(make(number) for number in range(count))

    def path(self, what: str) -> str:
        return "/projects/" + what.format(o=self.organization, p=self.project, t=self.task, c=self.comment)

    def get(self, name: str, what: str) -> TestResponse:
        return self.people[name].get(self.path(what))

    def submit(self, name: str, what: str, data: dict[str, Any] | None = None, *, form: str = "") -> TestResponse:
        """Send the form of a page with what stands in its hidden fields, as a browser does."""
        page = self.get(name, what)
        hidden = dict(re.findall(r'name="(base)" type="hidden" value="([^"]*)"', page.text))
        return self.people[name].submit(self.path(what), {**hidden, **(data or {})}, form=form and self.path(form))

    def press(self, name: str, what: str, data: dict[str, Any] | None = None) -> TestResponse:
        """Press a button, or what a page would have as a button: with a token of somebody's own page."""
        return self.people[name].submit("/projects/organizations/new", data, form=self.path(what))


@pytest.fixture
def world(platform: Platform) -> World:
    return World(platform)


def text_of(answer: TestResponse) -> str:
    """What can be read on a page."""
    return " ".join(TAGS.sub(" ", answer.text).split())


def followed(client: TenantClient, answer: TestResponse) -> str:
    """What can be read where an answer leads."""
    assert answer.status_code == 302, answer.status
    return text_of(client.get(answer.headers["Location"].partition("#")[0].removeprefix(client.prefix)))


# Organizations.


def test_the_first_organization_and_project(platform: Platform, acme: TenantClient) -> None:
    acme.log_in("ada")
    page = text_of(acme.get("/projects/"))
    assert "Projects belong to organizations" in page
    made = acme.submit("/projects/organizations/new", {"name": " Rockets ", "description": "a\r\nb"})
    page = followed(acme, made)
    assert "The organization has been created." in page
    assert "There is no project yet." in page
    assert "Rockets" in page
    (new,) = set(re.findall(r'href="/acme(/projects/new[^"]+)"', acme.get("/projects/").text))
    page = followed(acme, acme.submit(new, {"name": "Apollo"}))
    assert "The project has been created." in page
    assert "To do 0" in page
    assert "Apollo" in text_of(acme.get("/projects/"))
    with platform.tenant("acme"):
        assert db.session.scalars(Organization.unscoped()).one().description == "a\nb"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("organizations/new", "name"),
        ("organizations/{o}/edit", "name"),
        ("new?organization={o}", "name"),
        ("{p}/edit", "name"),
        ("{p}/tasks/new", "title"),
        ("tasks/{t}/edit", "title"),
    ],
)
def test_names_that_cannot_be(world: World, path: str, field: str) -> None:
    said = {"": "required", " \t ": "required", "x" * 201: "longer than", "a\u202eb": "cannot be seen"}
    for value, told in said.items():
        answer = world.submit("ada", path, {field: value, "description": "kept"})
        assert answer.status_code == 422
        assert told in answer.text
        assert "kept" in answer.text, "what was typed is lost"


def test_an_organization_is_edited_and_deleted(world: World) -> None:
    ada = world.people["ada"]
    page = world.get("ada", "organizations/{o}/")
    assert "To the moon and back" in text_of(page)
    changed = world.submit("ada", "organizations/{o}/edit", {"name": "Planes", "description": ""})
    assert "The changes have been saved." in followed(ada, changed)
    assert world.the(Organization, world.organization).name == "Planes"
    assert "“Planes” and all its projects" in text_of(world.get("ada", "organizations/{o}/delete"))
    gone = followed(ada, world.submit("ada", "organizations/{o}/delete"))
    assert "The organization and everything in it has been deleted." in gone
    assert world.the(Organization, world.organization) is None
    assert world.the(Comment, world.comment) is None
    assert world.get("ada", "organizations/{o}/").status_code == 404


def test_archived_projects_stand_apart(world: World) -> None:
    with world.as_("ada"):
        services.archive(services.create_project(services.find(Organization, world.organization), "Gemini"), True)
    index = text_of(world.get("eve", ""))
    assert "Apollo" in index
    assert "Gemini" not in index
    assert "1 archived project" in index
    page = text_of(world.get("eve", "organizations/{o}/"))
    assert page.index("Apollo") < page.index("Archived") < page.index("Gemini")
    with world.as_("ada"):
        services.archive(services.find(Project, world.project), True)
    assert "There is no project that is worked on." in text_of(world.get("eve", ""))


# Members.


def test_members_come_and_go(world: World) -> None:
    ada, gus = world.people["ada"], world.people["gus"]
    assert world.get("gus", "organizations/{o}/").status_code == 404
    added = world.submit(
        "ada", "organizations/{o}/", {"username": " GUS ", "role": "viewer"}, form="organizations/{o}/members"
    )
    assert "Gus belongs to the organization now." in followed(ada, added)
    assert world.role("gus") == "viewer"
    assert world.get("gus", "organizations/{o}/").status_code == 200
    number = world.membership("gus")
    changed = world.press("ada", f"memberships/{number}/role", {"role": "owner"})
    assert "The role of Gus has been changed." in followed(ada, changed)
    assert world.role("gus") == "owner"
    left = world.press("gus", f"memberships/{number}/remove")
    assert left.headers["Location"] == "/acme/projects/"
    assert "You have left the organization." in followed(gus, left)
    assert world.get("gus", "organizations/{o}/").status_code == 404
    removed = world.press("ada", f"memberships/{world.membership('bob')}/remove")
    assert "The member has been removed." in followed(ada, removed)
    assert world.get("bob", "tasks/{t}/").status_code == 404
    assert world.the(Task, world.task).assignee_id is None


@pytest.mark.parametrize(
    ("username", "said"),
    [
        ("nobody", "Nobody in this workspace has this username."),
        ("bob", "Bob belongs to the organization already."),
        ("", "required"),
        ("ada' OR 1=1", "Nobody in this workspace has this username."),
    ],
)
def test_who_cannot_be_added(world: World, username: str, said: str) -> None:
    before = world.events("membership.created")
    answer = world.submit(
        "ada", "organizations/{o}/", {"username": username, "role": "owner"}, form="organizations/{o}/members"
    )
    assert answer.status_code == 422
    assert said in answer.text
    assert world.role("bob") == "member"
    assert world.events("membership.created") == before


def test_somebody_who_is_blocked_or_not_confirmed_is_nobody(world: World) -> None:
    with world.platform.tenant("acme"):
        db.session.get_one(User, world.ids["gus"]).activated_at = None
    answer = world.submit(
        "ada", "organizations/{o}/", {"username": "gus", "role": "member"}, form="organizations/{o}/members"
    )
    assert answer.status_code == 422
    assert "Nobody in this workspace has this username." in answer.text


def test_an_organization_keeps_an_owner_and_nothing_is_done_by_halves(world: World) -> None:
    with world.as_("ada"):
        services.change_task(services.find(Task, world.task), assignee_id=world.ids["ada"])
    number = world.membership("ada")
    for what, data in (("remove", {}), ("role", {"role": "member"})):
        told = followed(world.people["ada"], world.press("ada", f"memberships/{number}/{what}", data))
        assert "An organization needs an owner." in told
        assert world.role("ada") == "owner"
    assert world.the(Task, world.task).assignee_id == world.ids["ada"], "the task was taken from who has stayed"
    assert world.events("membership.deleted") == 0


def test_a_role_that_there_is_none_of(world: World) -> None:
    for role in ("admin", ""):
        assert world.press("ada", f"memberships/{world.membership('bob')}/role", {"role": role}).status_code == 422
    assert world.role("bob") == "member"


# Projects.


def test_a_project_is_edited_archived_revived_and_deleted(world: World) -> None:
    bob = world.people["bob"]
    changed = world.submit("bob", "{p}/edit", {"name": "Gemini", "description": "Twelve"})
    assert "Gemini" in followed(bob, changed)
    archived = followed(bob, world.press("bob", "{p}/archive", {"state": "archive"}))
    assert "The project is archived" in archived
    assert "Work on it again" in archived
    assert "New task" not in archived
    assert world.events("project.archived") == 1
    revived = followed(bob, world.press("bob", "{p}/archive", {"state": "revive"}))
    assert "The project can be worked on again." in revived
    assert "New task" in revived
    assert world.press("bob", "{p}/archive", {"state": "burn"}).status_code == 422
    gone = world.submit("ada", "{p}/delete")
    assert "The project and everything in it has been deleted." in followed(world.people["ada"], gone)
    assert world.the(Task, world.task) is None


#: What changes something in a project: path, and what is sent.
CHANGES: dict[str, dict[str, str]] = {
    "{p}/edit": {"name": "x"},
    "{p}/tasks/new": {"title": "x"},
    "tasks/{t}/edit": {"title": "x"},
    "tasks/{t}/move": {"state": "done"},
    "tasks/{t}/delete": {},
    "tasks/{t}/comments": {"body": "x"},
    "comments/{c}/edit": {"body": "x"},
    "comments/{c}/delete": {},
}
#: And what those may do who look after the organization.
OWNERS: dict[str, dict[str, str]] = {
    "organizations/{o}/edit": {"name": "x"},
    "organizations/{o}/delete": {},
    "organizations/{o}/members": {"username": "gus", "role": "member"},
    "{p}/delete": {},
}
ONLY_POST = ("/move", "/comments", "/members", "/archive", "comments/{c}/delete")


def everything(world: World) -> tuple[Any, ...]:
    with world.platform.tenant("acme"):
        return tuple(
            tuple(db.session.execute(model.unscoped().with_only_columns(*model.__table__.columns)).all())
            for model in (Organization, Membership, Project, Task, Comment)
        )


def test_nothing_in_an_archived_project_is_changed(world: World) -> None:
    with world.as_("ada"):
        services.archive(services.find(Project, world.project), True)
    before = everything(world)
    for what, data in CHANGES.items():
        answer = world.press("ada", what, data)
        assert answer.status_code == 409, what
        assert "This project is archived" in answer.text
        if not what.endswith(ONLY_POST):
            assert world.get("ada", what).status_code == 409, what
    assert everything(world) == before
    for what in ("{p}/", "tasks/{t}/"):
        page = world.get("ada", what)
        assert "This project is archived" in page.text
        assert re.findall(r"/(?:edit|move|comments|tasks/new)[\"?]", page.text.split("<main")[1]) == []


# Who may what.


def test_what_somebody_may_not_do_is_refused(world: World) -> None:
    """403 for a viewer, and for a member what is the owners'; 404 for a stranger; and nothing is changed by it."""
    nobody, before = client_of(world.platform, "acme"), everything(world)
    more = {"new?organization={o}": {"name": "x"}, "{p}/archive": {"state": "archive"}}
    for what, data in {**CHANGES, **OWNERS, **more}.items():
        expected = {"eve": 403, "gus": 404, **({"bob": 403} if what in OWNERS or what.startswith("comments") else {})}
        for name, status in expected.items():
            assert world.press(name, what, data).status_code == status, (name, what)
            if not what.endswith(ONLY_POST):
                assert world.get(name, what).status_code == status, (name, what)
        assert nobody.post(world.path(what), data=data).status_code in (302, 401), what
    assert everything(world) == before


def test_who_belongs_to_it_reads(world: World) -> None:
    for what in ("organizations/{o}/", "organizations/{o}/projects/", "{p}/", "{p}/tasks/todo", "tasks/{t}/"):
        for name, status in {"ada": 200, "bob": 200, "eve": 200, "gus": 404}.items():
            assert world.get(name, what).status_code == status, (name, what)
        answer = client_of(world.platform, "acme").get(world.path(what))
        assert answer.status_code == 302
        assert "/accounts/log-in" in answer.headers["Location"]


#: On which page what is offered to whom: a part of an address.
OFFERED = {
    "organizations/{o}/": {
        "/organizations/{o}/edit": "ada",
        "/organizations/{o}/delete": "ada",
        "/organizations/{o}/members": "ada",
        "/role": "ada",
        "/projects/new?": "ada bob",
        "/remove": "ada bob eve",
    },
    "{p}/": {
        "/{p}/edit": "ada bob",
        "/{p}/archive": "ada bob",
        "/{p}/tasks/new": "ada bob",
        "/{p}/delete": "ada",
        "/move": "ada bob",
        "board.js": "ada bob",
    },
    "tasks/{t}/": {
        "/tasks/{t}/edit": "ada bob",
        "/tasks/{t}/move": "ada bob",
        "/tasks/{t}/delete": "ada bob",
        "/tasks/{t}/comments": "ada bob",
        "/comments/{c}/edit": "ada",
        "/comments/{c}/delete": "ada",
    },
    "": {"/projects/new?": "ada bob", "/organizations/new": "ada bob eve gus"},
}


def test_what_somebody_may_not_do_is_not_offered(world: World) -> None:
    for what, offered in OFFERED.items():
        for name in world.people:
            page = world.get(name, what)
            found = {each for each in offered if world.path(each).removeprefix("/projects/") in page.text}
            expected = {each for each, names in offered.items() if name in names.split()}
            assert found == (expected if page.status_code == 200 else set()), (what, name)


def test_organizations_of_others_are_not_on_the_page(world: World) -> None:
    page = world.get("gus", "").text
    assert "Rockets" not in page
    assert "Apollo" not in page


# What is sent by nobody's own page, and what came too late.


def test_without_a_token_nothing_is_done(world: World) -> None:
    before = everything(world)
    more = {"{p}/archive": {"state": "archive"}, "memberships/2/role": {"role": "viewer"}, "memberships/2/remove": {}}
    for what, data in {**CHANGES, **OWNERS, **more}.items():
        for token in ({}, {"csrf_token": "x"}):
            assert world.people["ada"].post(world.path(what), data={**data, **token}).status_code == 400, what
    assert everything(world) == before


@pytest.mark.parametrize(
    ("what", "theirs", "mine"),
    [
        ("organizations/{o}/edit", {"name": "Theirs"}, {"name": "Mine"}),
        ("{p}/edit", {"name": "Theirs"}, {"name": "Mine", "description": "My text"}),
        ("tasks/{t}/edit", {"title": "Theirs", "due_on": "2030-01-02"}, {"title": "Mine", "description": "My text"}),
        ("comments/{c}/edit", {"body": "Theirs"}, {"body": "Mine"}),
    ],
)
def test_who_saves_last_does_not_overwrite_what_they_have_not_seen(
    world: World, what: str, theirs: dict[str, str], mine: dict[str, str]
) -> None:
    ada = world.people["ada"]
    opened = dict(re.findall(r'name="(base|csrf_token)" type="hidden" value="([^"]*)"', world.get("ada", what).text))
    assert world.submit("ada", what, theirs).status_code == 302
    before = everything(world)
    late = ada.post(world.path(what), data={**opened, **mine})
    assert late.status_code == 409
    assert "Somebody has changed this in the meantime." in late.text
    assert "Theirs" in late.text
    for value in mine.values():
        assert value in late.text
    assert ("Jan 2, 2030" in late.text) is ("due_on" in theirs)
    assert everything(world) == before
    again = dict(re.findall(r'name="(base|csrf_token)" type="hidden" value="([^"]*)"', late.text))
    assert ada.post(world.path(what), data={**again, **mine}).status_code == 302, "having seen it, they may"
    assert everything(world) != before


def test_a_form_that_is_sent_twice_is_no_conflict(world: World) -> None:
    opened = dict(
        re.findall(r'name="(base|csrf_token)" type="hidden" value="([^"]*)"', world.get("ada", "{p}/edit").text)
    )
    for _ in range(2):
        answer = world.people["ada"].post(world.path("{p}/edit"), data={**opened, "name": "Once", "description": "a"})
        assert answer.status_code == 302
    assert world.events("project.changed") == 1


# Tasks.


@pytest.mark.parametrize(
    ("days", "state", "told"),
    [(-1, "todo", "was due on"), (-1, "done", "due on"), (0, "doing", "due on"), (1, "todo", "due on")],
)
def test_what_is_overdue_says_so(world: World, days: int, state: str, told: str) -> None:
    """By the day where the reader is."""
    with world.as_("bob"):
        zone = ZoneInfo("Pacific/Kiritimati")  # the first to have a new day
        db.session.scalars(select(User).where(User.username == "bob")).one().timezone = zone.key
        task = db.session.scalars(select(Task)).first()
        assert task
        task.state, task.due_on = cast(State, state), datetime.now(zone).date() + timedelta(days=days)
        number, project = task.id, task.project_id
    board = world.people["bob"].get(f"/projects/{project}/").text
    (due,) = re.findall(rf'id="task-{number}".*?<span class="due([^"]*)">([^<]*?)[A-Z]', board, re.DOTALL)
    assert due == (" late" if told.startswith("was") else "", f"{told} ")
    assert ("(overdue)" in world.people["bob"].get(f"/projects/tasks/{number}/").text) is told.startswith("was")


def test_a_task_from_the_first_to_the_last(world: World) -> None:
    bob = world.people["bob"]
    data = {
        "title": "Land",
        "description": "Softly",
        "state": "doing",
        "assignee": world.ids["eve"],
        "due_on": "2030-01-02",
    }
    board = followed(bob, world.submit("bob", "{p}/tasks/new", data))
    assert "The task has been created." in board
    assert "Eve due on Jan 2, 2030" in board
    with world.as_("bob"):
        world.task = db.session.scalars(select(Task.id).where(Task.title == "Land")).one()
    page = text_of(world.get("eve", "tasks/{t}/"))
    for each in ("Land", "Softly", "In progress", "Eve", "Jan 2, 2030", "Bob"):
        assert each in page
    form = world.get("bob", "tasks/{t}/edit").text
    assert f'<option selected value="{world.ids["eve"]}">Eve' in form
    assert '<option selected value="doing">' in form
    assert 'value="2030-01-02"' in form
    assert world.submit("bob", "tasks/{t}/edit", {"title": "Land!"}).status_code == 302
    task = world.the(Task, world.task)
    assert (task.title, task.assignee_id, str(task.due_on)) == ("Land!", world.ids["eve"], "2030-01-02")
    assert world.submit("bob", "tasks/{t}/edit", {"title": "Land!", "assignee": "", "due_on": ""}).status_code == 302
    task = world.the(Task, world.task)
    assert (task.assignee_id, task.due_on) == (None, None)
    moved = world.submit("bob", "tasks/{t}/", {"state": "done", "back": "task"}, form="tasks/{t}/move")
    assert moved.headers["Location"].endswith(world.path("tasks/{t}/"))
    assert "“Land!” is now in: Done." in followed(bob, moved)
    moved = world.submit("bob", "{p}/", {"state": "todo"}, form="tasks/{t}/move")
    assert moved.headers["Location"].endswith(world.path("{p}/#task-{t}"))
    assert "“Land!” and what was said about it will be gone" in text_of(world.get("bob", "tasks/{t}/delete"))
    assert "The task has been deleted." in followed(bob, world.submit("bob", "tasks/{t}/delete"))
    assert world.the(Task, world.task) is None


def test_what_a_task_cannot_be(world: World) -> None:
    wrong = [
        ("assignee", str(world.ids["gus"])),  # a stranger
        ("assignee", "1e3"),
        ("assignee", str(2**70)),
        ("state", "burnt"),
        ("due_on", "2030-02-30"),
        ("due_on", "soon"),
        ("description", "x" * 20_001),
    ]
    before = everything(world)
    for field, value in wrong:
        for what in ("{p}/tasks/new", "tasks/{t}/edit"):
            answer = world.submit("bob", what, {"title": "Kept", field: value})
            assert answer.status_code == 422, (field, value)
            assert "Kept" in answer.text
    assert world.press("bob", "tasks/{t}/move", {"state": "burnt"}).status_code == 422
    assert everything(world) == before


def test_who_has_a_task_is_offered_in_however_large_an_organization(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blueprints.projects.forms._MOST_PEOPLE", 1)
    assert f'<option selected value="{world.ids["bob"]}">Bob' in world.get("ada", "tasks/{t}/edit").text


def test_a_project_that_is_not_there(world: World) -> None:
    for what in ("0/", "99999/", f"{2**63}/", "tasks/99999/", "new", "new?organization=x", "new?organization=-1",
                 f"new?organization={2**80}", f"new?organization=-{2**80}", "{p}/tasks/burnt", "organizations/99999/"):  # fmt: skip
        assert world.get("ada", what).status_code == 404, what


# Comments.


def test_comments_are_written_changed_and_taken_back(world: World) -> None:
    said = world.submit("bob", "tasks/{t}/", {"body": "a <b>\r\nc"}, form="tasks/{t}/comments")
    number = int(said.headers["Location"].rpartition("-")[2])
    page = world.get("bob", "tasks/{t}/")
    assert "a &lt;b&gt;\nc" in page.text
    assert "(changed)" not in page.text
    with world.platform.tenant("acme"):
        comment = db.session.scalars(Comment.unscoped().where(Comment.id == number)).one()
        comment.created_at -= timedelta(minutes=1)
    world.comment = number
    assert world.submit("bob", "comments/{c}/edit", {"body": "Yes"}).status_code == 302
    assert "(changed)" in world.get("bob", "tasks/{t}/").text
    deleted = followed(world.people["bob"], world.press("bob", "comments/{c}/delete"))
    assert "The comment has been deleted." in deleted
    assert world.the(Comment, number) is None


@pytest.mark.parametrize("body", ["", " \n ", "x" * 10_001, "a\x00b"])
def test_what_nobody_can_say(world: World, body: str) -> None:
    assert world.submit("bob", "tasks/{t}/", {"body": body}, form="tasks/{t}/comments").status_code == 422
    assert world.submit("ada", "comments/{c}/edit", {"body": body}).status_code == 422
    assert world.the(Comment, world.comment).body == "Soon?"


def test_the_words_of_others_are_changed_only_by_an_owner(world: World) -> None:
    with world.as_("bob"):
        world.comment = services.create_comment(services.find(Task, world.task), "Bob's").id
    assert world.submit("ada", "comments/{c}/edit", {"body": "Ours"}).status_code == 302
    assert world.submit("bob", "comments/{c}/edit", {"body": "Mine"}).status_code == 302


# What is much.


def test_a_large_board_shows_some_and_leads_to_all(world: World) -> None:
    world.many(
        lambda n: Task(organization_id=world.organization, project_id=world.project, title=f"t{n:03}", state="done"),
        230,
    )
    page = world.get("bob", "{p}/")
    assert page.text.count('class="task"') == 101 + 1, "100 done, 1 to do, and the script's pattern"
    assert "All 230 of them" in page.text
    parts = [world.get("bob", f"{{p}}/tasks/done?page={n}").text for n in (1, 2, 3)]
    titles = [title for part in parts for title in re.findall(r">(t\d{3})<", part)]
    assert sorted(titles) == [f"t{n:03}" for n in range(230)]
    assert 'rel="next"' in parts[0]
    assert 'rel="next"' not in parts[2]
    assert world.get("bob", "{p}/tasks/done?page=4").status_code == 404
    assert "There is no task here." in world.get("bob", "{p}/tasks/doing").text


def test_many_comments_come_in_parts_and_the_new_one_is_shown(world: World) -> None:
    world.many(lambda n: Comment(organization_id=world.organization, task_id=world.task, body=f"c{n:03}"), 150)
    said = world.submit("bob", "tasks/{t}/", {"body": "The last"}, form="tasks/{t}/comments")
    assert "page=2#comment-" in said.headers["Location"]
    page = world.people["bob"].get(said.headers["Location"].partition("#")[0].removeprefix("/acme"))
    assert "The last" in page.text
    assert "c000" not in page.text
    assert world.get("bob", "tasks/{t}/").text.count('class="comment"') == 100


def test_many_organizations_projects_and_members(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.as_("ada"):
        other = services.create_organization("Aardvarks")
        services.create_project(other, "Zoo")
    world.many(lambda n: Project(organization_id=world.organization, name=f"p{n:03}"), 130)
    index = text_of(world.get("ada", ""))
    assert "Zoo" in index, "one organization's many projects are in the way of another's"
    assert "p010" in index
    assert "p011" not in index
    assert "All 131 projects" in index
    page = text_of(world.get("ada", "organizations/{o}/"))
    assert ("p098" in page, "p099" in page, "All 131 projects" in page) == (True, False, True)
    assert "p129" in world.get("ada", "organizations/{o}/projects/?page=2").text
    assert world.get("ada", "organizations/{o}/projects/?page=3").status_code == 404
    monkeypatch.setattr("blueprints.projects.organizations._ORGANIZATIONS", 1)
    monkeypatch.setattr("blueprints.projects.organizations._ON_A_PAGE", 2)
    assert "Rockets" not in world.get("ada", "").text
    assert "Rockets" in world.get("ada", "?page=2").text
    assert world.get("ada", "?page=3").status_code == 404
    first, second = (world.get("ada", f"organizations/{{o}}/?page={n}").text for n in (1, 2))
    assert ("Role of Bob" in first, "Role of Eve" in first) == (True, False)
    assert ("Role of Bob" in second, "Role of Eve" in second) == (False, True)


def test_how_many_queries_a_page_needs_does_not_grow(world: World) -> None:
    pages = ("", "organizations/{o}/", "organizations/{o}/projects/", "{p}/", "{p}/tasks/todo", "tasks/{t}/")
    before = {what: queries_of(world, what) for what in pages}
    for n in range(8):
        with world.platform.tenant("acme"):
            user = User(username=f"u{n}", email=f"u{n}@x.example", name=f"U{n}")
            db.session.add(user)
            db.session.flush()
            number = user.id
        with world.as_("ada"):
            organization = services.create_organization(f"O{n}")
            for each in (organization, services.find(Organization, world.organization)):
                add_member(each.id, number, "member")
                services.create_task(services.create_project(each, f"P{n}"), "T", assignee_id=number)
            project, task = services.find(Project, world.project), services.find(Task, world.task)
            services.create_task(project, f"T{n}", assignee_id=number)
            comment = services.create_comment(task, f"C{n}")
            comment.author_id = number
    assert {what: queries_of(world, what) for what in pages} == before
    assert max(before.values()) <= 15, before


def queries_of(world: World, what: str) -> int:
    """How many statements a page sends to the database."""
    world.get("bob", what)
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        sent.append(statement)

    with world.platform.tenant("acme"):
        engine = db.session.get_bind().engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        assert world.get("bob", what).status_code == 200
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return len([each for each in sent if each.lstrip().upper().startswith("SELECT")])


# The board's script.


def test_a_tenant_without_the_api_has_no_script(platform: Platform) -> None:
    world = World(platform, "plain")
    page = world.get("ada", "{p}/").text
    assert "<script" not in page
    assert page.count("/move") == 2
    assert 'class="add"' in page


def test_what_the_script_is_told_cannot_end_its_block(world: World) -> None:
    with world.platform.tenant("acme"):
        db.session.get_one(User, world.ids["bob"]).name = "</script><script>alert(1)</script>"
    with world.as_("ada"):
        services.change_task(services.find(Task, world.task), title='"><script>alert(2)</script>')
    page = world.get("ada", "{p}/")
    assert "<script>" not in page.text
    assert page.text.count("<script") == 2
    assert not re.search(r"\sstyle=|\son\w+=", page.text)


def test_the_page_is_in_the_readers_language(world: World) -> None:
    page = world.get("ada", "{p}/?lang=de").text
    for each in ("Zu tun", "In Arbeit", "Erledigt", "Neue Aufgabe", "Ziehen Sie Aufgaben", "Projekte"):
        assert each in page
    assert "Somebody has changed" not in page
