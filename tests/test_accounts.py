"""The blueprint ``accounts``, as people use it: through its pages, its forms and its mails."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tenantry import Platform, db, users
from tenantry.testing import TWO_TENANTS, TenantClient, client_of, mails_of, make_platform
from tenantry.times import now
from tenantry.users import ApiToken, Invitation, Login, User, passwords
from test_users import PASSWORD, add

ADA = {"username": "ada", "name": "Ada Lovelace", "email": "ada@example.com", "password": PASSWORD}
NEW = "battery staple horse"


@pytest.fixture
def tenants_toml() -> str:
    closed = '\n[tenants.initech]\ntitle = "Initech"\npath = "/initech"\nsign_up = "closed"\n'
    return TWO_TENANTS.replace("[defaults]\n", '[defaults]\nsign_up = "open"\n') + closed


@pytest.fixture(autouse=True)
def room_for_crowds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here many come at once to see who wins; that a crowd is sent away is tested with the passwords."""
    monkeypatch.setattr(passwords, "_MOST_OF_A_TENANT", 100)
    monkeypatch.setattr(passwords, "_MOST", 100)


def link_in(message: Any) -> str:
    """Return the path, within its tenant, of the first link in a mail."""
    text = message.get_body(("plain",)).get_content()
    found = re.search(r"https?://\S+?(/accounts/\S+)", text)
    assert found, text
    return found[1]


def sign_up(client: TenantClient, **values: str) -> str:
    """Sign up, and return the link that comes by mail."""
    assert client.submit("/accounts/sign-up", {**ADA, **values}).status_code == 302
    return link_in(mails_of(client.platform, client.tenant.slug)[-1])


def confirm(client: TenantClient, link: str, password: str = PASSWORD) -> Any:
    return client.submit(link, {"password": password})


def log_in(client: TenantClient, login: str = "ada", password: str = PASSWORD) -> Any:
    return client.submit("/accounts/log-in", {"login": login, "password": password})


def is_in(client: TenantClient) -> bool:
    return client.get("/accounts/").status_code == 200


def the(platform: Platform, model: Any = User, slug: str = "acme") -> Any:
    with platform.tenant(slug):
        found = db.session.scalars(select(model)).one()
        db.session.expunge(found)
        return found


# Signing up.


def test_sign_up_confirm_log_in_log_out(platform: Platform, acme: TenantClient) -> None:
    link = sign_up(acme)
    assert not the(platform).is_active
    assert "ada@example.com" in acme.get(link).text
    assert not the(platform).is_active, "looking at the page must not use the link up"
    wrong = acme.submit(link, {"password": "not the one"})
    assert wrong.status_code == 422
    assert "not your current password" in wrong.text
    assert not the(platform).is_active
    assert confirm(acme, link).headers["Location"] == "/acme/accounts/log-in"
    assert the(platform).is_active
    assert not is_in(acme)
    assert log_in(acme).headers["Location"] == "/acme/"
    assert is_in(acme)
    assert "Ada Lovelace" in acme.get("/").text
    assert acme.submit("/", form="/accounts/log-out").status_code == 302
    assert not is_in(acme)


def test_the_first_account_is_a_member_in_production(platform: Platform, acme: TenantClient) -> None:
    confirm(acme, sign_up(acme))
    assert the(platform).role == "member"


def test_while_developing_the_first_account_is_the_administrator(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, tenants_toml: str
) -> None:
    from tenantry.testing import make_platform

    platform = make_platform(tmp_path, tenants_toml)
    monkeypatch.setenv("TENANTRY_ENV", "development")
    developing = make_platform(tmp_path, tenants_toml)
    for each, role in ((platform, "member"), (developing, "admin"), (developing, "member")):
        with each.tenant("acme"):
            from blueprints.accounts.services import activate

            count = len(db.session.scalars(select(User)).all())
            user = User(username=f"u{count}", email=f"u{count}@x.org", name="U")
            db.session.add(user)
            db.session.flush()
            activate(user)
            assert (user.role or "member") == role
    platform.databases.close_idle()
    developing.databases.close_idle()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("username", "", "required"),
        ("username", "ab", "3 to 32"),
        ("username", "аda", "3 to 32"),
        ("username", "admin", "is reserved"),
        ("username", "a" * 65, "longer than 64"),
        ("email", "nobody", "enter an email address"),
        ("email", "a@b.org\r\nBcc: c@d.org", "cannot be seen"),
        ("email", "x" * 250 + "@x.org", "longer than 254"),
        ("password", "short", "at least 10"),
        ("password", "aaaaaaaaaaaaaa", "easy to guess"),
        ("password", "x-ada-lovelace-x", "easy to guess"),
        ("password", "x" * 201, "longer than 200"),
        ("name", "", "required"),
        ("name", "x" * 81, "longer than 80"),
        ("name", "Ada\u202eecalevoL", "cannot be seen"),
        ("name", "Ada\nBcc: x@y.org", "cannot be seen"),
    ],
)
def test_what_does_not_fit_makes_no_account(
    platform: Platform, acme: TenantClient, field: str, value: str, said: str
) -> None:
    changed = {**ADA, field: value} if field != "password" or "ada" not in value else {**ADA, "password": value}
    if value == "x-ada-lovelace-x":
        changed["name"] = "lovelace"
    answer = acme.submit("/accounts/sign-up", changed)
    assert answer.status_code == 422
    assert said in answer.text.split(f'id="{field}-error">')[1].split("</p>")[0]
    assert PASSWORD not in answer.text
    with platform.tenant("acme"):
        assert db.session.scalars(select(User)).all() == []
    assert mails_of(platform, "acme") == []


