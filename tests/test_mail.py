"""Mails: what stands in them, whatever users write, and where their links lead, whatever a request says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from tenantry import Platform, current_tenant, db, mail, speaking
from tenantry.errors import BadMail, ConfigError, NoTenantContext
from tenantry.mail.composing import one_line
from tenantry.mail.outbox import Outbox
from tenantry.mail_config import read_address
from tenantry.registry import Registry
from tenantry.testing import client_of, mails_of, make_platform, run_jobs

Write = Callable[[str, str], Path]

SOURCE = """
from flask import Blueprint, request
from tenantry import gettext, mail

bp = Blueprint("letters", __name__, template_folder="templates")

@bp.get("/link")
def link():
    return mail.link("letters.page", name="a b", lang="de")

@bp.get("/page/<name>")
def page(name):
    return name

@bp.post("/send")
def send():
    mail.send(request.form["to"], request.form.get("subject", "Hello"), "letters/hello", name=request.form.get("name"))
    if "fail" in request.form:
        raise RuntimeError("undone")
    return "sent"

@bp.get("/send")
def send_in_a_get():
    mail.send("ann@example.com", "Hello", "letters/hello")
"""
HELLO_TXT = """{% extends "tenantry/mail.txt" %}{% block content -%}
Hello {{ name }}, {{ url_for("letters.page", name="x", _external=True) }}
{%- endblock %}
"""
HELLO_HTML = """{% extends "tenantry/mail.html" %}{% block content %}
<p>Hello {{ name }}, <a href="{{ url_for("letters.page", name="x") }}">here</a></p>
{% endblock %}
"""
TOML = """
[platform]
blueprints = "{package}"
hosts = ["app.example.com", "localhost"]

[tenants.acme]
title = "Acme"
path = "/acme"
color = "#b3261e"
languages = ["en", "de"]

[tenants.globex]
title = "Globex"
hosts = ["globex.example.com", "alias.example.com"]
path = "/globex"

