"""The look: whatever colour a tenant has, its links can be read and its outlines seen, light and dark.

And what its pages say to those who hear them.
"""

from __future__ import annotations

import colorsys
import re
from datetime import timedelta

import pytest
from flask import flash, render_template
from hypothesis import given
from hypothesis import strategies as st

from conftest import ROOT
from tenantry import Platform, db
from tenantry.look.colours import DARK, EDGE, LIGHT, TEXT, Scheme, brought_to, contrast, readable_on, theme_of
from tenantry.testing import TenantClient, client_of
from tenantry.times import now
from tenantry.users import User, issue_token
from test_users import add

CSS = (ROOT / "platform/tenantry/look/static/tenantry.css").read_text()
SHIPPED = re.findall(r'^color\s*= "(#\w{6})"', (ROOT / "tenants.toml").read_text(), re.M)
#: A grid over what screens can show.
GRID = [
    "#" + "".join(f"{round(part * 255):02x}" for part in colorsys.hls_to_rgb(hue / 24, light / 6, saturation / 2))
    for hue in range(24)
    for light in range(7)
    for saturation in range(3)
]
COLORS = sorted({"#000000", "#ffffff", "#ffff00", "#0b6e99", *SHIPPED, *GRID})
SCHEMES = [pytest.param(LIGHT, id="light"), pytest.param(DARK, id="dark")]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("#000000", "#ffffff", 21), ("#777777", "#ffffff", 4.48), ("#0000ff", "#ffff00", 8.0), ("#123456", "#123456", 1)],
)
def test_contrast_is_that_of_wcag(one: str, other: str, expected: float) -> None:
    assert contrast(one, other) == contrast(other, one) == pytest.approx(expected, abs=0.005)


def test_the_shipped_tenants_are_among_the_colours() -> None:
    assert len(SHIPPED) == 3
    assert len(COLORS) > 250


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("least", [TEXT, EDGE])
def test_a_colour_is_brought_as_far_as_it_must_be(scheme: Scheme, least: float) -> None:
    for color in COLORS:
        found = brought_to(least, color, scheme)
        assert contrast(found, scheme.paper) >= least, color
        assert contrast(found, scheme.sheet) >= least, color
        fits = min(contrast(color, scheme.paper), contrast(color, scheme.sheet)) >= least
        assert (found == color) == fits, "and one that fits stays as it is"


@given(st.from_regex(r"#[0-9a-f]{6}", fullmatch=True))
def test_what_stands_on_a_colour_can_be_read(color: str) -> None:
    assert contrast(readable_on(color), color) >= TEXT


def test_the_grounds_are_those_of_the_stylesheet() -> None:
    for name in ("paper", "sheet", "ink"):
        assert f"--{name}: light-dark({getattr(LIGHT, name)}, {getattr(DARK, name)});" in CSS


def test_without_a_theme_the_stylesheet_has_that_of_the_default_colour() -> None:
    for name, value in re.findall(r"(--\S+): (.*?);", theme_of("#0b6e99")):
        assert f"{name}: {value};" in CSS


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_stylesheets_own_colours(scheme: Scheme) -> None:
    own = dict(re.findall(r"--(soft|wrong): light-dark\((.*?)\)", CSS))
    assert len(own) == 2
    for pair in own.values():
        color = pair.split(", ")[scheme is DARK]
        assert contrast(color, scheme.paper) >= TEXT
        assert contrast(color, scheme.sheet) >= TEXT


def test_each_tenants_theme_is_served(platform: Platform) -> None:
    answer = client_of(platform, "acme").get("/-/theme.css")
    assert answer.mimetype == "text/css"
    assert answer.text == theme_of(platform.registry["acme"].color)