def test_a_name_that_somebody_has_is_told_beside_it(platform: Platform, acme: TenantClient) -> None:
    add(platform)
    answer = acme.submit("/accounts/sign-up", {**ADA, "username": "ADA", "email": "other@example.com"})
    assert answer.status_code == 422
    assert "This username is already taken" in answer.text
    assert 'value="other@example.com"' in answer.text


def test_an_address_that_has_an_account_is_told_by_mail_only(platform: Platform, acme: TenantClient) -> None:
    add(platform)
    known = acme.submit("/accounts/sign-up", {**ADA, "username": "another"})
    new = acme.submit("/accounts/sign-up", {**ADA, "username": "third", "email": "third@example.com"})
    assert (known.status_code, known.headers["Location"]) == (new.status_code, new.headers["Location"])
    assert known.data == new.data
    assert [each["To"] for each in mails_of(platform, "acme")] == ["ada@example.com", "third@example.com"]
    assert "have an account already" in mails_of(platform, "acme")[0]["Subject"]


def test_who_waits_for_an_address_gives_way_to_who_can_read_its_mail(platform: Platform, acme: TenantClient) -> None:
    squatted = sign_up(acme, username="squatter", password="not the owner of it")
    mine = sign_up(acme)
    assert acme.get(squatted).status_code == 404
    assert confirm(acme, mine).status_code == 302
    assert the(platform).username == "ada"
    assert log_in(acme, "ada@example.com", "not the owner of it").status_code == 422
    assert log_in(acme, "ada@example.com").status_code == 302


def test_a_name_is_not_kept_for_ever_by_who_never_confirms(platform: Platform, acme: TenantClient) -> None:
    sign_up(acme)
    with platform.tenant("acme"):
        db.session.scalars(select(User)).one().created_at = now() - timedelta(days=4)
    assert acme.submit("/accounts/sign-up", {**ADA, "email": "b@example.com"}).status_code == 302


@pytest.mark.parametrize(("slug", "said"), [("initech", "cannot sign up here")])
def test_where_sign_up_is_closed(platform: Platform, slug: str, said: str) -> None:
    client = client_of(platform, slug)
    assert said in client.get("/accounts/sign-up").text
    assert client.post("/accounts/sign-up", data=ADA).status_code == 403
    assert "sign-up" not in client.get("/accounts/log-in").text


def test_too_many_sign_ups_from_one_address_wait(platform: Platform, acme: TenantClient) -> None:
    for number in range(20):
        sign_up(acme, username=f"ada{number}", email=f"ada{number}@example.com")
    answer = acme.submit("/accounts/sign-up", ADA)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 3600
    assert "try again in 1 hour" in answer.text
    assert 'value="ada@example.com"' in answer.text


def test_an_address_gets_five_mails_an_hour_whoever_names_it(platform: Platform, acme: TenantClient) -> None:
    for number in range(7):
        assert acme.submit("/accounts/sign-up", {**ADA, "username": f"ada{number}"}).status_code == 302
    assert len(mails_of(platform, "acme")) == 5


def test_the_ways_to_name_an_account_are_counted_together(platform: Platform, acme: TenantClient) -> None:
    add(platform)
    for login in ["ada", "ada@example.com"] * 8:
        assert log_in(acme, login, "wrong").status_code == 422
    right, unknown = log_in(acme), log_in(acme, "nobody", "wrong")
    assert right.status_code == unknown.status_code == 422, "it is not told that the two names are of one account"
    assert not is_in(acme)