[tenants.globex.config]
MAIL_DEFAULT_SENDER = "Globex Post <post@globex.example.com>"
MAIL_REPLY_TO = "help@globex.example.com"
MAIL_SUBJECT_PREFIX = "Globex:"
"""


@pytest.fixture
def tenants_toml(write: Write, package: str) -> str:
    write(f"{package}/letters/__init__.py", SOURCE)
    write(f"{package}/letters/templates/letters/hello.txt", HELLO_TXT)
    write(f"{package}/letters/templates/letters/hello.html", HELLO_HTML)
    return TOML.format(package=package)


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def send(platform: Platform, slug: str = "acme", **form: str) -> EmailMessage:
    assert client_of(platform, slug).post("/send", data={"to": "ann@example.com", **form}).text == "sent"
    return mails_of(platform, slug)[-1]


HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]


def headers(message: EmailMessage) -> set[str]:
    return {name.lower() for name in message.keys()}  # noqa: SIM118  # a message is no dictionary


def assert_sound(message: EmailMessage) -> None:
    """It has the headers that it should, once each, and goes to one."""
    assert sorted(name.lower() for name in message.keys()) == sorted(name.lower() for name in HEADERS)  # noqa: SIM118
    assert [address.addr_spec for address in message["To"].addresses] == ["ann@example.com"]
    assert message["From"].addresses[0].addr_spec == "noreply@app.example.com"


# What stands in them


def test_a_mail_is_complete(platform: Platform, acme: Any) -> None:
    message = send(platform, name="<Ann> & Ünï")
    assert_sound(message)
    assert str(message["From"]) == "Acme <noreply@app.example.com>"
    assert message["Subject"] == "[Acme] Hello"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@app.example.com>")
    assert parsedate_to_datetime(message["Date"]).tzinfo is not None
    assert message.get_content_type() == "multipart/alternative"
    assert "Hello <Ann> & Ünï, http://app.example.com/acme/page/x" in part(message, "plain")
    assert part(message, "plain").endswith("-- \nThis email was sent by Acme.\nhttp://app.example.com/acme/\n")
    html = part(message, "html")
    assert 'Hello &lt;Ann&gt; &amp; Ünï, <a href="http://app.example.com/acme/page/x">here</a>' in html
    assert "#b3261e" in html
    assert '<html lang="en">' in html


def test_the_tenants_configuration_names_sender_prefix_and_reply(platform: Platform) -> None:
    message = send(platform, "globex")
    assert str(message["From"]) == "Globex Post <post@globex.example.com>"
    assert str(message["Reply-To"]) == "help@globex.example.com"
    assert message["Subject"] == "Globex: Hello"
    assert mails_of(platform, "acme") == []


def test_a_mail_is_in_the_language_that_is_spoken(platform: Platform) -> None:
    with platform.tenant("acme"), speaking("de"):
        mail.send("ann@example.com", "Hallo", "letters/hello")
    message = mails_of(platform, "acme")[-1]
    assert "Diese E-Mail wurde von Acme gesendet." in part(message, "plain")
    assert '<html lang="de">' in part(message, "html")


def test_a_tenant_overlays_the_layout(platform: Platform, write: Write) -> None:
    write("tenants/acme/templates/tenantry/mail.txt", "{% block content %}{% endblock %}\nAcme, since 1949.\n")
    assert part(send(platform), "plain").endswith("Acme, since 1949.\n")
    assert "since 1949" not in part(send(platform, "globex"), "plain")


def test_message_ids_are_unique(platform: Platform) -> None:
    for _ in range(20):
        send(platform)
    assert len({message["Message-ID"] for message in mails_of(platform, "acme")}) == 20


def test_every_line_is_ascii_and_short_enough_for_every_server(platform: Platform) -> None:
    send(platform, name="ü" * 5000, subject="ü" * 5000)
    (file,) = (platform.registry.settings.state_dir / "mail" / "acme").glob("*.eml")
    wire = file.read_bytes()
    assert wire.isascii()
    assert max(map(len, wire.split(b"\r\n"))) <= 998
    assert b"\n" not in wire.replace(b"\r\n", b"")
    assert "ü" * 5000 in part(mails_of(platform, "acme")[-1], "plain")


# With what it is about


def test_a_mail_is_sent_once_its_work_is_kept_and_never_if_it_is_undone(platform: Platform, acme: Any) -> None:
    with pytest.raises(RuntimeError):
        acme.post("/send", data={"to": "ann@example.com", "fail": "1"})
    assert mails_of(platform, "acme") == []
    with platform.tenant("acme"):
        mail.send("ann@example.com", "Hello", "letters/hello")
        assert run_jobs(platform) == 0
    assert len(mails_of(platform, "acme")) == 1


def test_many_mails_wake_a_worker_once(platform: Platform) -> None:
    with platform.tenant("acme"):
        for _ in range(15):
            mail.send("ann@example.com", "Hello", "letters/hello")
        db.session.commit()
        mail.send("ann@example.com", "Hello", "letters/hello")
    assert platform.queue.pending_count() == 2
    assert len(mails_of(platform, "acme")) == 16


def test_the_body_is_dropped_once_it_is_sent(platform: Platform) -> None:
    send(platform)
    with platform.tenant("acme"):
        (kept,) = db.session.query(Outbox)
        assert (kept.state, kept.message, kept.due_at, kept.attempts) == ("sent", None, None, 1)


def test_outside_a_tenant_there_is_no_mail() -> None:
    with pytest.raises(NoTenantContext, match=r"'mail\.send' was used outside"):
        mail.send("ann@example.com", "Hello", "letters/hello")
    with pytest.raises(NoTenantContext, match=r"'mail\.link' was used outside"):
        mail.link("letters.page")


# Header injection (row 38)

INJECTIONS = [
    "x\r\nBcc: evil@example.com",
    "x\nBcc: evil@example.com",
    "x\rBcc: evil@example.com",
    "x\r\n\r\nbody",
    "x\0y",
    "x\x0bBcc: evil@example.com",
    "x\x0cBcc: evil@example.com",
    "x\x1cBcc: evil@example.com",
    "x\x85Bcc: evil@example.com",
    "x\u2028Bcc: evil@example.com",
    "x\u2029Bcc: evil@example.com",
    "=?utf-8?q?x=0D=0ABcc:_evil@example.com?=",
    "=?utf-8?b?eA0KQmNjOiBldmlsQGV4YW1wbGUuY29t?=",
    "= =?utf-8?q?=0D=0ABcc:_evil@example.com?= =?utf-8?q?x?=",
    "=\x00?utf-8?q?x=0D=0ABcc:_evil@example.com?=",
    '"x" <evil@example.com>, y',
    "evil@example.com,ann@example.com;x:y",
    "\u202egnp.exe",
    "\ud800",
    "x" * 10_000,
    "=?" * 500,
    "",
]
NAMES = [ascii(text[:40]) for text in INJECTIONS]


@pytest.mark.parametrize("text", INJECTIONS, ids=NAMES)
def test_a_subject_adds_no_header(platform: Platform, text: str) -> None:
    with platform.tenant("acme"):
        mail.send("ann@example.com", text, "letters/hello")
    message = mails_of(platform, "acme")[-1]
    assert_sound(message)
    subject = str(message["Subject"])
    assert subject.startswith("[Acme]")
    assert len(subject) <= 200
    assert subject.isprintable()


def test_what_would_add_a_header_all_the_same_is_refused(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    from tenantry.mail import composing

    monkeypatch.setattr(composing, "one_line", lambda text, longest: text)
    with pytest.raises(BadMail, match="headers that it was not given"):
        with platform.tenant("acme"):
            mail.send("ann@example.com", "=?utf-8?q?x=0D=0ABcc:_evil@example.com?=", "letters/hello")


@pytest.mark.parametrize("text", [text for text in INJECTIONS if text and "\ud800" not in text and len(text) < 200])
def test_a_title_adds_no_header(tmp_path: Path, tenants_toml: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_ENV", "testing")
    escaped = "".join(f"\\U{ord(c):08X}" for c in text)
    text_of_file = tenants_toml.replace('title = "Acme"', f'title = "{escaped}"')
    if any(c in text for c in "\r\n\0\v\f\x1c\x85\u2028\u2029"):
        with pytest.raises(ConfigError, match="title"):
            make_platform(tmp_path, text_of_file)
        return
    platform = make_platform(tmp_path, text_of_file)
    assert platform.registry["acme"].title == text
    assert_sound(send(platform))
    platform.databases.close_idle()


@pytest.mark.parametrize("text", [text for text in INJECTIONS if text and "\ud800" not in text and len(text) < 200])
def test_a_title_that_has_got_past_the_file_adds_no_header(platform: Platform, text: str) -> None:
    changed = replace(platform.registry["acme"], title=text)
    platform.take_up(Registry(platform.registry.settings, {**platform.registry, "acme": changed}))
    assert_sound(send(platform))


@pytest.mark.parametrize(
    "text", [text for text in INJECTIONS if "\ud800" not in text], ids=lambda text: ascii(text[:40])
)
def test_a_name_in_the_body_adds_no_header(platform: Platform, text: str) -> None:
    message = send(platform, name=text)
    assert_sound(message)
    assert "\0" not in part(message, "plain")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ann",
        "ann@",
        "@example.com",
        "ann@example.com\r\nBcc: evil@example.com",
        "ann@example.com\n",
        "ann@example.com\0",
        "ann@example.com\u2028",
        "ann@exa\u2029mple.com",
        "ann@example.com, evil@example.com",
        "ann@example.com,evil@example.com",
        "ann@example.com;evil@example.com",
        "ann@example.com evil@example.com",
        "Ann <ann@example.com>",
        "<ann@example.com>",
        "ann@example.com> RCPT TO:<evil@example.com",
        "group:ann@example.com,evil@example.com;",
        "=?utf-8?q?ann=40example.com=0D=0ABcc:_x?=@example.com\r\n",
        "ann@[127.0.0.1]",
        "ann@example..com",
        "ann..x@example.com",
        "a" * 65 + "@example.com",
        "ann@" + "a" * 64 + ".com",
        "ann@" + "a.b" * 100 + ".com",
        "änn@example.com",
        "\ud800@example.com",
    ],
    ids=ascii,
)
def test_what_is_not_one_address_is_refused(platform: Platform, address: str) -> None:
    with pytest.raises(BadMail, match="is not one mail address"):
        with platform.tenant("acme"):
            mail.send(address, "Hello", "letters/hello")
    assert mails_of(platform, "acme") == []


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("ann+tag@example.com", "ann+tag@example.com"),
        ("o'neill@example.com", "o'neill@example.com"),
        ("=?q@example.com", "=?q@example.com"),
        ("ann@exämple.com", "ann@xn--exmple-cua.com"),
        ("ann@intranet.test", "ann@intranet.test"),
        ("a" * 64 + "@" + "b" * 60 + ".com", "a" * 64 + "@" + "b" * 60 + ".com"),
    ],
)
def test_unusual_addresses_are_taken(platform: Platform, address: str, written: str) -> None:
    with platform.tenant("acme"):
        mail.send(address, "Hello", "letters/hello")
    (message,) = mails_of(platform, "acme")
    assert [found.addr_spec for found in message["To"].addresses] == [written]


def test_one_line_keeps_what_people_write() -> None:
    for text in ("Ünï, GmbH & Co. <KG>", "日本語", "👩‍💻 code", "a  b", "50 % = ?"):
        assert one_line(text, 100) == " ".join(text.split())
    assert one_line("a" * 11, 10) == "a" * 9 + "…"


# Links (row 13)


@pytest.mark.parametrize(
    ("path", "host", "expected"),
    [
        ("/acme/link", "app.example.com", "http://app.example.com/acme/page/a%20b?lang=de"),
        ("/acme/link", "localhost:8000", "http://app.example.com/acme/page/a%20b?lang=de"),
        ("/link", "globex.example.com", "http://globex.example.com/page/a%20b?lang=de"),
        ("/link", "alias.example.com", "http://globex.example.com/page/a%20b?lang=de"),
        ("/link", "ALIAS.example.com:8443", "http://globex.example.com/page/a%20b?lang=de"),
        ("/globex/link", "localhost", "http://globex.example.com/page/a%20b?lang=de"),
    ],
    ids=["path", "path at another host", "host", "alias", "alias and port", "the other door"],
)
def test_row_13_links_lead_to_the_canonical_door(platform: Platform, path: str, host: str, expected: str) -> None:
    from werkzeug.test import Client

    assert Client(platform).get(path, base_url=f"http://{host}/").text == expected


def test_row_13_links_do_not_follow_the_host_where_every_name_is_let_in(
    tmp_path: Path, tenants_toml: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from werkzeug.test import Client

    monkeypatch.setenv("TENANTRY_ENV", "testing")
    platform = make_platform(tmp_path, tenants_toml.replace('hosts = ["app.example.com", "localhost"]', 'hosts = "*"'))
    client = Client(platform)
    assert client.get("/acme/link", base_url="http://evil.example/").text.startswith("http://localhost/acme/")
    client.post("/acme/send", base_url="http://evil.example/", data={"to": "ann@example.com", "name": "x"})
    (message,) = mails_of(platform, "acme")
    assert "evil" not in message.as_string()
    assert "http://localhost/acme/page/x" in part(message, "plain")
    platform.databases.close_idle()


def test_a_link_is_quoted_as_flask_does(platform: Platform) -> None:
    app = platform.tenant_app("acme")
    for anchor in ("top", "", "a b", "ü", '"><script>', "a#b/c?d=e&f%20"):
        with app.test_request_context(base_url="http://app.example.com/acme/"):
            expected = app.url_for("letters.page", name="x", _anchor=anchor, _external=True)
            made = mail.link("letters.page", name="x", _anchor=anchor, _method="GET", _external=False, _scheme="ftp")
        assert made == expected
        assert "_method" not in made


def test_links_outside_a_request_and_inside_anothers(platform: Platform) -> None:
    with platform.tenant("globex"):
        assert mail.link("letters.page", name="x", _anchor="top") == "http://globex.example.com/page/x#top"
        assert mail.home() == "http://globex.example.com/"
        with platform.tenant("acme"):
            assert mail.link("letters.page", name="x") == "http://app.example.com/acme/page/x"
            assert mail.home() == "http://app.example.com/acme/"
        assert current_tenant.slug == "globex"


@pytest.mark.parametrize(
    ("variables", "in_development", "in_production"),
    [
        ({"PORT": "8000"}, ":8000", ""),
        ({"PORT": "8100", "TENANTRY_PORT": "8000"}, ":8000", ":8000"),
        ({"TENANTRY_PORT": "x"}, "", ""),
        ({}, "", ""),
    ],
    ids=["PORT", "both", "garbage", "neither"],
)
def test_links_have_the_port_that_visitors_use(
    tmp_path: Path,
    tenants_toml: str,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    in_development: str,
    in_production: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for environment, expected in (("development", in_development), ("production", in_production)):
        monkeypatch.setenv("TENANTRY_ENV", environment)
        platform = make_platform(tmp_path, tenants_toml)
        with platform.tenant("acme"):
            assert mail.home() == f"http://app.example.com{expected}/acme/"
        platform.databases.close_idle()


def test_https_is_in_links(tmp_path: Path, tenants_toml: str) -> None:
    platform = make_platform(tmp_path, tenants_toml.replace("[platform]", '[platform]\nscheme = "https"'))
    with platform.tenant("globex"):
        assert mail.link("letters.page", name="x") == "https://globex.example.com/page/x"
    platform.databases.close_idle()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_an_ip_address_is_no_domain_of_a_sender(
    tmp_path: Path, tenants_toml: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENANTRY_ENV", "testing")
    platform = make_platform(tmp_path, tenants_toml.replace('"app.example.com", "localhost"', f'"{host}"'))
    message = send(platform)
    assert message["From"].addresses[0].addr_spec == "noreply@localhost"
    assert message["Message-ID"].endswith("@localhost>")
    platform.databases.close_idle()


# The configuration


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("MAIL_SERVER", "5", "MAIL_SERVER is 5; expected the host name of a mail server"),
        ("MAIL_SERVER", '"smtp://x"', "MAIL_SERVER is 'smtp://x'; expected the host name"),
        ("MAIL_SERVER", '"mail.example.com:587"', "expected the host name alone, and MAIL_PORT = 587"),
        ("MAIL_PORT", '"25"', "MAIL_PORT is '25'; expected the number of a port, like 587"),
        ("MAIL_PORT", "0", "MAIL_PORT is 0"),
        ("MAIL_PORT", "65536", "MAIL_PORT is 65536"),
        ("MAIL_PORT", "true", "MAIL_PORT is True"),
        ("MAIL_USE_TLS", '"yes"', "MAIL_USE_TLS is 'yes'; expected true or false, without quotation marks"),
        ("MAIL_USE_SSL", "1", "MAIL_USE_SSL is 1"),
        ("MAIL_USERNAME", "5", "MAIL_USERNAME is not text"),
        ("MAIL_PASSWORD", "12345678", "MAIL_PASSWORD is not text; expected it in quotation marks"),
        ("MAIL_TIMEOUT", "0", "MAIL_TIMEOUT is 0; expected a number of seconds up to 60"),
        ("MAIL_TIMEOUT", "61", "MAIL_TIMEOUT is 61"),
        ("MAIL_TIMEOUT", "nan", "MAIL_TIMEOUT is nan"),
        ("MAIL_DEFAULT_SENDER", '"acme"', "expected one mail address, like"),
        ("MAIL_DEFAULT_SENDER", '"a@example.com, b@example.com"', "expected one mail address, like"),
        ("MAIL_DEFAULT_SENDER", '"A\\nB <a@example.com>"', "expected one mail address, like"),
        ("MAIL_DEFAULT_SENDER", '["A", "a@example.com"]', "expected one mail address, like"),
        ("MAIL_REPLY_TO", '"x"', "MAIL_REPLY_TO is 'x'; expected one mail address"),
        ("MAIL_SUBJECT_PREFIX", '"a\\r\\nBcc: x"', "expected one line of up to 100 characters, like '[Acme]'"),
        ("MAIL_SUBJECT_PREFIX", '"' + "x" * 101 + '"', "expected one line of up to 100 characters"),
        ("MAIL_SUBJECT_PREFIX", "5", "MAIL_SUBJECT_PREFIX is 5"),
    ],
)
def test_a_mistake_in_the_configuration_is_told(tmp_path: Path, key: str, value: str, says: str) -> None:
    (tmp_path / "tenants.toml").write_text(f'[tenants.a]\npath = "/a"\n[tenants.a.config]\n{key} = {value}\n')
    with pytest.raises(ConfigError) as told:
        Registry.from_file(tmp_path / "tenants.toml")
    assert says in str(told.value)
    assert "12345678" not in str(told.value)


def test_two_kinds_of_encryption_are_told(tmp_path: Path) -> None:
    config = "MAIL_USE_TLS = true\nMAIL_USE_SSL = true\n"
    (tmp_path / "tenants.toml").write_text(f'[tenants.a]\npath = "/a"\n[tenants.a.config]\n{config}')
    with pytest.raises(ConfigError, match="both true; expected one"):
        Registry.from_file(tmp_path / "tenants.toml")


def test_a_sound_configuration_is_taken(tmp_path: Path) -> None:
    config = """
    MAIL_SERVER = "smtp.example.com"
    MAIL_PORT = 465
    MAIL_USE_SSL = true
    MAIL_USE_TLS = false
    MAIL_USERNAME = "a"
    MAIL_PASSWORD = "b"
    MAIL_TIMEOUT = 2.5
    MAIL_DEFAULT_SENDER = "{slug}@example.com"
    MAIL_REPLY_TO = "Ünï <help@example.com>"
    MAIL_SUBJECT_PREFIX = ""
    """
    (tmp_path / "tenants.toml").write_text(f'[tenants.a]\npath = "/a"\n[tenants.a.config]\n{config}')
    assert Registry.from_file(tmp_path / "tenants.toml")["a"].config["MAIL_PORT"] == 465


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a@example.com", ""),
        ("<a@example.com>", ""),
        ("Müller GmbH. (EU) <a@example.com>", "Müller GmbH. (EU)"),
        ('"Müller, Maier & Co." <a@example.com>', "Müller, Maier & Co."),
        ("  Acme\t<a@example.com> ", "Acme"),
    ],
)
def test_senders_have_names_of_all_kinds(text: str, name: str) -> None:
    assert read_address(text, allow_name=True) == (name, "a@example.com")


@pytest.mark.parametrize(
    "text",
    ["A, B <a@example.com>", "x@example.com, B <a@example.com>", '"A" B <a@example.com>', "A <a@b.com> <a@b.com>"],
)
def test_senders_that_may_be_two_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_address(text, allow_name=True)
