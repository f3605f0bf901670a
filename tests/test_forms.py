"""``tenantry.forms``: what a form lets through, how it says no, and that one macro renders any of them."""

from __future__ import annotations

import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from flask import redirect, render_template_string, request, url_for
from hypothesis import given
from hypothesis import strategies as st
from wtforms import BooleanField, FileField, PasswordField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from tenantry import Platform, forms
from tenantry.forms import Form
from tenantry.testing import TenantClient, client_of, make_platform

PAGE = """{% extends "tenantry/base.html" %}{% from "tenantry/forms.html" import form as whole, button %}
{% block content %}{{ whole(form, "Go", more=[("preview", "1", "Look")], cancel="/x") }}{% endblock %}"""


class NoteForm(Form):
    title = StringField(forms.lazy_gettext("Your name"), [InputRequired(), Length(max=10)], description="A <hint>.")
    body = TextAreaField("Body")
    secret = PasswordField("Secret")
    kind = SelectField("Kind", choices=["a", "b"])
    agreed = BooleanField("Agreed")
    file = FileField("File")


def note() -> Any:
    form = NoteForm()
    if form.validate_on_submit():
        return redirect(url_for("demo.hello", saved=form.title.data))
    return render_template_string(PAGE, form=form), form.status


@forms.protected
def act() -> str:
    return "done"


@pytest.fixture
def notes(platform: Platform) -> TenantClient:
    for slug in ("acme", "globex"):
        views = platform.tenant_app(slug).view_functions
        views["demo.hello"], views["demo.add"] = lambda: f"saved {request.args.get('saved')}", lambda: "add"
        platform.tenant_app(slug).add_url_rule("/note", "note", note, methods=["GET", "POST"])
        platform.tenant_app(slug).add_url_rule("/act", "act", act, methods=["POST"])
    return client_of(platform, "acme")


GOOD = {"title": "Hello", "body": "x", "kind": "a"}