def main_of(client: TenantClient, path: str) -> str:
    """Return what a page has between its bar and its footer."""
    return client.get(path).text.split("<main")[1].split("</main>")[0]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/accounts/", {"/acme/accounts/": "page"}),
        ("/accounts/tokens", {"/acme/accounts/": "true"}),
        ("/accounts/members", {"/acme/accounts/members": "page"}),
        ("/accounts/invitations", {"/acme/accounts/members": "true"}),
        ("/help/", {}),
        ("/accounts/activate/nonsense", {}),
    ],
)
def test_the_bar_says_where_one_is(acme: TenantClient, path: str, expected: dict[str, str]) -> None:
    acme.log_in("root1", "admin")
    bar = acme.get(path).text.split('class="account"')[1].split("</nav>")[0]
    assert dict(re.findall(r'href="([^"]+)" aria-current="(\w+)"', bar)) == expected


@pytest.mark.parametrize(("category", "role"), [("error", "alert"), ("success", "status"), ("message", "status")])
def test_what_went_wrong_is_an_alert_and_what_went_well_is_not(
    platform: Platform, acme: TenantClient, category: str, role: str
) -> None:
    def view() -> str:
        flash("Told.", category)
        return render_template("tenantry/base.html")

    platform.tenant_app("acme").view_functions["demo.hello"] = view
    assert f'<p class="flash {category}" role="{role}">Told.</p>' in acme.get("/demo/").text


def test_each_button_of_a_list_says_what_it_is_about(platform: Platform, acme: TenantClient) -> None:
    me = acme.log_in("root1", "admin")
    bob_id = add(platform, username="bob", name="Bob", blocked_at=now())
    with platform.tenant("acme"):
        issue_token(me.id, "script", ["read", "write"], timedelta(days=1))
    members = main_of(acme, "/accounts/members?q=example.com")
    assert f"/members/{me.id}/" not in members, "nobody blocks themselves"
    assert 'Change role<span class="hidden">: Bob</span>' in members
    assert 'Unblock<span class="hidden">: Bob</span>' in members
    block = members.split(f'action="/acme/accounts/members/{bob_id}/block"')[1].split("</form>")[0]
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', block))
    assert (hidden["state"], hidden["q"], hidden["page"]) == ("unblock", "example.com", "1")
    tokens = main_of(acme, "/accounts/tokens")
    assert 'Revoke<span class="hidden">: script</span>' in tokens
    assert re.search(r"Read, Change · since <time [^>]+>[^<]+</time>, until <time ", tokens)


def test_logging_out_everywhere_else_is_offered_where_there_is_another_log_in(
    platform: Platform, acme: TenantClient
) -> None:
    acme.log_in("ada")
    assert "end-others" not in main_of(acme, "/accounts/sessions")
    client_of(platform, "acme").log_in("ada")
    assert "end-others" in main_of(acme, "/accounts/sessions")


def test_who_is_logged_out_meanwhile_is_told_that_nothing_is_lost(acme: TenantClient) -> None:
    sent = acme.post("/accounts/", data={"name": "Ada"})
    assert sent.status_code == 401
    assert "what you typed is still there" in sent.text
    assert 'href="/acme/accounts/log-in" target="_blank" rel="noopener"' in sent.text
    refused = acme.post("/accounts/", data={"name": "Ada"}, headers={"Authorization": "Bearer x"})
    assert refused.status_code == 401
    assert "what you typed" not in refused.text, "a program typed nothing"


def test_pages_of_a_list_are_linked_in_a_landmark(platform: Platform, acme: TenantClient) -> None:
    acme.log_in("root1", "admin")
    with platform.tenant("acme"):
        db.session.add_all(
            User(username=f"user{n}", email=f"user{n}@example.com", name="U", activated_at=now()) for n in range(120)
        )
    pages = main_of(acme, "/accounts/members?q=user&page=2").split('<nav class="pages" aria-label="Pagination">')[1]
    assert re.findall(r'rel="(\w+)" href="([^"]+)"', pages) == [
        ("prev", "/acme/accounts/members?page=1&amp;q=user"),
        ("next", "/acme/accounts/members?page=3&amp;q=user"),
    ]
    assert '<li aria-current="page">2 / 3</li>' in pages