def test_who_signs_up_later_with_the_same_address_does_not_get_the_account(
    platform: Platform, acme: TenantClient
) -> None:
    """The newest link is of the newest sign-up, and opens with that one's password only."""
    sign_up(acme)
    newest = sign_up(acme, username="ada2", password="of somebody else 1")
    assert confirm(acme, newest).status_code == 422
    assert confirm(acme, newest, "of somebody else 1").status_code == 302


def test_a_name_that_is_taken_costs_no_mail(platform: Platform, acme: TenantClient) -> None:
    add(platform, username="taken")
    for _ in range(7):
        assert acme.submit("/accounts/sign-up", {**ADA, "username": "taken"}).status_code == 422
    sign_up(acme)
    assert len(mails_of(platform, "acme")) == 1


def test_two_who_want_one_name_at_once(platform: Platform) -> None:
    clients = [client_of(platform, "acme") for _ in range(8)]
    answers: list[int] = []

    def ask(number: int) -> None:
        values = {**ADA, "email": f"ada{number}@example.com"}
        answers.append(clients[number].submit("/accounts/sign-up", values).status_code)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [302] + [422] * 7
    assert the(platform).username == "ada"


def test_an_unconfirmed_account_cannot_be_made_to_send_mails_for_ever(platform: Platform, acme: TenantClient) -> None:
    sign_up(acme)
    for _ in range(10):
        assert log_in(acme).status_code == 422
    assert len(mails_of(platform, "acme")) == 5


@pytest.mark.parametrize(
    "name", ["   ", "\u200b", "\u3164\u200d", "Win http://evil.example", "www.evil.example", "a@b.org"]
)
def test_what_is_no_name(platform: Platform, acme: TenantClient, name: str) -> None:
    if name != "\u3164\u200d":  # a letter that cannot be seen is a letter to Unicode
        assert acme.submit("/accounts/sign-up", {**ADA, "name": name}).status_code == 422
    assert mails_of(platform, "acme") == []


def test_mail_that_cannot_be_sent_is_no_error_of_ours(platform: Platform, acme: TenantClient) -> None:
    for address in ("x" * 65 + "@example.com", "x" * 64 + "@example.com", "a@" + "x" * 64 + ".com", "a@localhost"):
        assert acme.submit("/accounts/sign-up", {**ADA, "email": address}).status_code in (302, 422)


# Logging in.


def test_by_name_or_address_in_any_case(platform: Platform, acme: TenantClient) -> None:
    add(platform)
    for login in ("ada", "ADA", "Ada@Example.com", " ada "):
        assert log_in(client_of(platform, "acme"), login).status_code == 302


@pytest.mark.parametrize(
    ("login", "password", "said"),
    [
        ("ada", "wrong", "incorrect"),
        ("nobody", PASSWORD, "incorrect"),
        ("ada", "", "required"),
        ("", "x", "required"),
        ("' or 1=1 --", "x", "incorrect"),
    ],
)
def test_who_does_not_get_in(platform: Platform, acme: TenantClient, login: str, password: str, said: str) -> None:
    add(platform)
    answer = log_in(acme, login, password)
    assert answer.status_code == 422
    assert said in answer.text
    assert not is_in(acme)


def test_the_blocked_and_the_unconfirmed_are_told_once_their_password_is_right(
    platform: Platform, acme: TenantClient
) -> None:
    add(platform, blocked_at=now())
    add(platform, username="bob", activated_at=None)
    assert "blocked" in log_in(acme).text
    assert "blocked" not in log_in(acme, password="wrong").text
    assert "confirm your address" in log_in(acme, "bob").text
    assert mails_of(platform, "acme")[0]["To"] == "bob@example.com"


def test_ten_wrong_passwords_close_an_account_for_a_while_right_ones_included(
    platform: Platform, acme: TenantClient
) -> None:
    add(platform)
    for _ in range(10):
        assert log_in(acme, password="wrong").status_code == 422
    answer = log_in(acme)
    assert answer.status_code == 429
    assert "15 minutes" in answer.text
    assert 0 < int(answer.headers["Retry-After"]) <= 900
    unknown = [log_in(acme, "nobody", "wrong").status_code for _ in range(11)]
    assert unknown == [422] * 10 + [429], "an account that is not there is counted alike"


def test_an_address_of_another_alphabet_is_found_as_it_is_typed(platform: Platform, acme: TenantClient) -> None:
    confirm(acme, sign_up(acme, email="ada@bücher.example"))
    for login in ("ada@bücher.example", "Ada@BÜCHER.example", "ada@xn--bcher-kva.example"):
        assert log_in(client_of(platform, "acme"), login).status_code == 302


