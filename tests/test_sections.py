"""Sections: staff write pages, keep their history and search them; readers see what is published and nothing else."""

from __future__ import annotations

import io
import random
import re
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import func, select, text
from werkzeug.test import TestResponse

from blueprints.sections import finding
from blueprints.sections.differences import MOST_SHOWN, Line, compare
from blueprints.sections.finding import to_match
from blueprints.sections.markdown import MOST_BRACKETS, render
from blueprints.sections.models import Page, Revision
from blueprints.sections.slugs import is_slug, make_slug, number_slug
from conftest import ROOT
from tenantry import Platform, db, uploads
from tenantry.events import Event
from tenantry.sqlite_dialect import TenantDialect
from tenantry.testing import TenantClient, client_of, make_platform

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7*7 }}{% raw %}{# x",
    "</textarea><script>",
    "</title><b>",
    "&lt;b&gt; &amp; <!-- ]]>",
    "javascript:alert(1)",
]


class Reader(HTMLParser):
    """What a page is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, *names: str) -> Iterator[dict[str, str | None]]:
        return (attributes for tag, attributes in self.tags if tag in names)


def values(answer: TestResponse) -> dict[str, str]:
    """What stands in the fields of a page's form."""
    found = {str(each["name"]): each.get("value") or "" for each in Reader(answer.text).all("input") if "name" in each}
    body = re.search(r"<textarea[^>]*>\r?\n(.*?)</textarea>", answer.text, re.S)
    return {**found, **({"body": unescape(body[1])} if body else {})}


def main_of(answer: TestResponse) -> str:
    return answer.text[answer.text.index("<main") : answer.text.index("</main>")]


def write(client: TenantClient, slug: str, title: str = "A page", body: str = "Words.", **more: Any) -> None:
    """Put a page into a tenant's database; published unless it says otherwise."""
    with client.platform.tenant(client.tenant.slug):
        db.session.add(Page(**{"section": "help", "slug": slug, "title": title, "body": body, **more}))


def read(client: TenantClient, slug: str) -> Page | None:
    with client.platform.tenant(client.tenant.slug):
        page = db.session.scalar(select(Page).where(Page.slug == slug))
        if page is not None:
            db.session.expunge(page)
        return page


def revisions(client: TenantClient, slug: str) -> list[tuple[int, str, str, str]]:
    with client.platform.tenant(client.tenant.slug):
        chosen = (
            select(Revision.number, Revision.title, Revision.body, Revision.note)
            .join(Page)
            .where(Page.section == "help", Page.slug == slug)
        )
        return [tuple(row) for row in db.session.execute(chosen.order_by(Revision.number))]  # type: ignore[misc]  # four parts


def press(client: TenantClient, path: str, button: str) -> TestResponse:
    """Press the button of a page that does something at an address: send all that its form has."""
    page = client.get(path)
    assert f'action="{client.prefix}{button}"' in page.text
    return client.post(button, data=values(page))


def next_of(answer: TestResponse) -> str | None:
    """The address of the next part of a list, within the tenant."""
    found = next((each["href"] for each in Reader(answer.text).all("a") if each.get("rel") == "next"), None)
    return found.removeprefix("/acme") if found else None


def edit(client: TenantClient, slug: str, /, **typed: str) -> TestResponse:
    """Open the form of a page, type into it, and save."""
    path = f"/help/{slug}/edit"
    return client.post(path, data={**values(client.get(path)), **typed})


def other(client: TenantClient, username: str = "", role: str = "member") -> TenantClient:
    """Another browser at the same tenant, logged in where a name is given."""
    made = client_of(client.platform, client.tenant.slug)
    if username:
        made.log_in(username, role)
    return made


@pytest.fixture
def staff(acme: TenantClient) -> TenantClient:
    acme.log_in("ada", "staff")
    return acme


# Writing


def test_a_page_is_made_as_a_draft_published_and_unpublished(staff: TenantClient) -> None:
    made = staff.submit("/help/-/new", {"title": "Größe & Maß", "body": "*Words*", "note": "first"})
    assert (made.status_code, made.location) == (302, "/acme/help/groesse-and-mass/")
    shown = staff.get("/help/groesse-and-mass/")
    assert "The page is saved." in shown.text
    assert '<span class="draft">Draft</span>' in shown.text
    assert "<em>Words</em>" in shown.text
    reader = other(staff)
    assert reader.get("/help/groesse-and-mass/").status_code == 404
    page = "/help/groesse-and-mass/"
    assert press(staff, page, f"{page}publish").status_code == 302
    assert "The page is published." in staff.get(page).text
    assert reader.get(page).status_code == 200
    assert "Draft" not in reader.get(page).text
    assert press(staff, page, f"{page}unpublish").status_code == 302
    assert "The page is a draft now" in staff.get(page).text
    assert reader.get(page).status_code == 404


def test_what_happens_to_what_everybody_reads_is_noted(staff: TenantClient) -> None:
    staff.submit("/help/-/new", {"title": "A secret draft", "body": "x"})
    page = "/help/a-secret-draft/"
    edit(staff, "a-secret-draft", title="News", slug="a-secret-draft")
    press(staff, page, f"{page}publish")
    press(staff, page, f"{page}unpublish")
    edit(staff, "a-secret-draft", title="A secret again", slug="a-secret-draft", do="publish")
    edit(staff, "a-secret-draft", title="Old news", slug="a-secret-draft")
    staff.post(f"{page}delete", data=values(staff.get(f"{page}delete")))
    with staff.platform.tenant("acme"):
        told = [(event.kind, event.title) for event in db.session.scalars(select(Event).order_by(Event.id))]
    assert told == [
        ("page.published", "News"),
        ("page.unpublished", "News"),
        ("page.published", "A secret again"),
        ("page.changed", "Old news"),
        ("page.deleted", "Old news"),
    ]


def test_publish_is_a_button_of_the_form(staff: TenantClient) -> None:
    assert staff.submit("/help/-/new", {"title": "At once", "body": "x", "do": "publish"}).status_code == 302
    assert other(staff).get("/help/at-once/").status_code == 200
    staff.submit("/help/-/new", {"title": "Later", "body": "x"})
    assert edit(staff, "later", do="publish").status_code == 302
    assert "The page is published." in staff.get("/help/later/").text
    assert other(staff).get("/help/later/").status_code == 200
    assert len(revisions(staff, "later")) == 1


def test_readers_see_no_tools_and_staff_do(staff: TenantClient) -> None:
    links = ("/edit", "/history", "/-/new", "/unpublish", "/-/pictures/")
    for path in ("/help/", "/help/welcome/"):
        assert not [link for link in links if link in main_of(other(staff, "mel").get(path))]
    assert all(link in main_of(staff.get("/help/welcome/")) for link in links[:4])
    assert all(link in main_of(staff.get("/help/")) for link in links[2:5:2])


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Welcome", "welcome"),
        ("Größe & Maß", "groesse-and-mass"),
        ("ÄÖÜ äöü ß ẞ", "aeoeue-aeoeue-ss-ss"),
        ("Crème brûlée, 2 €", "creme-brulee-2"),
        ("Ångström, Øre, Łódź", "aangstroem-oere-lodz"),
        ("Ada's   ‘notes’", "adas-notes"),
        ("u\u0308ber", "ueber"),
        ("日本語", "page"),
        ("😀", "page"),
        ("-", "page"),
        ("../../etc/passwd", "etc-passwd"),
        ("<script>", "script"),
        ("ﬁne ½", "fine-1-2"),
        ("a" * 63 + " b", "a" * 63),
        ("a" * 200, "a" * 64),
    ],
)
def test_slugs_are_made_of_titles(title: str, slug: str) -> None:
    assert make_slug(title) == slug
    assert is_slug(slug)


@pytest.mark.parametrize("slug", ["", "-", "-a", "a-", "a--b", "A", "ä", "a b", "a/b", "a.b", "٣", "a" * 65, "a\n"])
def test_what_is_no_slug(slug: str) -> None:
    assert not is_slug(slug)


