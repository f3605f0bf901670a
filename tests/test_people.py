"""The blueprint ``people``: public profiles, and the same view at a fixed address."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import select

from tenantry import Platform, db
from tenantry.testing import TenantClient
from tenantry.users import User
from test_users import add

PAGE = "/people/ada/"
LONG_AGO = datetime(2026, 1, 1)  # one moment for all processes that run the tests, as it stands in a test's name


def test_a_profile_shows_what_is_meant_for_others(platform: Platform, acme: TenantClient) -> None:
    add(platform, name="Ada Lovelace", about="First line\nSecond line", role="staff")
    text = acme.get(PAGE).text
    assert "Ada Lovelace" in text
    assert "First line\nSecond line" in text
    assert "Staff" in text
    assert "ada@example.com" not in text


def test_one_blueprint_stands_twice(platform: Platform, acme: TenantClient) -> None:
    app = platform.tenant_app("acme")
    assert app.blueprints["people"] is app.blueprints["special_admin"]
    assert app.view_functions["people.profile"] is app.view_functions["special_admin.profile"]
    with app.test_request_context():
        assert app.url_for("special_admin.profile") == "/acme/special/admin/"
        assert app.url_for("people.profile", username="ada") == "/acme/people/ada/"


def test_the_special_page_is_of_who_looks_after_the_workspace(platform: Platform, acme: TenantClient) -> None:
    assert acme.get("/special/admin/").status_code == 404
    add(platform, name="Ada")
    assert acme.get("/special/admin/").status_code == 404
    add(platform, username="bob", name="Bob the first", role="admin")
    add(platform, username="eve", name="Eve", role="admin")
    assert "Bob the first" in acme.get("/special/admin/").text
    add(platform, username="admin", name="The real one")
    assert "The real one" in acme.get("/special/admin/").text
    assert acme.get("/special/admin/").data == acme.get("/people/admin/").data.replace(b"/people/", b"/special/")


@pytest.mark.parametrize("state", [{"is_public": False}, {"blocked_at": LONG_AGO}, {"activated_at": None}], ids=str)
def test_who_is_not_to_be_seen_is_not_told_from_who_is_not_there(
    platform: Platform, acme: TenantClient, state: dict[str, object]
) -> None:
    add(platform, **state)
    hidden, missing = acme.get(PAGE), acme.get("/people/bda/")
    assert hidden.status_code == 404
    assert hidden.data == missing.data.replace(b"bda", b"ada")


def test_a_profile_that_is_not_public_is_for_those_who_are_logged_in(platform: Platform, acme: TenantClient) -> None:
    add(platform, is_public=False)
    acme.log_in("bob")
    assert acme.get(PAGE).status_code == 200


@pytest.mark.parametrize("name", ["ADA", "Ada", "%41da"])
def test_a_name_in_capitals_leads_to_the_one_there_is(platform: Platform, acme: TenantClient, name: str) -> None:
    add(platform)
    assert acme.get(f"/people/{name}/").headers["Location"] == "/acme/people/ada/"


@pytest.mark.parametrize("name", ["a b", "аda", "..", "'", "x" * 5000, "%00", "ada%0a"])
def test_names_that_there_cannot_be(acme: TenantClient, name: str) -> None:
    assert acme.get(f"/people/{name}/").status_code in (302, 400, 404)


def test_people_of_another_tenant_are_not_there(platform: Platform, acme: TenantClient, globex: TenantClient) -> None:
    add(platform)
    assert globex.get(PAGE).status_code == 404
    assert acme.get(PAGE).status_code == 200


def test_ones_own_profile_leads_to_where_it_is_edited(platform: Platform, acme: TenantClient) -> None:
    acme.log_in("ada")
    assert 'href="/acme/accounts/"' in acme.get(PAGE).text.split("<article")[1]
    with platform.tenant("acme"):
        assert db.session.scalars(select(User)).one().username == "ada"