def test_a_log_in_over_a_log_in_ends_the_first(platform: Platform, acme: TenantClient) -> None:
    add(platform), add(platform, username="bob")
    log_in(acme)
    stolen, copy = acme.get_cookie("acme_session", path="/acme"), client_of(platform, "acme")
    assert stolen
    copy.set_cookie("acme_session", stolen.value, path="/acme", domain="localhost")
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', acme.get("/accounts/").text)
    assert token
    acme.post("/accounts/log-in", data={"csrf_token": token[1], "login": "bob", "password": PASSWORD})
    assert "bob@example.com" in acme.get("/accounts/").text
    assert not is_in(copy)


def test_a_browser_that_is_to_remember_keeps_its_cookie(platform: Platform, acme: TenantClient) -> None:
    add(platform)
    answer = acme.submit("/accounts/log-in", {"login": "ada", "password": PASSWORD, "remember": "y"})
    assert "Expires=" in answer.headers["Set-Cookie"]
    assert "Expires=" not in log_in(client_of(platform, "acme")).headers["Set-Cookie"]


def test_after_logging_in_one_is_where_one_wanted_to_go(platform: Platform, acme: TenantClient) -> None:
    add(platform)
    wanted = acme.get("/accounts/tokens?x=1").headers["Location"]
    path = wanted.removeprefix("/acme")
    assert acme.submit(path, {"login": "ada", "password": PASSWORD}).headers["Location"] == "/acme/accounts/tokens?x=1"


# Forgotten, and changed.


def test_a_forgotten_password_is_set_by_mail(platform: Platform, acme: TenantClient) -> None:
    add(platform)
    elsewhere = client_of(platform, "acme")
    log_in(elsewhere)
    assert acme.submit("/accounts/forgot", {"login": "ada@example.com"}).status_code == 302
    link = link_in(mails_of(platform, "acme")[-1])
    assert acme.submit(link, {"password": "short"}).status_code == 422
    assert acme.submit(link, {"password": NEW}).status_code == 302
    assert acme.get(link).status_code == 404
    assert not is_in(elsewhere)
    assert log_in(acme).status_code == 422
    assert log_in(acme, password=NEW).status_code == 302
    assert "password was changed" in mails_of(platform, "acme")[-1]["Subject"]


def test_who_asks_for_a_link_learns_nothing(platform: Platform, acme: TenantClient) -> None:
    add(platform), add(platform, username="gone", blocked_at=now())
    answers = [acme.submit("/accounts/forgot", {"login": login}) for login in ("ada", "nobody", "gone", "x@y.org", "ß")]
    assert len({(each.status_code, each.headers["Location"], each.data) for each in answers}) == 1
    assert [each["To"] for each in mails_of(platform, "acme")] == ["ada@example.com"]


def test_a_link_asked_for_again_and_again_is_sent_five_times(platform: Platform, acme: TenantClient) -> None:
    add(platform)
    for _ in range(8):
        assert acme.submit("/accounts/forgot", {"login": "ada"}).status_code == 302
    assert len(mails_of(platform, "acme")) == 5


def test_a_changed_password_ends_every_other_log_in_and_every_copy_of_this_one(
    platform: Platform, acme: TenantClient
) -> None:
    add(platform)
    elsewhere, copy = client_of(platform, "acme"), client_of(platform, "acme")
    log_in(acme), log_in(elsewhere)
    stolen = acme.get_cookie("acme_session", path="/acme")
    assert stolen
    copy.set_cookie("acme_session", stolen.value, path="/acme", domain="localhost")
    assert is_in(copy)
    assert acme.submit("/accounts/password", {"current": "wrong", "password": NEW}).status_code == 422
    assert is_in(elsewhere)
    assert acme.submit("/accounts/password", {"current": PASSWORD, "password": NEW}).status_code == 302
    assert (is_in(acme), is_in(elsewhere), is_in(copy)) == (True, False, False)
    assert log_in(elsewhere, password=NEW).status_code == 302


def test_a_changed_address_is_confirmed_where_it_is_read(platform: Platform, acme: TenantClient) -> None:
    add(platform)
    log_in(acme)
    change = {"email": "New@Example.com", "current": PASSWORD}
    assert acme.submit("/accounts/address", change).status_code == 302
    assert the(platform).email == "ada@example.com"
    message = mails_of(platform, "acme")[-1]
    assert message["To"] == "new@example.com"
    assert acme.submit(link_in(message)).status_code == 302
    assert the(platform).email == "new@example.com"
    assert acme.get(link_in(message)).status_code == 404
    assert (mails_of(platform, "acme")[-1]["To"], mails_of(platform, "acme")[-1]["Subject"]) == (
        "ada@example.com",
        "[Acme] Your email address was changed",
    )