def test_a_slug_that_is_taken_gets_a_number_or_is_refused(staff: TenantClient) -> None:
    new = "/help/-/new"
    locations = [staff.submit(new, {"title": "Same"}).location for _ in range(3)]
    assert locations == [f"/acme/help/{slug}/" for slug in ("same", "same-2", "same-3")]
    assert staff.submit("/faq/-/new", {"title": "Same"}).location == "/acme/faq/same/"
    refused = staff.submit(new, {"title": "Other", "slug": "same", "body": "typed"})
    assert refused.status_code == 422
    assert "has this address already" in refused.text
    assert values(refused)["body"] == "typed"
    long = "b" * 80
    assert [staff.submit(new, {"title": long}).location for _ in range(2)] == [
        f"/acme/help/{'b' * 64}/",
        f"/acme/help/{'b' * 62}-2/",
    ]
    assert number_slug("b" * 64, 10) == "b" * 61 + "-10"


@pytest.mark.parametrize("slug", ["My page", "ä", "../x", "a--b", "-", "<script>", "a" * 65, "a\0", "{{ 7*7 }}"])
def test_slugs_that_are_none_are_refused_with_one_that_is(staff: TenantClient, slug: str) -> None:
    answer = staff.submit("/help/-/new", {"title": "T", "slug": slug})
    assert answer.status_code == 422
    assert read(staff, slug) is None


def test_a_slug_of_old_may_stay(staff: TenantClient) -> None:
    write(staff, "Old_Page")
    assert edit(staff, "Old_Page", body="new").status_code == 302
    assert edit(staff, "Old_Page", slug="Other_Page").status_code == 422


def test_preview_keeps_everything_and_saves_nothing(staff: TenantClient) -> None:
    typed = {"title": "A <b>", "slug": "mine", "body": "# Head\n\n**bold** ![x](-/pictures/1)", "note": "why"}
    for path in ("/help/-/new", "/help/welcome/edit"):
        answer = staff.post(path, data={**values(staff.get(path)), **typed, "do": "preview"})
        assert answer.status_code == 200
        assert "<strong>bold</strong>" in answer.text
        assert "<h3>Head</h3>" in answer.text
        assert 'src="/acme/help/-/pictures/1"' in answer.text
        assert typed.items() <= values(answer).items()
    assert read(staff, "mine") is None
    assert len(revisions(staff, "welcome")) == 1
    assert edit(staff, "welcome").status_code == 302  # with a line end after its text, as no form sends one
    assert len(revisions(staff, "welcome")) == 1
    missing = staff.submit("/help/-/new", {"body": "**bold**", "do": "preview"})
    assert (missing.status_code, "<strong>bold</strong>" in missing.text) == (422, True)


def test_deleting_asks_first_and_takes_the_history_along(staff: TenantClient) -> None:
    write(staff, "old")
    edit(staff, "old", body="two")
    asked = staff.get("/help/old/delete")
    assert "its whole history with it" in asked.text
    assert read(staff, "old") is not None
    assert staff.post("/help/old/delete", data=values(asked)).location == "/acme/help/"
    assert "are deleted" in staff.get("/help/").text
    assert staff.get("/help/old/").status_code == staff.get("/help/old/history").status_code == 404
    with staff.platform.tenant("acme"):
        assert db.session.scalar(select(func.count()).select_from(Revision)) == 2  # of the two first pages


def test_what_was_changed_meanwhile_is_not_deleted(staff: TenantClient) -> None:
    write(staff, "old")
    asked = values(staff.get("/help/old/delete"))
    edit(other(staff, "bob", "admin"), "old", body="two")
    refused = staff.post("/help/old/delete", data=asked)
    assert refused.status_code == 409
    assert "saved this page in the meantime" in refused.text
    assert staff.post("/help/old/delete", data=values(refused)).status_code == 302


# Two at once


def test_a_save_that_would_overwrite_anothers_is_409_and_loses_nothing(staff: TenantClient) -> None:
    write(staff, "both", "Both", "one\ntwo\nthree")
    bob = other(staff, "bob", "admin")
    opened = values(staff.get("/help/both/edit"))
    assert edit(bob, "both", body="one\nTWO\nthree", note="bob's").status_code == 302
    typed = {**opened, "body": "one\ntwo\nTHREE", "note": "ada's"}
    refused = staff.post("/help/both/edit", data=typed)
    assert refused.status_code == 409
    assert "saved this page in the meantime" in refused.text
    assert re.search(r"<del>\s*<strong>TWO</strong></del>|<del>TWO</del>", refused.text)
    kept = values(refused)
    assert (kept["body"], kept["note"], kept["revision"]) == ("one\ntwo\nTHREE", "ada's", "2")
    assert [body for _, _, body, _ in revisions(staff, "both")] == ["one\ntwo\nthree", "one\nTWO\nthree"]
    assert staff.post("/help/both/edit", data={**kept, "body": "one\nTWO\nTHREE"}).status_code == 302
    assert [number for number, *_ in revisions(staff, "both")] == [1, 2, 3]


@pytest.mark.parametrize("base", ["", "0", "-1", "x", "9" * 9, "9" * 5000, "1.0", "٢", "1e3", " 1\0", None])
def test_a_base_that_is_none_overwrites_nothing(staff: TenantClient, base: str | None) -> None:
    write(staff, "both", body="one")
    opened = values(staff.get("/help/both/edit"))
    opened.pop("revision")
    answer = staff.post("/help/both/edit", data={**opened, "body": "two", **({"revision": base} if base else {})})
    assert answer.status_code in (409, 422)
    assert len(revisions(staff, "both")) == 1
    assert "two" in answer.text


def test_many_editors_in_threads_get_one_revision_each_and_lose_no_text(staff: TenantClient) -> None:
    write(staff, "crowd", body="start")
    clients = [other(staff, f"editor{number}", "staff") for number in range(6)]
    opened = [values(client.get("/help/crowd/edit")) for client in clients]
    barrier = Barrier(len(clients))

    def save(number: int) -> TestResponse:
        barrier.wait()
        return clients[number].post("/help/crowd/edit", data={**opened[number], "body": f"text of {number}"})

    with ThreadPoolExecutor(len(clients)) as pool:
        answers = list(pool.map(save, range(len(clients))))
    assert sorted(answer.status_code for answer in answers) == [302, 409, 409, 409, 409, 409]
    waiting = [(number, answer) for number, answer in enumerate(answers) if answer.status_code == 409]
    for number, answer in waiting:
        assert values(answer)["body"] == f"text of {number}"
        while answer.status_code == 409:
            answer = clients[number].post("/help/crowd/edit", data=values(answer))
        assert answer.status_code == 302
    kept = revisions(staff, "crowd")
    assert [number for number, *_ in kept] == list(range(1, 8))
    assert {body for _, _, body, _ in kept} == {"start", *(f"text of {number}" for number in range(6))}


def test_new_pages_of_one_title_in_threads_each_get_a_slug(staff: TenantClient) -> None:
    clients = [other(staff, f"editor{number}", "staff") for number in range(5)]
    forms = [values(client.get("/help/-/new")) for client in clients]
    barrier = Barrier(len(clients))

    def save(number: int) -> str | None:
        barrier.wait()
        return clients[number].post("/help/-/new", data={**forms[number], "title": "Same"}).location

    with ThreadPoolExecutor(len(clients)) as pool:
        locations = set(pool.map(save, range(len(clients))))
    assert locations == {f"/acme/help/same{end}/" for end in ("", "-2", "-3", "-4", "-5")}


def test_an_address_that_was_changed_meanwhile_loses_no_text(staff: TenantClient) -> None:
    write(staff, "first", body="one")
    opened = values(staff.get("/help/first/edit"))
    edit(other(staff, "bob", "staff"), "first", slug="second")
    refused = staff.post("/help/first/edit", data={**opened, "body": "mine"})
    assert (refused.status_code, values(refused)["body"]) == (409, "mine")
    assert 'action="/acme/help/second/edit"' in refused.text


def test_a_page_that_was_deleted_meanwhile_can_be_made_anew(staff: TenantClient) -> None:
    write(staff, "gone", body="one")
    opened = values(staff.get("/help/gone/edit"))
    bob = other(staff, "bob", "staff")
    bob.post("/help/gone/delete", data=values(bob.get("/help/gone/delete")))
    refused = staff.post("/help/gone/edit", data={**opened, "body": "mine"})
    assert refused.status_code == 409
    assert "has deleted this page in the meantime" in refused.text
    assert 'action="/acme/help/-/new"' in refused.text
    assert staff.post("/help/-/new", data=values(refused)).location == "/acme/help/gone/"
    assert revisions(staff, "gone") == [(1, "A page", "mine", "")]
    assert staff.get("/help/never/edit").status_code == 404


