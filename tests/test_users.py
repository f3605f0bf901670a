"""Accounts beneath the pages: who asks, passwords, names, links, the throttle."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from flask import current_app
from sqlalchemy import select
from werkzeug.exceptions import NotFound

from tenantry import Platform, current_user, db, login_required, role_required, users
from tenantry.errors import BegunTooLate, NoTenantContext
from tenantry.testing import TenantClient, client_of, make_platform
from tenantry.times import now
from tenantry.users import Login, Throttle, TooManyAttempts, User, passwords
from tenantry.users.models import Attempts

PASSWORD = "correct horse battery"
_HASHES: dict[bool, str] = {}


def add(platform: Platform, slug: str = "acme", username: str = "ada", **values: Any) -> int:
    """Make an account that may log in, and return its id."""
    with platform.tenant(slug):
        values = {"name": username, "activated_at": now(), "role": "member", **values}
        user = User(username=username, email=f"{username}@example.com", password_hash=_hash_of_password(), **values)
        db.session.add(user)
        db.session.flush()
        return user.id


def _hash_of_password() -> str:
    """Return the hash of PASSWORD by the parameters of the current environment, made once for all tests."""
    testing = current_app.testing
    if testing not in _HASHES:
        _HASHES[testing] = users.hash_password(PASSWORD)
    return _HASHES[testing]


def show(platform: Platform, view: Any, slug: str = "acme") -> None:
    """Let /demo/ be answered by a view."""
    platform.tenant_app(slug).view_functions["demo.hello"] = view


def whoami() -> str:
    return f"{current_user.username}/{current_user.role}/{current_user.via}"


def test_nobody_is_known_until_somebody_logs_in(platform: Platform, acme: TenantClient, globex: TenantClient) -> None:
    show(platform, whoami)
    show(platform, whoami, "globex")
    assert acme.get("/demo/").text == "//"
    acme.log_in("ada", "staff")
    assert acme.get("/demo/").text == "ada/staff/session"
    assert globex.get("/demo/").text == "//"


def test_outside_a_tenants_context_there_is_no_current_user() -> None:
    with pytest.raises(NoTenantContext, match="current_user"):
        _ = current_user.id


def test_outside_a_request_nobody_asks(platform: Platform) -> None:
    with platform.tenant("acme"):
        assert not current_user.is_authenticated
        assert current_user.username == ""


def test_in_anothers_context_inside_a_request_nobody_asks(platform: Platform, acme: TenantClient) -> None:
    acme.log_in("ada")

    def view() -> str:
        before = current_user.username
        with platform.tenant("globex"):
            inside = current_user.username
        return f"{before}|{inside}|{current_user.username}"

    show(platform, view)
    assert acme.get("/demo/").text == "ada||ada"


def test_the_current_user_is_looked_up_once_and_only_if_used(platform: Platform, acme: TenantClient) -> None:
    acme.log_in("ada")
    statements: list[str] = []
    from sqlalchemy import event

    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        statements.append(statement)

    event.listen(platform.databases.engine, "before_cursor_execute", note)
    try:
        show(platform, lambda: "x")
        acme.get("/demo/")
        assert statements == []
        show(platform, lambda: f"{current_user.id}{current_user.name}{current_user.role}")
        acme.get("/demo/")
        assert len(statements) == 1
    finally:
        event.remove(platform.databases.engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    ("role", "member", "staff", "admin"),
    [("", 401, 401, 401), ("member", 200, 403, 403), ("staff", 200, 200, 403), ("admin", 200, 200, 200)],
)
def test_each_role_may_what_those_before_it_may(
    platform: Platform, acme: TenantClient, role: str, member: int, staff: int, admin: int
) -> None:
    if role:
        acme.log_in("ada", role)
    for needed, expected in (("member", member), ("staff", staff), ("admin", admin)):
        show(platform, role_required(needed)(lambda: "in"))
        assert acme.get("/demo/", headers={"Accept": "application/json"}).status_code == expected


def test_a_role_that_there_is_not_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="'stuff' is not a role; expected one of member, staff, admin"):
        role_required("stuff")


@pytest.mark.parametrize("change", ["blocked_at", "activated_at", "deleted"])
def test_who_is_no_longer_active_is_nobody_at_once(platform: Platform, acme: TenantClient, change: str) -> None:
    show(platform, whoami)
    user = acme.log_in("ada")
    with platform.tenant("acme"):
        row = db.session.get_one(User, user.id)
        if change == "deleted":
            db.session.delete(row)
        else:
            setattr(row, change, now() if change == "blocked_at" else None)
    assert acme.get("/demo/").text == "//"


def test_a_log_in_ends_at_its_time(platform: Platform, acme: TenantClient) -> None:
    show(platform, whoami)
    acme.log_in("ada")
    with platform.tenant("acme"):
        db.session.scalars(select(Login)).one().expires_at = now() - timedelta(seconds=1)
    assert acme.get("/demo/").text == "//"


def test_the_database_has_no_secret_of_a_log_in(platform: Platform, acme: TenantClient) -> None:
    acme.log_in("ada")
    with platform.tenant_app("acme").test_client() as client:
        for cookie in [acme.get_cookie("acme_session", path="/acme")]:
            assert cookie
            client.set_cookie("acme_session", cookie.value)
        with client.session_transaction() as session:
            secret = session["_login"]
    content = (platform.registry["acme"].database_file).read_bytes()
    content += platform.registry["acme"].database_file.with_name("tenant.db-wal").read_bytes()
    assert secret.encode() not in content


# Passwords.


def test_a_password_is_right_or_not(platform: Platform) -> None:
    with platform.tenant("acme"):
        kept = users.hash_password("päßword one")
        assert kept.startswith("$argon2id$")
        assert users.is_right(kept, "päßword one")
        assert not users.is_right(kept, "päßword two")
        assert not users.is_right(None, "päßword one")
        assert not users.is_right("nonsense", "päßword one")


def test_the_parameters_of_production_are_those_of_rfc_9106() -> None:
    from tenantry.users.passwords import _hasher

    made = _hasher(False)
    assert (made.time_cost, made.memory_cost, made.type.name) == (3, 65536, "ID")


def test_a_hash_of_weaker_parameters_is_renewed_at_the_next_log_in(platform: Platform, acme: TenantClient) -> None:
    from argon2 import PasswordHasher

    old = PasswordHasher(time_cost=1, memory_cost=16, parallelism=1, hash_len=16).hash(PASSWORD)
    user_id = add(platform)
    with platform.tenant("acme"):
        db.session.get_one(User, user_id).password_hash = old
    assert acme.submit("/accounts/log-in", {"login": "ada", "password": PASSWORD}).status_code == 302
    with platform.tenant("acme"):
        new = db.session.get_one(User, user_id).password_hash
        assert new not in (None, old)
        assert users.is_right(new, PASSWORD)


@pytest.mark.parametrize(
    ("password", "own", "common"),
    [
        ("aaaaaaaaaaaa", (), True),
        ("abababababab", (), True),
        ("1234567890", (), True),
        ("Password2026!", (), True),
        ("qwertyuiop", (), True),
        ("my-ada-lovelace", ("lovelace",), True),
        (PASSWORD, ("ada",), False),
    ],
)
def test_passwords_that_are_guessed_first(password: str, own: tuple[str, ...], common: bool) -> None:
    assert users.is_common(password, *own) is common


# Names and addresses.


@pytest.mark.parametrize(
    ("typed", "name"),
    [("Ada", "ada"), (" ada.l ", "ada.l"), ("a-b_c.d", "a-b_c.d"), ("a1b", "a1b"), ("x" * 32, "x" * 32)],
)
def test_user_names(typed: str, name: str) -> None:
    assert users.fold_username(typed) == name
    assert users.is_username(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "x" * 33,
        "a b",
        "a..b",
        ".ada",
        "ada.",
        "a--b",
        "аdа",
        "ada\u00ad",
        "ａｄａ",
        "a/b",
        "a%b",
        "ada\n",
        "ﬁle",
        "ada\u0301",
        "İda",
        "a‍b",
    ],
    ids=ascii,
)
def test_what_may_not_be_a_user_name(name: str) -> None:
    """Letters that look alike, invisible ones, and whatever would mean something in an address."""
    assert not users.is_username(users.fold_username(name) if name != "ada\n" else name)


def test_a_letter_that_lower_casing_would_turn_into_ascii_makes_no_second_account() -> None:
    assert users.fold_username("\u212aate") == "kate"  # the sign of kelvin: the same account, and not another one


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        (" ada+x@example.com ", "ada+x@example.com"),
        ("ada@bücher.example.com", "ada@xn--bcher-kva.example.com"),
    ],
)
def test_addresses(typed: str, address: str) -> None:
    assert users.fold_address(typed) == address


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ada",
        "@x.org",
        "ada@",
        "ada@x",
        "a b@x.org",
        "ada@x.org\r\nBcc: b@x.org",
        "ada@x.org,b@x.org",
        "<ada@x.org>",
        "Ada <ada@x.org>",
        "ada\x00@x.org",
        "x" * 250 + "@x.org",
        "ada@x..org",
        "ada@[127.0.0.1]",
        "аda@x.org",
        '"a b"@x.org',
    ],
    ids=ascii,
)
def test_what_is_no_address(typed: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        users.fold_address(typed)


# Links.


def test_a_link_is_for_one_purpose_tenant_and_state(platform: Platform) -> None:
    add(platform), add(platform, "globex")
    with platform.tenant("acme"):
        user = db.session.scalars(select(User)).one()
        link = users.sign_link("reset", user, timedelta(hours=1), {"more": 1})
        assert users.open_link("reset", link) == (user, {"more": 1})
        for purpose, value in (("activate", link), ("reset", link + "x"), ("reset", ""), ("reset", "a.b.c")):
            with pytest.raises(NotFound):
                users.open_link(purpose, value)
    with platform.tenant("globex"), pytest.raises(NotFound):
        users.open_link("reset", link)
    for change in ({"password_hash": "x"}, {"email": "b@example.com"}, {"activated_at": None}, {"blocked_at": now()}):
        with platform.tenant("acme"):
            user = db.session.scalars(select(User)).one()
            link = users.sign_link("reset", user, timedelta(hours=1))
            kept = {name: getattr(user, name) for name in change}
            for name, value in change.items():
                setattr(user, name, value)
            db.session.flush()
            with pytest.raises(NotFound):
                users.open_link("reset", link)
            for name, value in kept.items():
                setattr(user, name, value)


def test_a_link_expires(platform: Platform) -> None:
    add(platform)
    with platform.tenant("acme"):
        link = users.sign_link("reset", db.session.scalars(select(User)).one(), timedelta(seconds=-1))
        with pytest.raises(NotFound):
            users.open_link("reset", link)


# The throttle.


def test_a_throttle_counts_for_each_tenant_and_each_one_who_tries(platform: Platform) -> None:
    throttle = Throttle("tries", "3 per hour")
    with platform.tenant("acme"):
        for _ in range(3):
            throttle.count("ada")
        with pytest.raises(TooManyAttempts) as refused:
            throttle.count("ada")
        assert 3500 < refused.value.seconds <= 3600
        throttle.count("bob")
    with platform.tenant("globex"):
        throttle.count("ada")
    with platform.tenant("acme"):
        with pytest.raises(TooManyAttempts):
            throttle.check("ada")
        throttle.take_back("bob")
        throttle.forget("ada")
        throttle.check("ada")


def test_a_window_closes(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    throttle = Throttle("tries", "1 per minute")
    with platform.tenant("acme"):
        throttle.count("ada")
        with pytest.raises(TooManyAttempts):
            throttle.count("ada")
        later = time.time() + 61
        monkeypatch.setattr(time, "time", lambda: later)
        throttle.count("ada")


def test_threads_cannot_try_more_often_than_one(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred guesses at once are counted before any of them is looked at."""
    monkeypatch.setattr(passwords, "_MOST_OF_A_TENANT", 100)
    monkeypatch.setattr(passwords, "_MOST", 100)
    add(platform)
    right, refused = [], []

    def guess() -> None:
        client = client_of(platform, "acme")
        answer = client.get("/accounts/me", auth=("ada", "wrong"))
        (refused if answer.status_code == 429 else right).append(answer.status_code)

    threads = [threading.Thread(target=guess) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [401] * 10
    assert len(refused) == 20
    assert client_of(platform, "acme").get("/accounts/me", auth=("ada", PASSWORD)).status_code == 429


def test_a_crowd_at_one_tenants_log_in_is_sent_away_and_costs_nobody_an_attempt(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(platform), add(platform, "globex")
    acme, globex = client_of(platform, "acme"), client_of(platform, "globex")
    deed = platform.tenant_app("acme").tenant.deed
    monkeypatch.setitem(passwords._PRESENT, deed, passwords._MOST_OF_A_TENANT)  # type: ignore[arg-type]
    for _ in range(15):
        answer = acme.get("/accounts/me", auth=("ada", PASSWORD))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert globex.get("/accounts/me", auth=("ada", PASSWORD)).status_code == 200
    monkeypatch.delitem(passwords._PRESENT, deed)  # type: ignore[arg-type]
    assert acme.get("/accounts/me", auth=("ada", PASSWORD)).status_code == 200


@pytest.mark.parametrize(
    ("sent", "unit"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::"),
        ("2001:db8::2", "2001:db8::"),
        ("2001:db8:0:1::2", "2001:db8:0:1::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_the_unit_of_the_network_that_one_customer_has(platform: Platform, sent: str, unit: str) -> None:
    with platform.tenant_app("acme").test_request_context(environ_overrides={"REMOTE_ADDR": sent}):
        assert users.address_of_visitor() == unit


def test_a_password_in_a_header_keeps_nothing_of_a_view_that_fails(platform: Platform, acme: TenantClient) -> None:
    add(platform)

    def view() -> str:
        db.session.add(User(username="half", email="half@example.com", name="Half"))
        return current_user.username

    platform.tenant_app("acme").add_url_rule("/half", "half", view, methods=["POST"])
    with pytest.raises(BegunTooLate):
        acme.post("/half", auth=("ada", PASSWORD))
    with platform.tenant("acme"):
        assert list(db.session.scalars(select(User.username))) == ["ada"]


def test_a_password_in_a_header_lets_a_view_choose_whether_it_writes(platform: Platform, acme: TenantClient) -> None:
    add(platform)

    def view() -> str:
        name = current_user.username
        db.begin(write=False)
        return name

    platform.tenant_app("acme").add_url_rule("/read", "read", view, methods=["POST"])
    assert acme.post("/read", auth=("ada", PASSWORD)).text == "ada"


def test_a_tenant_that_is_only_read_counts_no_attempts(tmp_path: Any) -> None:
    platform = make_platform(tmp_path, '[tenants.acme]\npath = "/acme"\nstatus = "read-only"\n')
    add(platform)
    client = client_of(platform, "acme")
    assert client.get("/accounts/me", auth=("ada", PASSWORD)).status_code == 401
    with platform.tenant("acme"):
        assert db.session.scalars(select(Attempts)).all() == []
    platform.databases.close_idle()


@pytest.mark.parametrize("header", ["Bearer junk", "Basic !!!", "Digest x", "x"])
def test_pages_that_are_not_there_stay_pages_whatever_the_header(
    acme: TenantClient, header: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = acme.get("/x/y/z", headers={"Authorization": header})
    assert answer.status_code == 404
    assert "There is no page at this address" in answer.text
    assert caplog.records == []


def test_whatever_is_taken_for_an_address_can_get_mail(platform: Platform) -> None:
    from tenantry.mail.composing import one_address

    for typed in ("x" * 64 + "@example.com", "ada@bücher.example", "o'neil+x@example.com", "A@B.co"):
        assert one_address(users.fold_address(typed))
    for typed in ("x" * 65 + "@example.com", "ada@localhost"):
        with pytest.raises(ValueError, match=r"\w"):
            users.fold_address(typed)


def test_right_passwords_are_not_counted(platform: Platform) -> None:
    add(platform)
    client = client_of(platform, "acme")
    assert {client.get("/accounts/me", auth=("ada", PASSWORD)).status_code for _ in range(15)} == {200}


def test_login_required_is_for_those_who_are_logged_in(platform: Platform, acme: TenantClient) -> None:
    show(platform, login_required(lambda: "in"))
    assert acme.get("/demo/?a=1&b=2").headers["Location"] == "/acme/accounts/log-in?next=/demo/?a%3D1%26b%3D2"
    acme.log_in()
    assert acme.get("/demo/").text == "in"