class Fields(HTMLParser):
    """Every element with its attributes, by what a screen reader needs."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag in tags]


def test_what_fits_is_taken_and_answered_by_a_redirect(notes: TenantClient) -> None:
    answer = notes.submit("/note", GOOD)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/acme/demo/?saved=Hello")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"title": ""}, "This field is required."),
        ({"title": "x" * 11}, "Field cannot be longer than 10 characters."),
        ({"kind": "c"}, "Not a valid choice."),
        ({"body": "x" * 100_001}, "Field cannot be longer than 100000 characters."),
        ({"secret": "x" * 201}, "Field cannot be longer than 200 characters."),
        ({"title": "a\x00b"}, "cannot be seen"),
        ({"title": "a\r\nb"}, "cannot be seen"),
        ({"title": "a\u202eb"}, "cannot be seen"),
        ({"title": "a\u2028b"}, "cannot be seen"),
        ({"body": "a\x1bb"}, "cannot be seen"),
        ({"secret": "a\x07b"}, "cannot be seen"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, dict) else "",
)
def test_what_does_not_fit_is_told_beside_its_field(notes: TenantClient, wrong: dict[str, str], said: str) -> None:
    answer = notes.submit("/note", {**GOOD, **wrong})
    assert answer.status_code == 422
    name = next(iter(wrong))
    page = Fields(answer.text)
    field = next(each for each in page.all("input", "select", "textarea") if each.get("name") == name)
    assert field["aria-invalid"] == "true"
    assert f"{name}-error" in (field["aria-describedby"] or "")
    assert f'id="{name}-error">' in answer.text
    assert said in answer.text.split(f'id="{name}-error">')[1].split("</p>")[0]
    assert f'href="#{name}"' in answer.text.split('role="alert"')[1].split("</div>")[0]


def test_texts_are_trimmed_and_of_one_form_but_passwords_keep_their_spaces(notes: TenantClient) -> None:
    with notes.platform.tenant_app("acme").test_request_context(
        "/note", method="POST", data={"title": "  Cafe\u0301 ", "body": "a\r\nb ", "secret": " e\u0301 ", "kind": "a"}
    ):
        form = NoteForm(meta={"csrf": False})
        assert form.validate()
        assert (form.text("title"), form.text("body"), form.text("secret")) == ("Café", "a\nb", " é ")


@pytest.mark.parametrize("token", ["", "x", "ImFiYyI.aaaa.bbbb"])
def test_without_the_pages_token_nothing_is_done_and_nothing_is_lost(notes: TenantClient, token: str) -> None:
    notes.get("/note")
    answer = notes.post("/note", data={**GOOD, "title": "Mine", "csrf_token": token})
    assert answer.status_code == 400
    assert 'value="Mine"' in answer.text
    assert "open for too long" in answer.text


def test_a_token_of_another_session_is_refused(notes: TenantClient) -> None:
    other = client_of(notes.platform, "acme")
    token = {each["name"]: each["value"] for each in Fields(other.get("/note").text).all("input") if each.get("value")}
    notes.get("/note")
    assert notes.post("/note", data={**GOOD, "csrf_token": token["csrf_token"]}).status_code == 400
    assert other.post("/note", data={**GOOD, "csrf_token": token["csrf_token"]}).status_code == 302


def test_a_token_of_another_tenant_is_refused_even_with_the_same_secret_in_the_session(notes: TenantClient) -> None:
    """Row 19 of the attack matrix: the keys differ, and not only the sessions."""
    platform = notes.platform
    secrets = {}
    for slug in ("acme", "globex"):
        with platform.tenant_app(slug).test_request_context("/note") as context:
            context.session["csrf_token"] = "the same"
            secrets[slug] = forms.csrf_token()
    assert secrets["acme"] != secrets["globex"]
    for slug, sent, expected in (("globex", "acme", 400), ("globex", "globex", 302)):
        with platform.tenant_app(slug).test_client() as client:
            with client.session_transaction() as session:
                session["csrf_token"] = "the same"
            assert client.post("/note", data={**GOOD, "csrf_token": secrets[sent]}).status_code == expected


def test_a_form_that_was_open_while_the_keys_were_rotated_is_taken(notes: TenantClient) -> None:
    page = Fields(notes.get("/note").text)
    token = next(each["value"] for each in page.all("input") if each.get("name") == "csrf_token")
    notes.platform.keys.rotate()
    notes.platform.keys._looked = 0.0
    assert notes.post("/note", data={**GOOD, "csrf_token": token}).status_code == 302


def test_a_button_goes_on_only_with_the_token(notes: TenantClient) -> None:
    assert notes.post("/act").status_code == 400
    assert notes.submit("/note", form="/act").text == "done"


def test_every_field_has_its_label_and_hint(notes: TenantClient) -> None:
    text = notes.get("/note").text
    page = Fields(text)
    labelled = {each["for"] for each in page.all("label")}
    for field in page.all("input", "select", "textarea"):
        assert field.get("type") == "hidden" or field["id"] in labelled
    assert "A &lt;hint&gt;." in text
    assert page.all("form")[-1]["enctype"] == "multipart/form-data"
    assert {each.get("name") for each in page.all("button")} == {None, "preview"}


def test_labels_and_errors_are_in_the_readers_language(notes: TenantClient) -> None:
    german = client_of(notes.platform, "globex")
    assert ">Ihr Name" in german.get("/note").text
    assert ">Your name" in notes.get("/note").text
    assert "Dieses Feld wird benötigt." in german.submit("/note", {**GOOD, "title": ""}).text


def test_a_page_with_a_form_is_private(notes: TenantClient) -> None:
    answer = notes.get("/note")
    assert "Cookie" in answer.headers["Vary"]
    assert "private" in answer.headers["Cache-Control"]


@given(text=st.text(max_size=60))
def test_no_text_is_an_error_of_ours(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    platform = _platform(tmp_path_factory)
    with platform.tenant_app("acme").test_request_context("/", method="POST"):
        form = NoteForm(formdata=None, meta={"csrf": False})
        form.title.process(_Values(text))
        valid = form.title.validate(form)
        assert Fields(str(form.title())).all("input")[0]["value"] == form.text("title")
        hidden = [each for each in form.text("title") if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp")]
        assert not valid or not hidden


class _Values(dict[str, list[str]]):
    def __init__(self, text: str) -> None:
        super().__init__(title=[text])

    def getlist(self, name: str) -> list[str]:
        return self[name]


_MADE: list[Platform] = []


def _platform(factory: pytest.TempPathFactory) -> Platform:
    if not _MADE:
        _MADE.append(make_platform(Path(factory.mktemp("forms"))))
    return _MADE[0]