def test_another_sections_page_is_not_found_by_its_id(staff: TenantClient) -> None:
    write(staff, "mine")
    opened = values(staff.get("/help/mine/edit"))
    assert staff.post("/faq/nothing/edit", data={**opened, "body": "x"}).status_code == 409
    assert read(staff, "mine").body == "Words."  # type: ignore[union-attr]  # it is there


@pytest.fixture
def swapped(staff: TenantClient) -> dict[str, dict[str, str]]:
    """What Ada's forms and buttons at ``x`` carry; then Bob moves that page to ``y``, and makes another one at ``x``."""
    write(staff, "x", "Mine", "one", published_at=None)
    paths = {"edit": "/help/x/edit", "delete": "/help/x/delete", "button": "/help/x/"}
    carried = {name: values(staff.get(path)) for name, path in paths.items()}
    bob = other(staff, "bob", "staff")
    edit(bob, "x", slug="y", note="moved")
    bob.submit("/help/-/new", {"title": "Another", "slug": "x", "body": "another"})
    return carried


def test_a_save_goes_to_the_page_that_was_opened_and_not_to_another_at_its_address(
    staff: TenantClient, swapped: dict[str, dict[str, str]]
) -> None:
    refused = staff.post("/help/x/edit", data={**swapped["edit"], "body": "two"})
    assert refused.status_code == 409
    assert 'action="/acme/help/y/edit"' in refused.text
    assert revisions(staff, "x") == [(1, "Another", "another", "")]
    assert staff.post("/help/x/edit", data=values(refused)).location == "/acme/help/y/"
    assert [body for _, _, body, _ in revisions(staff, "y")] == ["one", "one", "two"]


def test_a_page_that_is_gone_is_not_looked_for_at_its_address(staff: TenantClient) -> None:
    write(staff, "x", "Mine", "one")
    opened = values(staff.get("/help/x/edit"))
    staff.post("/help/x/delete", data=values(staff.get("/help/x/delete")))
    write(staff, "x", "Another", "another")
    refused = staff.post("/help/x/edit", data={**opened, "body": "two"})
    assert refused.status_code == 409
    assert "has deleted this page in the meantime" in refused.text
    assert revisions(staff, "x") == [(1, "Another", "another", "")]


@pytest.mark.parametrize("verb", ["delete", "edit", "publish", "restore/1", "unpublish"])
@pytest.mark.parametrize("page", ["", "0", "x", "9" * 9, "9" * 400, "2"], ids=lambda page: page[:9])
def test_what_names_no_page_of_the_section_does_nothing(staff: TenantClient, verb: str, page: str) -> None:
    """The page 2 is one of the other section."""
    before = everything(staff)
    answer = staff.post(f"/help/welcome/{verb}", data={**values(staff.get("/help/welcome/edit")), "page": page})
    assert answer.status_code == (409 if verb == "edit" else 404)
    assert everything(staff) == before


def test_deleting_is_for_the_page_that_was_asked_about(staff: TenantClient, swapped: dict[str, dict[str, str]]) -> None:
    refused = staff.post("/help/x/delete", data=swapped["delete"])
    assert refused.status_code == 409
    assert "“Mine” will be gone for good" in refused.text
    assert read(staff, "x")
    assert read(staff, "y")
    assert staff.post("/help/x/delete", data=values(refused)).status_code == 302
    assert (read(staff, "x") is None, read(staff, "y") is None) == (False, True)


def test_a_button_is_for_the_page_that_it_stood_on(staff: TenantClient, swapped: dict[str, dict[str, str]]) -> None:
    assert staff.post("/help/x/publish", data=swapped["button"]).location == "/acme/help/y/"
    assert [other(staff).get(f"/help/{slug}/").status_code for slug in "xy"] == [404, 200]
    assert staff.post("/help/x/unpublish", data=swapped["button"]).location == "/acme/help/y/"
    assert [other(staff).get(f"/help/{slug}/").status_code for slug in "xy"] == [404, 404]
    edit(staff, "y", body="two")
    assert staff.post("/help/x/restore/1", data=swapped["button"]).location == "/acme/help/y/"
    assert len(revisions(staff, "x")) == 1
    assert revisions(staff, "y")[-1][2] == "one"


def test_the_id_of_a_deleted_page_is_never_given_again(staff: TenantClient) -> None:
    write(staff, "last")
    last = read(staff, "last")
    assert last
    staff.post("/help/last/delete", data=values(staff.get("/help/last/delete")))
    write(staff, "next")
    following = read(staff, "next")
    assert following
    assert following.id > last.id


def test_what_was_typed_for_a_draft_does_not_go_live_unasked(staff: TenantClient) -> None:
    write(staff, "plan", body="one", published_at=None)
    opened = values(staff.get("/help/plan/edit"))
    bob = other(staff, "bob", "staff")
    press(bob, "/help/plan/", "/help/plan/publish")
    refused = staff.post("/help/plan/edit", data={**opened, "body": "not yet"})
    assert refused.status_code == 409
    assert "has published this page in the meantime" in refused.text
    assert "has saved this page" not in refused.text
    assert values(refused)["body"] == "not yet"
    assert "Save as draft" not in refused.text
    assert "one" in other(staff).get("/help/plan/").text
    without = {name: value for name, value in opened.items() if name != "published"}
    assert staff.post("/help/plan/edit", data={**without, "body": "not yet"}).status_code == 409
    assert staff.post("/help/plan/edit", data=values(refused)).status_code == 302
    assert "not yet" in other(staff).get("/help/plan/").text


def test_a_draft_that_somebody_published_and_saved_tells_both(staff: TenantClient) -> None:
    write(staff, "plan", body="one", published_at=None)
    opened = values(staff.get("/help/plan/edit"))
    edit(other(staff, "bob", "staff"), "plan", body="bob's", do="publish")
    refused = staff.post("/help/plan/edit", data={**opened, "body": "mine"})
    assert "has published this page in the meantime" in refused.text
    assert "has saved this page in the meantime" in refused.text
    assert len(revisions(staff, "plan")) == 2


def test_publish_asks_for_what_somebody_did_already(staff: TenantClient) -> None:
    write(staff, "plan", body="one", published_at=None)
    opened = values(staff.get("/help/plan/edit"))
    bob = other(staff, "bob", "staff")
    press(bob, "/help/plan/", "/help/plan/publish")
    assert staff.post("/help/plan/edit", data={**opened, "body": "two", "do": "publish"}).status_code == 302
    assert "two" in other(staff).get("/help/plan/").text


def test_a_conflict_tells_of_a_changed_address_and_does_not_undo_it(staff: TenantClient) -> None:
    write(staff, "old", "Same", "one")
    opened = values(staff.get("/help/old/edit"))
    edit(other(staff, "bob", "staff"), "old", slug="new", body="bob's")
    refused = staff.post("/help/old/edit", data={**opened, "body": "mine"})
    assert refused.status_code == 409
    assert values(refused)["slug"] == "new"
    assert "<h3>Address</h3>" not in refused.text
    chosen = staff.post("/help/old/edit", data={**opened, "slug": "third", "body": "mine"})
    assert values(chosen)["slug"] == "third"
    assert "<h3>Address</h3>" in chosen.text
    assert "<del>new</del>" in chosen.text
    assert staff.post("/help/new/edit", data=values(refused)).location == "/acme/help/new/"
    assert read(staff, "old") is None


def test_a_save_that_was_sent_twice_is_saved_once(staff: TenantClient) -> None:
    write(staff, "page", "One", "one")
    sent = {**values(staff.get("/help/page/edit")), "slug": "other", "body": "two", "note": "why"}
    for _ in range(2):
        assert staff.post("/help/page/edit", data=sent).location == "/acme/help/other/"
        assert '<p class="flash success" role="status">The page is saved.</p>' in staff.get("/help/other/").text
    assert revisions(staff, "other") == [(1, "One", "one", ""), (2, "One", "two", "why")]
    write(staff, "draft", body="one", published_at=None)
    sent = {**values(staff.get("/help/draft/edit")), "body": "two", "do": "publish"}
    for _ in range(2):
        assert staff.post("/help/draft/edit", data=sent).status_code == 302
        assert "The page is published." in staff.get("/help/draft/").text
    assert len(revisions(staff, "draft")) == 2


# History