def test_an_address_that_somebody_took_meanwhile_is_not_taken_from_them(platform: Platform, acme: TenantClient) -> None:
    add(platform)
    log_in(acme)
    acme.submit("/accounts/address", {"email": "bob@example.com", "current": PASSWORD})
    link = link_in(mails_of(platform, "acme")[-1])
    add(platform, username="bob")
    assert "keeps its old one" in acme.get(acme.submit(link).headers["Location"].removeprefix("/acme")).text
    with platform.tenant("acme"):
        assert set(db.session.scalars(select(User.email))) == {"ada@example.com", "bob@example.com"}


# What is one's own.


def test_the_profile(platform: Platform, acme: TenantClient) -> None:
    add(platform)
    log_in(acme)
    said = {"name": "Ada <b>", "about": "Line\nline", "language": "de", "timezone": "Asia/Tokyo"}
    assert acme.submit("/accounts/", said).status_code == 302
    user = the(platform)
    assert (user.name, user.about, user.language, user.timezone, user.is_public) == (
        "Ada <b>",
        "Line\nline",
        "de",
        "Asia/Tokyo",
        False,
    )
    assert "Ihr Profil ist gespeichert." in acme.get("/accounts/").text
    assert "Ada &lt;b&gt;" in acme.get("/accounts/").text
    for wrong in ({"language": "fr"}, {"timezone": "Mars/Olympus"}, {"about": "x" * 2001}, {"name": ""}):
        assert acme.submit("/accounts/", {**said, **wrong}).status_code == 422


def test_browsers_are_listed_and_logged_out(platform: Platform, acme: TenantClient) -> None:
    add(platform), add(platform, username="bob")
    other, bob = client_of(platform, "acme"), client_of(platform, "acme")
    firefox = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
    page = other.get("/accounts/log-in", headers=firefox)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert token
    other.post("/accounts/log-in", data={"csrf_token": token[1], "login": "ada", "password": PASSWORD}, headers=firefox)
    log_in(acme), log_in(bob, "bob")
    listed = acme.get("/accounts/sessions").text
    assert "Firefox, Linux" in listed
    assert listed.count("this browser") == 1
    (end,) = re.findall(r'action="/acme(/accounts/sessions/\w+/end)"', listed)
    assert bob.submit("/accounts/", form=end).status_code == 404
    assert is_in(other)
    assert acme.submit("/accounts/", form=end).status_code == 302
    assert not is_in(other)
    log_in(other)
    assert acme.submit("/accounts/", form="/accounts/sessions/end-others").status_code == 302
    assert (is_in(acme), is_in(other), is_in(bob)) == (True, False, True)


def make_token(client: TenantClient, **values: Any) -> str:
    answer = client.submit(
        "/accounts/tokens", {"name": "script", "scopes": ["read"], "days": "7", "current": PASSWORD, **values}
    )
    found = re.search(r"tenantry_[\w-]{43}", answer.text)
    assert found, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return found[0]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_token_is_shown_once_and_kept_as_a_digest(platform: Platform, acme: TenantClient) -> None:
    add(platform)
    log_in(acme)
    token = make_token(acme)
    assert token not in acme.get("/accounts/tokens").text
    row = the(platform, ApiToken)
    assert (row.name, row.scopes) == ("script", "read")
    assert token not in f"{row.digest}{row.name}"
    program = client_of(platform, "acme")
    assert program.get("/accounts/me", headers=bearer(token)).json == {
        "username": "ada", "name": "ada", "role": "member", "scopes": ["read"],
    }  # fmt: skip
    assert program.get("/accounts/me", auth=(token, "")).status_code == 200
    assert program.get_cookie("acme_session", path="/acme") is None


def test_a_token_ends_when_it_expires_is_revoked_or_its_owner_is_blocked(
    platform: Platform, acme: TenantClient
) -> None:
    user_id = add(platform)
    log_in(acme)
    program = client_of(platform, "acme")
    revoked, expired, blocked = (
        make_token(acme, name="one"),
        make_token(acme, name="two"),
        make_token(acme, name="three"),
    )
    first = re.findall(r"/accounts/tokens/\d+/revoke", acme.get("/accounts/tokens").text)[-1]
    assert acme.submit("/accounts/", form=first).status_code == 302
    assert program.get("/accounts/me", headers=bearer(revoked)).status_code == 401
    with platform.tenant("acme"):
        db.session.scalars(select(ApiToken).where(ApiToken.name == "two")).one().expires_at = now()
    assert program.get("/accounts/me", headers=bearer(expired)).status_code == 401
    assert program.get("/accounts/me", headers=bearer(blocked)).status_code == 200
    with platform.tenant("acme"):
        db.session.get_one(User, user_id).blocked_at = now()
    assert program.get("/accounts/me", headers=bearer(blocked)).status_code == 401


