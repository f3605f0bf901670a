"""Inviting somebody of another workspace: from one to the other and back, by internal calls, and what each learns."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import select

from blueprints.projects import invitations
from blueprints.projects.models import PartnerInvitation
from tenantry import Platform, db, pages, services, signing
from tenantry.events import Event
from tenantry.organizations import Membership, Organization, add_member, unscoped
from tenantry.testing import TenantClient, client_of, mails_of
from tenantry.times import now
from tenantry.users import CurrentUser, User, become


@pytest.fixture
def tenants_toml() -> str:
    return """
[defaults]
languages = ["en", "de"]
[tenants.acme]
title = "Acme"
path = "/acme"
partners = ["globex"]
[tenants.globex]
title = "Globex"
hosts = ["globex.localhost"]
languages = ["de", "en"]
partners = ["acme"]
[tenants.alone]
path = "/alone"
"""


def invite(acme: TenantClient, username: str = "zoe", role: str = "member") -> Any:
    """As ada, the owner of a new organization of acme, invite somebody of globex."""
    acme.log_in("ada")
    made = acme.submit("/projects/organizations/new", {"name": "Rockets"})
    path = made.headers["Location"].removeprefix("/acme")
    assert "Invite somebody of another workspace" in acme.get(path).text
    return acme.submit(f"{path}partners", {"workspace": "globex", "username": username, "role": role})


def link_of(platform: Platform) -> str:
    (mail,) = mails_of(platform, "globex")
    found = re.search(r"http://globex\.localhost(/projects/partners/\S+)", mail.get_body(("plain",)).get_content())
    assert found
    return found[1]


def members(platform: Platform) -> dict[str, str]:
    with platform.tenant("acme"):
        chosen = (
            Membership.unscoped()
            .join(User, User.id == Membership.user_id)
            .with_only_columns(User.username, Membership.role)
        )
        return {row.username: row.role for row in db.session.execute(chosen)}


def test_there_and_back(platform: Platform, acme: TenantClient, globex: TenantClient) -> None:
    globex.log_in("zoe")
    assert invite(acme).status_code == 302
    (mail,) = mails_of(platform, "globex")
    assert mail["To"] == "zoe@example.com"
    assert "Ada von Acme lädt Sie" in mail.get_body(("plain",)).get_content(), (
        "in the look and language of her workspace"
    )
    path = link_of(platform)
    page = globex.get(path)
    assert "erfährt Acme Ihren Namen" in page.text
    assert members(platform) == {"ada": "owner"}
    joined = globex.submit(path)
    assert joined.status_code == 200
    assert 'href="http://localhost/acme/projects/"' in joined.text
    assert members(platform) == {"ada": "owner", "zoe": "member"}
    (welcome,) = mails_of(platform, "acme")
    assert welcome["To"] == "zoe@example.com"
    reset = re.search(r"http://localhost/acme(/accounts/reset/\S+)", welcome.get_body(("plain",)).get_content())
    assert reset
    password = "a long enough sentence"
    assert acme.submit(reset[1], {"password": password}).status_code == 302
    stranger = TenantClient(platform, platform.registry["acme"])
    stranger.submit("/accounts/log-in", {"login": "zoe", "password": password})
    assert "Rockets" in stranger.get("/projects/").text


def test_it_works_once(platform: Platform, acme: TenantClient, globex: TenantClient) -> None:
    globex.log_in("zoe")
    invite(acme)
    path = link_of(platform)
    assert globex.submit(path).status_code == 200
    with platform.tenant("acme"):
        db.session.delete(db.session.scalars(Membership.unscoped().where(Membership.role == "member")).one())
    assert globex.submit(path).status_code == 404
    assert members(platform) == {"ada": "owner"}


def test_an_owner_sees_who_is_invited_and_withdraws_it(
    platform: Platform, acme: TenantClient, globex: TenantClient
) -> None:
    globex.log_in("zoe")
    page = invite(acme, role="viewer").headers["Location"].removeprefix("/acme")
    shown = acme.get(page).text
    assert "Invited from other workspaces" in shown
    assert re.search(r"<strong>zoe</strong> <span[^>]*>Globex, until ", shown)
    withdraw = "/projects/partner-invitations/1/withdraw"
    bob = client_of(platform, "acme")
    bob.log_in("bob")
    assert bob.submit("/projects/organizations/new", form=withdraw).status_code == 404, "not theirs to see"
    with platform.tenant("acme"):
        add_member(1, db.session.scalars(select(User.id).where(User.username == "bob")).one())
    assert bob.submit("/projects/organizations/new", form=withdraw).status_code == 403
    assert "Invited from" not in bob.get(page).text
    assert acme.post(withdraw, data={"csrf_token": "x"}).status_code == 400
    assert acme.submit(page, form=withdraw).status_code == 302
    assert "Invited from" not in acme.get(page).text
    assert globex.submit(link_of(platform)).status_code == 404
    assert "zoe" not in members(platform)


def test_a_second_invitation_takes_the_place_of_the_first(
    platform: Platform, acme: TenantClient, globex: TenantClient
) -> None:
    """So that who was removed has no other one left."""
    globex.log_in("zoe")
    page = invite(acme, role="owner").headers["Location"].removeprefix("/acme")
    first = link_of(platform)
    acme.submit(f"{page}partners", {"workspace": "globex", "username": "zoe", "role": "viewer"})
    assert acme.get(page).text.count("<strong>zoe</strong>") == 1
    assert globex.submit(first).status_code == 404
    assert members(platform) == {"ada": "owner"}


@pytest.mark.parametrize("answer", [pages.MAINTENANCE, pages.NOT_FOUND])
def test_what_was_not_passed_on_is_not_kept(
    platform: Platform, acme: TenantClient, globex: TenantClient, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    """And an older one that was stays good."""
    globex.log_in("zoe")
    page = invite(acme).headers["Location"].removeprefix("/acme")
    serve = platform.serve

    def without_globex(tenant: Any, *args: Any) -> Any:
        return answer(*args) if tenant.slug == "globex" else serve(tenant, *args)

    with monkeypatch.context() as patch:
        patch.setattr(platform, "serve", without_globex)
        told = [
            acme.submit(f"{page}partners", {"workspace": "globex", "username": name, "role": "owner"})
            for name in ("zoe", "yan")
        ]
    assert all("cannot be reached at the moment" in each.text for each in told)
    shown = acme.get(page).text
    assert (shown.count("<strong>zoe</strong>"), shown.count("<strong>yan</strong>")) == (1, 0)
    assert globex.submit(link_of(platform)).status_code == 200
    assert members(platform) == {"ada": "owner", "zoe": "member"}


def test_who_belongs_already_keeps_their_role(platform: Platform, acme: TenantClient, globex: TenantClient) -> None:
    globex.log_in("zoe")
    invite(acme, role="owner")
    with platform.tenant("acme"):
        zoe = User(username="zoe", email="zoe@example.com", name="Z", activated_at=now())
        db.session.add(zoe)
        db.session.flush()
        add_member(1, zoe.id, "viewer")
    assert globex.submit(link_of(platform)).status_code == 200
    assert members(platform) == {"ada": "owner", "zoe": "viewer"}
    with platform.tenant("acme"):
        assert "membership.created" not in db.session.scalars(unscoped(select(Event.kind))).all()


def test_a_workspace_that_cannot_do_it_now_leaves_the_link_good(
    platform: Platform, acme: TenantClient, globex: TenantClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    globex.log_in("zoe")
    invite(acme)
    path, serve = link_of(platform), platform.serve

    def broken_acme(tenant: Any, *args: Any) -> Any:
        return pages.ERROR(*args) if tenant.slug == "acme" else serve(tenant, *args)

    with monkeypatch.context() as patch:
        patch.setattr(platform, "serve", broken_acme)
        answer = globex.submit(path)
    assert (answer.status_code, answer.headers["Location"].endswith(path)) == (302, True)
    assert globex.submit(path).status_code == 200


def test_only_so_many_are_on_their_way(platform: Platform, acme: TenantClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invitations, "MOST_WAITING", 1)
    page = invite(acme).headers["Location"].removeprefix("/acme")
    yan = {"workspace": "globex", "username": "yan", "role": "member"}
    assert "Withdraw one of them first" in acme.submit(f"{page}partners", yan).text
    acme.submit(page, form="/projects/partner-invitations/1/withdraw")
    assert acme.submit(f"{page}partners", yan).status_code == 302
    with platform.tenant("acme"):
        kinds = db.session.scalars(unscoped(select(Event.kind).order_by(Event.id))).all()
    told = [kind.removeprefix("invitation.") for kind in kinds if kind.startswith("invitation")]
    assert told == ["created", "withdrawn", "created"]


def test_only_the_one_who_was_invited_accepts(platform: Platform, acme: TenantClient, globex: TenantClient) -> None:
    globex.log_in("zoe")
    invite(acme)
    path = link_of(platform)
    globex.log_in("mallory", "admin")
    assert globex.get(path).status_code == 404
    assert acme.get(path).status_code == 404, "and nowhere else"
    assert globex.get(f"{path}x").status_code == 404


@pytest.mark.parametrize("username", ["nobody", "bob"])
def test_whether_there_is_such_a_user_is_not_told(
    platform: Platform, acme: TenantClient, globex: TenantClient, username: str
) -> None:
    globex.log_in("zoe")
    globex.log_in("bob")
    with platform.tenant("globex"):
        db.session.scalars(select(User).where(User.username == "bob")).one().blocked_at = now()
    told = []
    for name in ("zoe", username):
        answer = invite(acme, name)
        page = acme.get(answer.headers["Location"].removeprefix("/acme"))
        told.append((answer.status_code, re.search(r'class="flash success"[^<]*<', page.text)[0]))  # type: ignore[index]
    assert told[0] == told[1]
    assert "If there is somebody of that name" in told[0][1]
    assert [mail["To"] for mail in mails_of(platform, "globex")] == ["zoe@example.com"]


def test_an_inviter_who_may_not_any_more(platform: Platform, acme: TenantClient, globex: TenantClient) -> None:
    globex.log_in("zoe")
    invite(acme)
    path = link_of(platform)
    with platform.tenant("acme"):
        db.session.scalars(select(User).where(User.username == "ada")).one().blocked_at = now()
    assert globex.submit(path).status_code == 404
    assert members(platform) == {"ada": "owner"}


def test_an_account_that_is_there_is_used_and_keeps_what_it_is(
    platform: Platform, acme: TenantClient, globex: TenantClient
) -> None:
    globex.log_in("zoe")
    with platform.tenant("acme"):
        db.session.add(User(username="zoe2", email="zoe@example.com", name="Z", role="staff", activated_at=now()))
    invite(acme)
    assert globex.submit(link_of(platform)).status_code == 200
    assert members(platform) == {"ada": "owner", "zoe2": "member"}
    assert mails_of(platform, "acme") == []


def test_a_name_that_is_taken_gets_another(platform: Platform, acme: TenantClient, globex: TenantClient) -> None:
    globex.log_in("zoe")
    with platform.tenant("acme"):
        db.session.add(User(username="zoe", email="other@example.com", name="Z", activated_at=now()))
    invite(acme)
    assert globex.submit(link_of(platform)).status_code == 200
    assert re.fullmatch(r"zoe-[0-9a-f]{6}", next(name for name in members(platform) if name != "ada"))


def test_only_an_owner_invites_and_only_where_there_are_partners(platform: Platform, acme: TenantClient) -> None:
    invite(acme)
    acme.log_in("bob")
    assert acme.get("/projects/organizations/1/partners").status_code == 404
    alone = client_of(platform, "alone")
    alone.log_in("ada")
    alone.submit("/projects/organizations/new", {"name": "x"})
    assert alone.get("/projects/organizations/1/partners").status_code == 404
    assert "another workspace" not in alone.get("/projects/organizations/1/").text


def test_a_token_of_the_one_is_no_token_of_the_other(
    platform: Platform, acme: TenantClient, globex: TenantClient
) -> None:
    """What acme signed for globex to pass on is accepted by acme alone, from globex alone, for that user alone."""
    globex.log_in("zoe")
    invite(acme)
    with platform.tenant("acme"):
        ada = db.session.scalars(select(User).where(User.username == "ada")).one()
        become(CurrentUser.of(ada, "session"))
        organization = db.session.scalars(select(Organization)).one()
        token = invitations.ticket_of(invitations.keep(organization, "globex", "zoe", "owner"))
        first = max(db.session.scalars(select(PartnerInvitation.id)))
        by_another_purpose = signing.sign("another", first, 60)
    told = {"token": token, "username": "zoe", "name": "Z", "email": "z@x.example", "language": None}
    with platform.tenant("globex"):
        assert services.call("acme", "/projects/-/acceptances", {**told, "username": "bob"}).status_code == 404
        for forged in (signing.sign("partner invitation", first, 60), by_another_purpose, f"{token}x"):
            assert services.call("acme", "/projects/-/acceptances", {**told, "token": forged}).status_code == 404
        assert services.call("acme", "/projects/-/acceptances", {"token": token}).status_code == 422
        assert services.call("acme", "/projects/-/acceptances", told).status_code == 200
        assert services.call("acme", "/projects/-/acceptances", told).status_code == 404
    assert members(platform) == {"ada": "owner", "zoe": "owner"}