def test_every_save_is_a_revision_unless_nothing_was_changed(staff: TenantClient) -> None:
    write(staff, "page", "One", "first")
    edit(staff, "page", title="Two", note="a new title")
    edit(staff, "page", body="second")
    assert edit(staff, "page", note="nothing").status_code == 302
    assert "Nothing was changed." in staff.get("/help/page/").text
    assert revisions(staff, "page") == [
        (1, "One", "first", ""),
        (2, "Two", "first", "a new title"),
        (3, "Two", "second", ""),
    ]
    history = staff.get("/help/page/history").text
    assert re.findall(r'history/(\d)">', history) == ["3", "2", "1"]
    assert "a new title" in history
    assert history.count("Ada") >= 2
    assert history.count("<time ") == 3


def test_an_old_revision_is_shown_and_restored_as_a_new_one(staff: TenantClient) -> None:
    write(staff, "page", "One", "**first**")
    edit(staff, "page", title="Two", body="second")
    old = "/help/page/history/1"
    assert "<strong>first</strong>" in staff.get(old).text
    assert press(staff, old, "/help/page/restore/1").status_code == 302
    assert "as it was in revision 1" in staff.get("/help/page/").text
    assert revisions(staff, "page")[2] == (3, "One", "**first**", "Restored revision 1")
    assert staff.post("/help/page/restore/3", data=values(staff.get("/help/page/"))).status_code == 302
    assert "Nothing was changed." in staff.get("/help/page/").text
    assert len(revisions(staff, "page")) == 3


def test_the_difference_of_two_revisions(staff: TenantClient) -> None:
    write(staff, "page", "One", "the quick fox\nstays\n")
    edit(staff, "page", title="Two", body="the slow fox\nstays\n<b>new</b>")
    edit(staff, "page", body="other")
    staff.get("/help/page/")  # where it is told that it is saved
    shown = staff.get("/help/page/history/difference?from=1&to=2").text
    assert "<del>the <strong>quick</strong> fox</del>" in shown
    assert "<ins>the <strong>slow</strong> fox</ins>" in shown
    assert "<ins>&lt;b&gt;new&lt;/b&gt;</ins>" in shown
    assert '<span class="hidden">Deleted: </span>' in shown
    assert "<del>One</del>" in shown
    turned = staff.get("/help/page/history/difference?from=2&to=1").text
    assert main_of_text(turned) == main_of_text(shown)
    newest = staff.get("/help/page/history/difference").text
    assert "From revision 2 to 3" in newest
    assert "There is no difference." in staff.get("/help/page/history/difference?from=2&to=2").text


def main_of_text(page: str) -> str:
    return page[page.index("<main") : page.index("</main>")]


def test_one_revision_is_not_compared_with_itself(staff: TenantClient) -> None:
    write(staff, "page")
    once = main_of(staff.get("/help/page/history"))
    assert 'history/1">1</a>' in once
    assert "<form" not in once
    assert 'type="radio"' not in once
    edit(staff, "page", body="two")
    twice = Reader(main_of(staff.get("/help/page/history")))
    assert [each["value"] for each in twice.all("input") if "checked" in each] == ["2", "1"]


@pytest.mark.parametrize(
    "number", ["0", "4", "-1", "x", "9" * 9, "9" * 30, "9" * 5000, "1.0", "٢", "%00", "1%20", "%ff"]
)
def test_revisions_that_are_not_there(staff: TenantClient, number: str) -> None:
    write(staff, "page")
    button = values(staff.get("/help/page/"))
    assert staff.get(f"/help/page/history/{number}").status_code in (400, 404)
    assert staff.post(f"/help/page/restore/{number}", data=button).status_code in (400, 404)
    for query in (f"from={number}", f"to={number}", f"from={number}&to={number}"):
        assert staff.get(f"/help/page/history/difference?{query}").status_code in (400, 404)
    assert staff.get(f"/help/page/history?before={number}").status_code == 200
    assert len(revisions(staff, "page")) == 1


def test_a_long_history_comes_in_parts(staff: TenantClient) -> None:
    write(staff, "long")
    with staff.platform.tenant("acme"):
        page = db.session.scalars(select(Page).where(Page.slug == "long")).one()
        for number in range(2, 121):
            page.revise(slug="long", title="A page", body=f"body {number}")
    seen: list[str] = []
    path: str | None = "/help/long/history"
    while path:
        answer = staff.get(path)
        seen += re.findall(r'history/(\d+)">', answer.text)
        older = re.search(r'href="/acme(/help/long/history\?before=\d+)"', answer.text)
        path = older[1] if older else None
    assert seen == [str(number) for number in range(120, 0, -1)]


def test_the_history_outlives_its_writer(staff: TenantClient) -> None:
    from tenantry.users import User

    write(staff, "page")
    edit(staff, "page", body="by ada")
    bob = other(staff, "bob", "staff")
    with staff.platform.tenant("acme"):
        db.session.delete(db.session.scalars(select(User).where(User.username == "ada")).one())
    assert len(revisions(staff, "page")) == 2
    assert ", unknown" in bob.get("/help/page/history").text


# Differences


def kinds(lines: list[Line]) -> str:
    return "".join({"same": "=", "deleted": "-", "added": "+", "skipped": ".", "cut": "!"}[line.kind] for line in lines)


@pytest.mark.parametrize(
    ("old", "new", "shape"),
    [
        ("a", "a", ""),
        ("a", "b", "-+"),
        ("a\nb\nc", "a\nc", "=-="),
        ("", "a", "-+"),
        ("\n".join("abcdefghij"), "\n".join("abcdefghiX"), ".===-+"),
        ("\n".join("abcdefghij"), "\n".join("Xbcdefghij"), "-+===."),
        ("\n".join("abcdefghij"), "\n".join("XbcdefghiX"), "-+===.===-+"),
    ],
)
def test_differences(old: str, new: str, shape: str) -> None:
    lines = compare(old, new)
    assert kinds(lines) == shape
    assert [line.count for line in lines if line.kind == "skipped"] in ([], [6], [2])