@pytest.mark.parametrize("path", ["/accounts/tokens", "/accounts/", "/accounts/password", "/accounts/sessions"])
def test_a_token_cannot_mint_a_token_nor_change_the_account(platform: Platform, acme: TenantClient, path: str) -> None:
    add(platform)
    log_in(acme)
    token = make_token(acme, scopes=["read", "write"])
    program = client_of(platform, "acme")
    assert program.get(path, headers=bearer(token)).status_code == 403
    assert program.post(path, headers=bearer(token), data={"name": "x"}).status_code in (403, 405)
    assert program.get(path, auth=("ada", PASSWORD)).status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 81},
        {"scopes": ["everything"]},
        {"scopes": []},
        {"days": "100000"},
        {"days": "x"},
        {"current": "wrong"},
    ],
)
def test_what_is_no_token(platform: Platform, acme: TenantClient, wrong: dict[str, Any]) -> None:
    add(platform)
    log_in(acme)
    answer = acme.submit(
        "/accounts/tokens", {"name": "n", "scopes": ["read"], "days": "7", "current": PASSWORD, **wrong}
    )
    assert answer.status_code == 422
    with platform.tenant("acme"):
        assert db.session.scalars(select(ApiToken)).all() == []


# The administration.


def test_numbers_that_no_row_can_have(acme: TenantClient) -> None:
    acme.log_in("root1", "admin")
    for path in ("members/{}/block", "members/{}/role", "tokens/{}/revoke", "invitations/{}/withdraw"):
        for number in ("9" * 25, "9223372036854775808", "-1", "0"):
            answer = acme.submit(
                "/accounts/members", {"state": "block", "role": "staff"}, form=f"/accounts/{path.format(number)}"
            )
            assert answer.status_code == 404
    assert acme.get("/accounts/members?page=" + "9" * 25).status_code == 200


def test_an_administrator_changes_roles_and_blocks(platform: Platform, acme: TenantClient) -> None:
    bob_id = add(platform, username="bob")
    bob = client_of(platform, "acme")
    log_in(bob, "bob")
    acme.log_in("root1", "admin")
    assert "bob@example.com" in acme.get("/accounts/members").text
    assert (
        acme.submit("/accounts/members", {"role": "staff"}, form=f"/accounts/members/{bob_id}/role").status_code == 302
    )
    with platform.tenant("acme"):
        assert db.session.get_one(User, bob_id).role == "staff"
    assert (
        acme.submit("/accounts/members", {"role": "king"}, form=f"/accounts/members/{bob_id}/role").status_code == 422
    )
    assert (
        acme.submit("/accounts/members", {"state": "block"}, form=f"/accounts/members/{bob_id}/block").status_code
        == 302
    )
    assert not is_in(bob)
    assert log_in(bob, "bob").status_code == 422
    assert (
        acme.submit("/accounts/members", {"state": "unblock"}, form=f"/accounts/members/{bob_id}/block").status_code
        == 302
    )
    assert log_in(bob, "bob").status_code == 302


def test_nobody_blocks_or_demotes_themselves(platform: Platform, acme: TenantClient) -> None:
    me = acme.log_in("root1", "admin")
    add(platform, username="other", role="admin")
    for action, data in (("role", {"role": "member"}), ("block", {"state": "block"})):
        assert acme.submit("/accounts/members", data, form=f"/accounts/members/{me.id}/{action}").status_code == 403
    assert acme.get("/accounts/members").status_code == 200


def test_two_administrators_who_demote_each_other_at_once_leave_one(platform: Platform) -> None:
    clients = [client_of(platform, "acme") for _ in range(2)]
    ids = [client.log_in(f"root{n}", "admin").id for n, client in enumerate(clients)]

    def demote(number: int) -> None:
        clients[number].submit(
            "/accounts/members", {"role": "member"}, form=f"/accounts/members/{ids[1 - number]}/role"
        )

    threads = [threading.Thread(target=demote, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with platform.tenant("acme"):
        assert sorted(db.session.scalars(select(User.role))) == ["admin", "member"]


def test_the_last_administrator_stays_one(platform: Platform, acme: TenantClient) -> None:
    """Whoever was one when the page was opened, and is not any more when the form comes, cannot take the last one."""
    acme.log_in("root1", "admin")
    last = add(platform, username="last", role="admin")
    other = acme.log_in("root1", "admin")
    with platform.tenant("acme"):
        db.session.get_one(User, other.id).activated_at = None
    assert acme.get("/accounts/members", headers={"Accept": "application/json"}).status_code == 401
    with platform.tenant("acme"):
        assert db.session.get_one(User, last).role == "admin"


@pytest.mark.parametrize("role", ["", "member", "staff"])
def test_the_administration_is_for_administrators(platform: Platform, acme: TenantClient, role: str) -> None:
    user_id = add(platform, username="bob")
    if role:
        acme.log_in("eve", role)
    headers = {"Accept": "application/json"}
    for path in ("/accounts/members", "/accounts/invitations"):
        assert acme.get(path, headers=headers).status_code == (403 if role else 401)
    for path in (
        f"/accounts/members/{user_id}/role",
        f"/accounts/members/{user_id}/block",
        "/accounts/invitations/1/withdraw",
    ):
        assert acme.post(path).status_code == (403 if role else 401)


def test_members_are_searched_and_paged(platform: Platform, acme: TenantClient) -> None:
    acme.log_in("root1", "admin")
    with platform.tenant("acme"):
        db.session.add_all(
            User(username=f"user{n:03}", email=f"user{n:03}@example.com", name=f"User {n}", activated_at=now())
            for n in range(120)
        )
    first, last = acme.get("/accounts/members").text, acme.get("/accounts/members?page=3").text
    assert "121 people" in first
    assert ("user000@" in first, "user119@" in first, "user119@" in last) == (True, False, True)
    assert acme.get("/accounts/members?page=99").status_code == 200
    found = acme.get("/accounts/members?q=user077").text
    assert "user077@example.com" in found
    assert "1 person" in found
    for hostile in ("%", "_", "'", "\\", "<script>", "x" * 5000):
        answer = acme.get("/accounts/members", query_string={"q": hostile, "page": "-1"})
        assert answer.status_code == 200
        assert "<script>" not in answer.text


def test_an_invitation_makes_an_account_with_its_role_once(platform: Platform, acme: TenantClient) -> None:
    acme.log_in("root1", "admin")
    assert acme.submit("/accounts/invitations", {"email": "Bob@example.com", "role": "staff"}).status_code == 302
    message = mails_of(platform, "acme")[-1]
    assert (message["To"], message["Subject"]) == ("bob@example.com", "[Acme] Root1 invites you to Acme")
    link, bob = link_in(message), client_of(platform, "acme")
    assert "bob@example.com" in bob.get(link).text
    assert bob.submit(link, {"username": "root1", "name": "Bob", "password": PASSWORD}).status_code == 422
    assert bob.submit(link, {"username": "bob", "name": "Bob", "password": PASSWORD}).status_code == 302
    assert is_in(bob)
    assert bob.get(link).status_code == 404
    with platform.tenant("acme"):
        assert db.session.scalars(select(User).where(User.username == "bob")).one().role == "staff"
    assert acme.submit("/accounts/invitations", {"email": "bob@example.com", "role": "staff"}).status_code == 422


def test_an_invitation_is_taken_back_or_lapses(platform: Platform, acme: TenantClient) -> None:
    acme.log_in("root1", "admin")
    for ending in ("withdraw", "lapse", "again"):
        acme.submit("/accounts/invitations", {"email": "bob@example.com", "role": "member"})
        link = link_in(mails_of(platform, "acme")[-1])
        assert acme.get(link).status_code == 200
        invitation = the(platform, Invitation)
        if ending == "withdraw":
            acme.submit("/accounts/invitations", form=f"/accounts/invitations/{invitation.id}/withdraw")
        elif ending == "lapse":
            with platform.tenant("acme"):
                db.session.scalars(select(Invitation)).one().expires_at = now() - timedelta(seconds=1)
        else:
            acme.submit("/accounts/invitations", {"email": "bob@example.com", "role": "admin"})
        assert acme.get(link).status_code == 404


def test_an_invitation_ends_with_the_rights_of_who_sent_it(platform: Platform, acme: TenantClient) -> None:
    me = acme.log_in("root1", "admin")
    acme.submit("/accounts/invitations", {"email": "bob@example.com", "role": "admin"})
    link = link_in(mails_of(platform, "acme")[-1])
    assert acme.get(link).status_code == 200
    for change in ({"role": "staff"}, {"role": "admin", "blocked_at": now()}):
        with platform.tenant("acme"):
            user = db.session.get_one(User, me.id)
            for name, value in change.items():
                setattr(user, name, value)
        assert client_of(platform, "acme").get(link).status_code == 404


def test_by_invitation_only_the_invited_may_sign_up_and_closed_is_closed(tmp_path: Path) -> None:
    toml = '[tenants.{slug}]\npath = "/{slug}"\nsign_up = "{sign_up}"\n'
    both = toml.format(slug="acme", sign_up="invitation") + toml.format(slug="shut", sign_up="closed")
    platform = make_platform(tmp_path, both)
    client = client_of(platform, "acme")
    assert client.post("/accounts/sign-up", data=ADA).status_code == 403
    client.log_in("root1", "admin")
    client.submit("/accounts/invitations", {"email": "bob@example.com", "role": "member"})
    assert "accounts/invitations" in client.get("/accounts/members").text
    shut = client_of(platform, "shut")
    shut.log_in("root1", "admin")
    assert shut.get("/accounts/invitations").status_code == 404
    assert "accounts/invitations" not in shut.get("/accounts/members").text
    platform.databases.close_idle()


# Languages.


def test_pages_errors_and_mails_are_in_the_tenants_language(platform: Platform, globex: TenantClient) -> None:
    assert "Konto anlegen" in globex.get("/accounts/sign-up").text
    assert "Bitte geben Sie eine E-Mail-Adresse ein" in globex.submit("/accounts/sign-up", {**ADA, "email": "x"}).text
    sign_up(globex)
    message = mails_of(platform, "globex")[-1]
    assert message["Subject"] == "[Globex] E-Mail-Adresse bestätigen"
    assert "Guten Tag Ada Lovelace" in message.get_body(("plain",)).get_content()
    assert "Guten Tag Ada Lovelace" in message.get_body(("html",)).get_content()
    assert "http://globex.localhost/accounts/activate/" in message.get_body(("plain",)).get_content()


def test_a_mail_is_in_its_recipients_language_and_not_in_that_of_who_causes_it(
    platform: Platform, acme: TenantClient
) -> None:
    user_id = add(platform, language="de")
    acme.submit("/accounts/forgot", {"login": "ada"})
    assert mails_of(platform, "acme")[-1]["Subject"] == "[Acme] Neues Passwort festlegen"
    with platform.tenant("acme"):
        db.session.get_one(User, user_id).language = None
    client_of(platform, "acme").submit("/accounts/forgot?lang=de", {"login": "ada"})
    assert mails_of(platform, "acme")[-1]["Subject"] == "[Acme] Set a new password"


def test_the_account_says_in_which_language_its_pages_are(platform: Platform, acme: TenantClient) -> None:
    add(platform, language="de")
    log_in(acme)
    assert '<html lang="de">' in acme.get("/accounts/").text


# Races: row 22 of the attack matrix.


@pytest.mark.parametrize("purpose", ["activate", "reset", "address", "invitation"])
def test_a_link_opened_many_times_at_once_works_once(platform: Platform, purpose: str) -> None:
    user_id = add(platform, activated_at=None if purpose == "activate" else now(), role="admin")
    clients = [client_of(platform, "acme") for _ in range(12)]
    data = {"password": PASSWORD if purpose == "activate" else NEW, "username": "bob", "name": "Bob"}
    if purpose == "invitation":
        clients[0].log_in("root1", "admin")
        clients[0].submit("/accounts/invitations", {"email": "bob@example.com", "role": "member"})
        path = link_in(mails_of(platform, "acme")[-1])
    else:
        with platform.tenant("acme"):
            extra = "new@example.com" if purpose == "address" else None
            path = f"/accounts/{purpose}/" + users.sign_link(
                purpose, db.session.get_one(User, user_id), timedelta(hours=1), extra
            )
    for client in clients:
        page = client.get(path)
        client.token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)[1]  # type: ignore[attr-defined, index]
    answers: list[int] = []

    def use(client: Any) -> None:
        answers.append(client.post(path, data={**data, "csrf_token": client.token}).status_code)

    threads = [threading.Thread(target=use, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count(302) == 1
    assert set(answers) <= ({302, 404, 429, 422} if purpose == "activate" else {302, 404})


def test_nothing_of_an_account_works_in_another_workspace(
    platform: Platform, acme: TenantClient, globex: TenantClient
) -> None:
    add(platform)
    log_in(acme)
    token = make_token(acme)
    cookie = acme.get_cookie("acme_session", path="/acme")
    assert cookie
    assert log_in(globex).status_code == 422
    for name in ("globex_session", "acme_session"):
        globex.set_cookie(name, cookie.value, domain="globex.localhost")
        assert not is_in(globex)
    assert globex.get("/accounts/me", headers=bearer(token)).status_code == 401
    assert globex.get("/people/ada/").status_code == 404
    with platform.tenant("globex"):
        assert db.session.scalars(select(Login)).all() == []