def test_a_difference_tells_both_texts() -> None:
    chance = random.Random(7)
    for _ in range(200):
        old, new = (" ".join(chance.choices(["a", "b", "c", "d", "\n"], k=chance.randrange(40))) for _ in range(2))
        lines = compare(old, new)
        if any(line.kind == "skipped" for line in lines) or old == new:
            continue
        told = {
            kind: "\n".join("".join(piece for _, piece in line.pieces) for line in lines if line.kind in ("same", kind))
            for kind in ("deleted", "added")
        }
        assert told == {"deleted": old, "added": new}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n" * 99_999, "x" + "\n" * 99_990),
        ("a\n" * 50_000, "b\n" * 49_999),
        ("x\ny\n" * 25_000, "y\nx\n" * 24_999),
        ("a " * 50_000, "b a " * 25_000),
        ("\n".join(f"x\np{n}" for n in range(500)), "\n".join(f"x\nq{n}" for n in range(500))),
        ("\n".join("x y " * 60 for _ in range(400)), "\n".join("y z " * 60 for _ in range(400))),
    ],
    ids=["blank", "replaced", "turned", "one-line", "popular", "words"],
)
def test_the_work_of_a_difference_is_bounded(monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    """Counted and not timed: what difflib is given, and what is shown."""
    import blueprints.sections.differences as module

    given: list[int] = []

    class Counting(module.SequenceMatcher):  # type: ignore[type-arg]  # of lines, and of words
        def __init__(self, junk: Any, a: list[str], b: list[str]) -> None:
            given.append(len(a) * len(b))
            super().__init__(junk, a, b)

    monkeypatch.setattr(module, "SequenceMatcher", Counting)
    lines = compare(old, new)
    assert len(lines) <= MOST_SHOWN + 1
    assert sum(given) <= 1000 * 1000 + 1_000_000


def test_the_longest_page_goes_all_the_way(staff: TenantClient) -> None:
    longest = "ü\n" * 49_999 + "ü"
    assert staff.submit("/help/-/new", {"title": "Long", "body": longest}).status_code == 302
    assert edit(staff, "long", body="x " * 49_999 + "x").status_code == 302
    shown = staff.get("/help/long/history/difference")
    assert shown.status_code == 200
    assert "more lines are not shown" in shown.text
    conflict = edit(staff, "long", body=longest, revision="1")
    assert conflict.status_code == 409
    assert values(conflict)["body"] == longest
    emoji = "😀" * 100_000
    assert edit(staff, "long", body=emoji).status_code == 302
    assert edit(staff, "long", body=emoji + "x").status_code == 422


# Drafts


@pytest.mark.parametrize("who", ["", "mel"], ids=["anonymous", "member"])
def test_a_draft_is_404_as_if_it_was_not_there(staff: TenantClient, who: str) -> None:
    write(staff, "secret-page", "Secret title", "Secret body", published_at=None)
    reader = other(staff, who)
    reader.get("/help/")  # so that a session's cookie is there already
    hidden, absent = reader.get("/help/secret-page/"), reader.get("/help/absent-page/")
    assert hidden.status_code == 404
    # A token has the second in it in which it was made.
    texts = [re.sub(r'name="csrf_token"[^>]*', "", each.text) for each in (hidden, absent)]
    assert texts[0].replace("secret-page", "absent-page") == texts[1]
    assert sorted(hidden.headers) == sorted(absent.headers)
    for path in ("/help/", "/help/-/search?q=Secret", "/faq/-/search?q=secret+body", "/"):
        text = reader.get(path).text
        assert "secret-page" not in text
        assert "Secret body" not in text
    assert "Draft" in staff.get("/help/").text
    assert "secret-page" in staff.get("/help/-/search?q=Secret").text


def test_an_overlay_lists_no_drafts_to_readers(site: Path) -> None:
    platform = Platform.from_file(site / "tenants.toml")
    reader, staff = client_of(platform, "initech"), client_of(platform, "initech")
    staff.log_in("ada", "staff")
    write(staff, "secret", "Secret title", published_at=None)
    assert "plain numbered list" in reader.get("/help/").text
    assert "Secret title" not in reader.get("/help/").text
    assert "Secret title" in staff.get("/help/").text
    assert "/-/new" in staff.get("/help/").text
    assert 'role="search"' in reader.get("/help/").text


# Who may do what

SAMPLE = {"slug": "draft", "number": "1", "upload_id": "0" * 32}
#: Endpoint and method to the status for nobody, a member, and staff. 401 may be a way to the log-in page instead.
RIGHTS = {
    ("index", "GET"): (200, 200, 200),
    ("page", "GET"): (404, 404, 200),
    ("search", "GET"): (200, 200, 200),
    ("picture", "GET"): (404, 404, 404),
    ("edit", "GET"): (401, 403, 200),
    ("edit", "POST"): (401, 403, 400),
    ("new", "GET"): (401, 403, 200),
    ("new", "POST"): (401, 403, 400),
    ("delete", "GET"): (401, 403, 200),
    ("delete", "POST"): (401, 403, 400),
    ("publish", "POST"): (401, 403, 400),
    ("unpublish", "POST"): (401, 403, 400),
    ("restore", "POST"): (401, 403, 400),
    ("history", "GET"): (401, 403, 200),
    ("revision", "GET"): (401, 403, 200),
    ("difference", "GET"): (401, 403, 200),
    ("pictures", "GET"): (401, 403, 200),
    ("pictures", "POST"): (401, 403, 400),
    ("delete_picture", "GET"): (401, 403, 404),
    ("delete_picture", "POST"): (401, 403, 404),
}


def routes(platform: Platform) -> set[tuple[str, str]]:
    rules = platform.tenant_app("acme").url_map.iter_rules()
    return {
        (rule.endpoint.removeprefix("help."), method)
        for rule in rules
        if rule.endpoint.startswith("help.")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_every_route_of_sections_is_in_the_table_of_rights(platform: Platform) -> None:
    assert routes(platform) == set(RIGHTS)


@pytest.mark.parametrize("who", [0, 1, 2], ids=["anonymous", "member", "staff"])
@pytest.mark.parametrize(("endpoint", "method"), RIGHTS, ids=lambda part: part)
def test_who_may_do_what(platform: Platform, acme: TenantClient, endpoint: str, method: str, who: int) -> None:
    """POSTs come without a CSRF token here: what staff get is 400, and nothing is changed for anybody."""
    write(acme, "draft", published_at=None)
    if who:
        acme.log_in("ada", ["", "member", "staff"][who])
    before = everything(acme)
    app = platform.tenant_app("acme")
    with app.test_request_context("/help/"):
        known = {
            name: value for name, value in SAMPLE.items() if app.url_map.is_endpoint_expecting(f"help.{endpoint}", name)
        }
        path = app.url_map.bind("localhost").build(f"help.{endpoint}", known, method=method)
    draft = read(acme, "draft")
    assert draft
    data = {"title": "T", "body": "B", "revision": "1", "page": str(draft.id)} if method == "POST" else None
    answer = acme.open(path, method=method, data=data)
    expected = RIGHTS[endpoint, method][who]
    if expected == 401 and answer.status_code == 302:
        assert "/help/" not in str(answer.location).partition("?")[0]
    else:
        assert answer.status_code == expected
    assert everything(acme) == before


def everything(client: TenantClient) -> list[Any]:
    with client.platform.tenant(client.tenant.slug):
        tables = ("page", "page_revision", "tenantry_upload")
        return [[tuple(row) for row in db.session.execute(text(f"SELECT * FROM {table}"))] for table in tables]


@pytest.mark.parametrize(
    "path",
    [
        "/help/-/new",
        "/help/-/pictures/",
        f"/help/-/pictures/{'a' * 32}/delete",
        *(f"/help/old/{verb}" for verb in ("edit", "publish", "unpublish", "restore/1", "delete")),
    ],
)
def test_row_19_a_token_of_another_tenant_is_no_token(staff: TenantClient, globex: TenantClient, path: str) -> None:
    """With the session of the one and the token of the other; with its own token the same form does what it should."""
    globex.log_in("ada", "staff")
    write(globex, "old", published_at=datetime(2026, 1, 1) if path.endswith("unpublish") else None)
    edit(globex, "old", body="two")
    with globex.platform.tenant("globex"):
        size = {"size": 1, "width": 1, "height": 1}
        db.session.add(uploads.Upload(id="a" * 32, name="a.png", media_type="image/png", **size))
    sent = {**values(globex.get("/help/old/edit")), "body": "typed"}
    foreign = values(staff.get("/help/welcome/edit"))["csrf_token"]
    before = everything(globex)
    refused = globex.post(path, data={**sent, "file": (drawn(), "a.png"), "csrf_token": foreign})
    assert refused.status_code == 400
    assert everything(globex) == before
    assert globex.post(path, data={**sent, "file": (drawn(), "a.png"), "slug": ""}).status_code == 302
    assert everything(globex) != before


def drawn() -> io.BytesIO:
    picture = io.BytesIO()
    Image.new("RGB", (4, 3)).save(picture, "PNG")
    return io.BytesIO(picture.getvalue())


def test_a_form_that_was_open_for_too_long_keeps_what_was_typed(staff: TenantClient) -> None:
    answer = staff.post("/help/-/new", data={"csrf_token": "old", "title": "Typed title", "body": "Typed body"})
    assert answer.status_code == 400
    assert values(answer)["title"] == "Typed title"
    assert staff.post("/help/-/new", data=values(answer)).status_code == 302


@pytest.mark.parametrize("by_path", [True, False], ids=["path", "host"])
def test_another_tenants_pages_are_not_there(tmp_path: Path, by_path: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_ENV", "testing")
    doors = '[tenants.{0}]\npath = "/{0}"\nhosts = ["{0}.localhost"]\n'
    platform = make_platform(tmp_path, '[defaults]\nsections = ["help"]\n' + doors.format("a") + doors.format("b"))
    a, b = client_of(platform, "a", by_path), client_of(platform, "b", by_path)
    for client in (a, b):
        client.log_in("ada", "staff")
    a.submit("/help/-/new", {"title": "Canary", "body": "canary body", "do": "publish"})
    edit(a, "canary", body="canary body two")
    paths = (
        "canary/",
        "canary/edit",
        "canary/history",
        "canary/history/1",
        "canary/history/difference",
        "canary/delete",
    )
    assert {a.get(f"/help/{path}").status_code for path in paths} == {200}
    assert {b.get(f"/help/{path}").status_code for path in paths} == {404}
    assert "canary/" in a.get("/help/-/search?q=canary").text
    assert "canary/" not in b.get("/help/-/search?q=canary").text
    token = values(b.get("/help/-/new"))["csrf_token"]
    for verb in ("publish", "unpublish", "restore/1", "remove"):
        assert b.post(f"/help/canary/{verb}", data={"csrf_token": token, "revision": "2"}).status_code == 404
    assert a.get("/help/canary/").status_code == 200
    platform.databases.close_idle()


# Searching


@pytest.mark.parametrize(
    ("query", "match"),
    [
        ("", ""),
        ("fox", '"fox"*'),
        ("quick  fox", '"quick" "fox"*'),
        ('"quick" OR fox*', '"quick" "OR" "fox"*'),
        ("title:x NEAR(a b, 2) ^y -z", '"title" "x" "NEAR" "a" "b" "2" "y" "z"*'),
        ("a_b c-d", '"a" "b" "c" "d"*'),
        ("😀 ''\"\"()*", ""),
        ("\0", ""),
    ],
)
def test_queries_are_words_only(query: str, match: str) -> None:
    assert to_match(query) == match


@pytest.mark.parametrize(
    "query",
    [
        "%00",
        "%ff%fe",
        "%22",
        "%22%22%22",
        "*",
        "a*b**",
        "NEAR(",
        "AND",
        "OR+NOT",
        "{title}+:+x",
        "title:",
        "^",
        "-x",
        "%2B",
        "%27%3B+DROP+TABLE+page--",
        "%F0%9F%98%80",
        "%CC%81",
        "%F0%9E%80%B0",
        "x" * 10_000,
        "x+" * 5_000,
        "%22" * 3000,
        "%ED%A0%80",
        "q&q=2&page=-1",
        "x&page=99999999999999999999",
        "x&page=abc",
    ],
    ids=lambda query: query[:20],
)
def test_every_query_is_inert(staff: TenantClient, query: str) -> None:
    for client in (staff, other(staff)):
        answer = client.get(f"/help/-/search?q={query}")
        assert answer.status_code == 200
        assert len(main_of(answer)) < 8_000


def found(client: TenantClient, query: str) -> list[str]:
    answer = client.get("/help/-/search", query_string={"q": query})
    assert answer.status_code == 200
    return re.findall(r'<h2><a href="[^"]*?/([^/"]+)/">', main_of(answer))


def test_pages_are_found_by_their_words(acme: TenantClient) -> None:
    write(acme, "in-text", "Other", "Here the umbrella stands, für alle. Straßenbahn")
    write(acme, "in-title", "Umbrella", "Nothing.")
    write(acme, "in-faq", "Umbrella stand", "x", section="faq")
    assert found(acme, "umbrella")[-1] == "in-text"
    assert set(found(acme, "umbrella")) == {"in-text", "in-title", "in-faq"}
    assert found(acme, "UMBRELLA here") == ["in-text"]
    assert found(acme, "umbr") == found(acme, "umbrella")
    assert found(acme, "umbr here") == []
    assert found(acme, "fur") == found(acme, "für") == found(acme, "fu\u0308r") == ["in-text"]
    assert found(acme, "nothing-at-all") == []
    assert "No page contains all of these words." in acme.get("/help/-/search?q=zzz").text
    assert "Please enter a search term." in acme.get("/help/-/search?q=***").text


def test_the_index_follows_what_is_written(staff: TenantClient) -> None:
    staff.submit("/help/-/new", {"title": "Kettle", "body": "boils"})
    assert (found(staff, "kettle"), found(other(staff), "kettle")) == (["kettle"], [])
    edit(staff, "kettle", title="Pot", body="simmers", do="publish")
    assert (found(staff, "kettle"), found(staff, "boils")) == ([], [])
    assert found(other(staff), "pot simmers") == ["kettle"]
    staff.post("/help/kettle/delete", data=values(staff.get("/help/kettle/delete")))
    assert found(staff, "simmers") == []
    with staff.platform.tenant("acme"):
        db.session.execute(text("INSERT INTO page_search(page_search) VALUES ('integrity-check')"))


def test_a_section_that_the_tenant_has_no_more_is_not_searched(acme: TenantClient) -> None:
    write(acme, "lost", "Umbrella", section="attic")
    assert found(acme, "umbrella") == []


def test_results_are_marked_escaped_and_for_no_robot(acme: TenantClient) -> None:
    body = (
        "before <script>alert('umbrella')</script> \x02umbrella\x03 <mark> \x02\x02 [umbrella](http://x/y) **umbrella**"
    )
    write(acme, "hostile", "<b>umbrella</b> \x03\x02", body)
    answer = acme.get("/help/-/search", query_string={"q": '"><script>umbrella'})
    assert answer.headers["X-Robots-Tag"] == "noindex"
    assert '<meta name="robots" content="noindex">' in answer.text
    answer = acme.get("/help/-/search?q=umbrella")
    page = Reader(main_of(answer))
    assert not list(page.all("script"))
    assert "&lt;b&gt;<mark>umbrella</mark>&lt;/b&gt;" in answer.text
    assert "&lt;script&gt;" in answer.text
    assert answer.text.count("<mark>") == answer.text.count("</mark>") >= 4


@pytest.mark.parametrize(
    ("query", "text", "marked"),
    [
        ("cafe", "Zum CAFÉ gehen", ["CAFÉ"]),
        ("café zu", "zum Cafe", ["zum", "Cafe"]),
        ("umb", "Umbrellas, umber", ["Umbrellas", "umber"]),
        ("one two", "one twofold onefold", ["one", "twofold"]),
    ],
)
def test_what_is_marked_is_what_the_index_finds(acme: TenantClient, query: str, text: str, marked: list[str]) -> None:
    write(acme, "it", "Title", text)
    answer = acme.get("/help/-/search", query_string={"q": query})
    assert re.findall("<mark>(.*?)</mark>", answer.text) == marked


def test_a_page_of_one_word_ten_thousand_times_is_no_more_work_than_another(acme: TenantClient) -> None:
    """FTS5's own snippet() took seconds; here a page's beginning is read, whatever is in the rest."""
    write(acme, "many", "zqa", "zqa " * 25_000)
    shown = re.findall("<mark>zqa</mark>", acme.get("/help/-/search?q=zqa").text)
    assert len(shown) == finding._WORDS_SHOWN + 1


def test_a_page_of_brackets_is_refused_and_shown_as_it_stands_if_it_is_there(staff: TenantClient) -> None:
    body = "![" * (MOST_BRACKETS + 1)
    answer = staff.submit("/help/-/new", {"title": "Brackets", "body": body})
    assert answer.status_code == 422
    assert "2000 opening brackets" in answer.text
    assert staff.submit("/help/-/new", {"title": "Brackets", "body": body, "do": "preview"}).status_code == 422
    write(staff, "there", "There", body)
    assert f"<pre>{body}</pre>" in staff.get("/help/there/").text


def test_a_changed_page_is_shown_changed_at_once_through_each_door(tmp_path: Path) -> None:
    platform = make_platform(
        tmp_path, '[tenants.acme]\npath = "/acme"\nhosts = ["acme.localhost"]\nsections = ["help"]\n'
    )
    by_path, by_host = client_of(platform, "acme", by_path=True), client_of(platform, "acme")
    write(by_path, "page", "Page", "![x](-/pictures/abc) first")
    assert 'src="/acme/help/-/pictures/abc"' in by_path.get("/help/page/").text
    assert 'src="/help/-/pictures/abc"' in by_host.get("/help/page/").text
    by_path.log_in("ada", "staff")
    edit(by_path, "page", body="second")
    for client in (by_path, by_host):
        assert "second" in client.get("/help/page/").text
    platform.databases.close_idle()


def test_the_search_field_is_labelled_and_keeps_the_query(acme: TenantClient) -> None:
    for path in ("/help/", "/faq/", "/help/-/search?q=%22x%3E"):
        text = acme.get(path).text
        assert re.search(r'<form method="get" action="/acme/\w+/-/search" role="search"', text)
        assert '<label for="q">' in text
    assert 'value="&#34;x&gt;"' in acme.get("/help/-/search?q=%22x%3E").text


def test_results_come_in_parts(acme: TenantClient) -> None:
    with acme.platform.tenant("acme"):
        db.session.add_all(Page(section="help", slug=f"p{n}", title=f"Umbrella {n}", body="x") for n in range(45))
    seen: list[str] = []
    path: str | None = "/help/-/search?q=umbrella"
    while path:
        answer = acme.get(path)
        seen += re.findall(r'<h2><a href="[^"]*?/(p\d+)/">', answer.text)
        path = next_of(answer)
    assert len(seen) == len(set(seen)) == 45
    assert [acme.get(f"/help/-/search?q=umbrella&page={n}").status_code for n in (3, 4)] == [200, 404]
    assert 'rel="prev"' not in acme.get("/help/-/search?q=&page=4").text


def test_the_migration_keeps_and_indexes_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first version with two pages to the present one, and back."""
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext

    from tenantry.provisioning import provision
    from tenantry.sqlite import DatabaseFile

    monkeypatch.setenv("TENANTRY_ENV", "testing")
    platform = make_platform(tmp_path)
    acme = client_of(platform, "acme")
    write(acme, "before", "Umbrella", "An older text")
    platform.databases.close_idle()
    file = DatabaseFile.at(platform.registry["acme"].database_file, 10)
    script = platform.schema.script

    def find(revision: Any, context: Any) -> Any:
        return script._downgrade_revs("sections@sections_0001", revision)

    with platform.databases.direct(file, "write", enforce=False) as connection:
        with connection.begin(), EnvironmentContext(Config(), script, fn=find) as environment:
            environment.configure(connection=connection)
            environment.run_migrations()
        assert {
            row[0] for row in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE name LIKE 'page%'")
        } == {"page"}
    with sqlite3.connect(platform.registry["acme"].database_file) as raw:
        assert raw.execute("SELECT count(*) FROM page").fetchone() == (3,)
    raw.close()
    again = make_platform(tmp_path)
    assert provision(again, again.registry["acme"]) == "updated"
    reader = client_of(again, "acme")
    assert found(reader, "umbrella older") == ["before"]
    assert reader.get("/help/before/").status_code == 200
    assert revisions(reader, "before") == [(1, "Umbrella", "An older text", "")]
    for each in (platform, again):
        each.databases.close_idle()


# Pictures


def picture_of(client: TenantClient) -> str:
    client.submit("/help/-/pictures/", {"file": (drawn(), "a.png"), "alt": "A <b>"})
    with client.platform.tenant(client.tenant.slug):
        return db.session.scalars(select(uploads.Upload.id)).one()


def test_deleting_a_picture_asks_first_and_names_the_pages_that_show_it(staff: TenantClient) -> None:
    upload_id = picture_of(staff)
    ask = f"/help/-/pictures/{upload_id}/delete"
    assert "No page shows it." in staff.get(ask).text
    write(staff, "in-help", "Help & more", f"![x](-/pictures/{upload_id})")
    write(staff, "in-faq", "A draft", f"Words ![x](-/pictures/{upload_id}) words", section="faq", published_at=None)
    write(staff, "in-attic", "Of a section of old", f"![x](-/pictures/{upload_id})", section="attic")
    write(staff, "without", "Without", f"![x](-/pictures/{'0' * 32})")
    assert f'href="/acme{ask}"' in staff.get("/help/-/pictures/").text
    asked = staff.get(ask)
    links = [each["href"] for each in Reader(main_of(asked)).all("a")]
    assert {"/acme/help/in-help/", "/acme/faq/in-faq/"} <= set(links)
    assert "Of a section of old" in asked.text
    assert "Without" not in asked.text
    assert staff.get(f"/help/-/pictures/{upload_id}").status_code == 200
    assert staff.post(ask, data={}).status_code == 400
    assert staff.get(f"/help/-/pictures/{upload_id}").status_code == 200
    assert staff.post(ask, data=values(asked)).location == "/acme/help/-/pictures/"
    assert "The picture is deleted." in staff.get("/help/-/pictures/").text
    assert staff.get(f"/help/-/pictures/{upload_id}").status_code == staff.get(ask).status_code == 404


def test_pages_with_a_picture_come_in_parts(staff: TenantClient) -> None:
    upload_id = picture_of(staff)
    with staff.platform.tenant("acme"):
        body = f"![x](-/pictures/{upload_id})"
        db.session.add_all(Page(section="help", slug=f"p{n:03}", title=f"P {n:03}", body=body) for n in range(101))
    first = staff.get(f"/help/-/pictures/{upload_id}/delete")
    rest = staff.get(next_of(first) or "")
    assert ("P 099" in first.text, "P 100" in first.text, "P 100" in rest.text) == (True, False, True)


def test_room_is_told_in_the_readers_numbers(acme: TenantClient, globex: TenantClient) -> None:
    for client, told in ((acme, "1.5 of 256 MiB"), (globex, "1,5 von 256 MiB")):
        client.log_in("ada", "staff")
        with client.platform.tenant(client.tenant.slug):
            size = {"size": 3 * 512 * 1024, "width": 1, "height": 1}
            db.session.add(uploads.Upload(id="a" * 32, name="a.png", media_type="image/png", **size))
        assert told in client.get("/help/-/pictures/").text


# Escaping and bad input


@pytest.mark.parametrize("hostile", HOSTILE)
def test_row_38_every_text_is_inert_wherever_it_is_shown(staff: TenantClient, hostile: str) -> None:
    typed = {"title": hostile, "body": hostile, "note": hostile}
    assert staff.submit("/help/-/new", {**typed, "slug": "hostile", "do": "publish"}).status_code == 302
    assert edit(staff, "hostile", title=hostile + " 2", body=hostile + "\n2", note=hostile).status_code == 302
    pages = [staff.get(f"/help/hostile/{path}") for path in ("", "edit", "history", "history/1", "remove")]
    pages += [staff.get("/help/"), staff.get("/help/hostile/history/difference?from=1&to=2")]
    pages += [staff.get("/help/-/search", query_string={"q": hostile})]
    pages += [
        staff.submit("/help/-/new", {**typed, "slug": hostile}),
        staff.submit("/help/-/new", {**typed, "do": "preview"}),
    ]
    pages += [edit(staff, "hostile", **typed, revision="1"), staff.get(f"/help/{hostile.replace('/', '')}/")]
    for page in pages:
        assert page.status_code in (200, 308, 404, 409, 422)
        if page.status_code == 308:
            continue
        reader = Reader(page.text)
        assert not list(reader.all("script"))
        for tag, attributes in reader.tags:
            assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
            assert not (attributes.get("href") or attributes.get("src") or "").startswith("javascript:")
        assert "49" not in re.sub(
            r"\d{4}-\d\d-\d\dT[\d:]+|[0-9a-f]{32}|csrf_token[^>]*|<time.*?</time>", "", main_of(page)
        )


BAD_VALUES: list[Any] = [
    "",
    "\0",
    "\x1b[31m",
    "\u202egnp",
    b"\xed\xa0\x80",
    b"\xff\xfe",
    "x" * 201,
    "x" * 100_001,
    "9" * 400,
    "-1",
    "9223372036854775808",
    "a\u2028b",
    ["a", "b"],
    None,
    "file",
]


@pytest.mark.parametrize("field", ["title", "slug", "body", "note", "revision", "page", "do", "csrf_token"])
@pytest.mark.parametrize("path", ["/help/-/new", "/help/welcome/edit"])
def test_row_37_bad_input_is_refused_or_harmless(staff: TenantClient, path: str, field: str) -> None:
    form = {"title": "T", "body": "B", **values(staff.get(path))}
    for value in BAD_VALUES:
        sent: dict[str, Any] = {**form, field: value}
        if value is None:
            del sent[field]
        elif value == "file":
            sent[field] = (io.BytesIO(b"content"), "a.txt")
        answer = staff.post(path, data=sent)
        assert answer.status_code in (302, 400, 409, 422), value
        if field in ("title", "note") and value in (
            "\0",
            "\x1b[31m",
            "\u202egnp",
            "x" * 201,
            "x" * 100_001,
            "a\u2028b",
        ):
            assert answer.status_code == 422, value
    assert staff.get("/help/").status_code == 200


def test_row_37_ten_thousand_fields(staff: TenantClient) -> None:
    form = values(staff.get("/help/-/new"))
    fields = {**{f"f{n}": "x" for n in range(10_000)}, **form, "title": "Many"}
    assert staff.post("/help/-/new", data=fields).status_code in (302, 413)
    parts = {**dict(list(fields.items())[:2000]), "file": (io.BytesIO(b"x"), "a.txt")}
    assert staff.post("/help/-/new", data=parts).status_code in (400, 413)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded; charset=x", ""])
def test_row_37_other_media_types(staff: TenantClient, kind: str) -> None:
    for path in ("/help/-/new", "/help/welcome/edit", "/help/welcome/publish", "/help/-/pictures/"):
        assert staff.post(path, data=b'{"title": ["x"]}', content_type=kind).status_code == 400


@pytest.mark.parametrize(
    "slug", ["-", "%00", "%ff", "a" * 5000, "..", "%2e%2e", "a%2fb", "%F0%9F%98%80", "'--", "%0d%0ax"]
)
def test_slugs_that_are_not_there(staff: TenantClient, slug: str) -> None:
    for verb in ("", "edit", "history", "history/1", "history/difference", "remove"):
        assert staff.get(f"/help/{slug}/{verb}").status_code in (302, 308, 400, 404)


def test_what_is_below_the_dash_can_be_no_page(staff: TenantClient) -> None:
    for slug in ("-", "-/new", "-/search"):
        assert staff.submit("/help/-/new", {"title": "T", "slug": slug}).status_code == 422


# The look of it


STAFF_PAGES = [
    "/help/",
    "/help/welcome/",
    "/help/-/new",
    "/help/welcome/edit",
    "/help/welcome/history",
    "/help/welcome/history/1",
    "/help/welcome/history/difference",
    "/help/welcome/delete",
    "/help/-/pictures/",
    "/help/-/search?q=page",
]


@pytest.mark.parametrize("path", STAFF_PAGES)
def test_pages_for_staff_have_labels_ordered_headings_and_no_inline_code(staff: TenantClient, path: str) -> None:
    edit(staff, "welcome", body="# One\n\n## Two\n\nchanged")
    answer = staff.get(path)
    assert answer.status_code == 200
    page = Reader(answer.text)
    ids = [each["id"] for each in (attributes for _, attributes in page.tags) if "id" in each]
    assert len(ids) == len(set(ids))
    labelled = {each.get("for") for each in page.all("label")}
    for field in page.all("input", "textarea", "select"):
        assert field.get("type") == "hidden" or field.get("id") in labelled or field.get("aria-label"), field
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert not [tag for tag, attributes in page.tags if tag in ("script", "style") or "style" in attributes]
    title = re.search(r"<title>([^<]+) – Acme</title>", answer.text)
    assert title
    assert title[1].strip(" :")


@pytest.mark.parametrize("path", STAFF_PAGES)
def test_pages_for_staff_in_german(globex: TenantClient, path: str) -> None:
    """No text of the page is one of those that the catalogue translates otherwise."""
    globex.log_in("ada", "staff")
    edit(globex, "welcome", body="# Eins")
    answer = globex.get(path)
    assert answer.status_code == 200
    texts = {text.strip() for text in re.findall(r">([^<>]+)<", answer.text)}
    words = globex.platform.catalogues.get("de")
    assert {"Hilfe", "Häufige Fragen"} <= texts
    assert {text for text in texts - {""} if words.gettext(unescape(text)) != unescape(text)} == set()
    assert not re.search(r"(?i)\brevision \d", answer.text)


def test_crumbs_are_a_named_way_back(staff: TenantClient) -> None:
    shown = main_of(staff.get("/help/welcome/history"))
    assert '<nav class="crumbs" aria-label="You are here">' in shown
    assert [each["href"] for each in Reader(shown[: shown.index("<h1")]).all("a")] == [
        "/acme/help/",
        "/acme/help/welcome/",
    ]


def test_an_overlay_speaks_german_and_makes_no_empty_list(site: Path) -> None:
    platform = Platform.from_file(site / "tenants.toml")
    staff = client_of(platform, "initech")
    staff.log_in("ada", "staff")
    assert "<ol>" in staff.get("/help/").text
    assert "Initech lists its pages in a plain numbered list." in staff.get("/help/").text
    assert "Initech zeigt seine Seiten als schlichte nummerierte Liste." in staff.get("/help/?lang=de").text
    staff.post("/help/welcome/delete", data=values(staff.get("/help/welcome/delete")))
    empty = main_of(staff.get("/help/?lang=de"))
    assert "<ol>" not in empty
    assert "Hier gibt es noch keine Seite." in empty


def test_every_staff_link_leads_somewhere(staff: TenantClient) -> None:
    write(staff, "draft", published_at=None)
    edit(staff, "draft", body="two")
    seen, waiting = set(), ["/help/"]
    while waiting:
        path = waiting.pop()
        seen.add(path)
        answer = staff.get(path)
        assert answer.status_code == 200, path
        for link in re.findall(r'href="/acme([^"#]+)', main_of(answer) if answer.mimetype == "text/html" else ""):
            inner = unescape(link)
            if inner not in seen | set(waiting) and inner.startswith("/help/"):
                waiting.append(inner)
    assert {
        "/help/-/new",
        "/help/draft/edit",
        "/help/draft/history/1",
        "/help/draft/delete",
        "/help/-/pictures/",
    } <= seen


def test_the_styles_keep_differences_and_tables_within_a_narrow_screen(staff: TenantClient) -> None:
    css = (ROOT / "platform/tenantry/look/static/tenantry.css").read_text()
    assert re.search(r"\.difference \.line \{[^}]*white-space: pre-wrap; overflow-wrap: anywhere", css)
    assert re.search(r"th, td \{[^}]*overflow-wrap: anywhere", css)
    assert re.search(r"\.scroll \{[^}]*overflow-x: auto", css)
    assert (
        'class="scroll" role="region" aria-labelledby="history" tabindex="0"' in staff.get("/help/welcome/history").text
    )


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("![a](-/pictures/1)", '<p><img src="/b/help/-/pictures/1" alt="a" loading="lazy"></p>\n'),
        ("[a](-/pictures/1)", '<p><a href="/b/help/-/pictures/1">a</a></p>\n'),
        ("[a](other/)", '<p><a href="other/">a</a></p>\n'),
        ("# a", "<h2>a</h2>\n"),
        ("###### a", "<h6>a</h6>\n"),
        ("a\n=", "<h2>a</h2>\n"),
    ],
)
def test_markdown_fits_into_the_page(source: str, html: str) -> None:
    assert render(source, "/b/help/") == html


# How much it costs


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Callable[[TenantClient, str], list[str]]:
    """The SQL that a GET executes."""
    executed: list[str] = []
    execute = TenantDialect.do_execute

    def note(self: TenantDialect, cursor: Any, statement: str, *args: Any, **kwargs: Any) -> None:
        executed.append(statement)
        execute(self, cursor, statement, *args, **kwargs)

    monkeypatch.setattr(TenantDialect, "do_execute", note)

    def of(client: TenantClient, path: str) -> list[str]:
        client.get(path)
        executed.clear()
        assert client.get(path).status_code == 200
        return list(executed)

    return of


def test_pages_cost_few_queries(staff: TenantClient, statements: Callable[[TenantClient, str], list[str]]) -> None:
    with staff.platform.tenant("acme"):
        page = Page(section="help", slug="long", title="A page", body="x")
        db.session.add(page)
        for number in range(2, 60):
            page.revise(slug="long", title="A page", body=f"body {number}")
        db.session.add_all(Page(section="help", slug=f"p{n}", title=f"Page {n}", body="x" * 1000) for n in range(1000))
    reader = other(staff)
    assert len(statements(reader, "/help/long/")) == 1
    (listing,) = statements(reader, "/help/")
    assert "body" not in listing
    assert len(statements(reader, "/help/-/search?q=page")) == 2
    # And one for who is logged in.
    assert len(statements(staff, "/help/")) == 2
    assert len(statements(staff, "/help/long/")) == 2
    history = statements(staff, "/help/long/history")
    assert len(history) == 3
    assert "page_revision.body" not in " ".join(history)
    assert len(statements(staff, "/help/long/history/difference?from=1&to=9")) == 4


def test_a_thousand_pages_are_listed_in_parts(acme: TenantClient) -> None:
    with acme.platform.tenant("acme"):
        db.session.add_all(Page(section="help", slug=f"p{n:04}", title=f"Page {n:04}", body="x") for n in range(1000))
    seen: list[str] = []
    path: str | None = "/help/"
    parts = 0
    while path:
        answer = acme.get(path)
        parts += 1
        seen += re.findall(r'href="/acme/help/(p\d{4})/"', answer.text)
        path = next_of(answer)
    assert seen == [f"p{n:04}" for n in range(1000)]
    assert parts == 11
    assert acme.get("/help/?page=11").status_code == 200
    assert acme.get("/help/?page=12").status_code == acme.get("/help/?page=99").status_code == 404
