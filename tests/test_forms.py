"""``tenantry.forms``: what a form lets through, how it says no, and that one macro renders any of them."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from flask import redirect, render_template_string, request, url_for
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import NotFound
from wtforms import (
    BooleanField,
    FieldList,
    FileField,
    PasswordField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length
from wtforms.widgets import CheckboxInput, ListWidget

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
        assert (form.typed("title"), form.typed("body"), form.typed("secret")) == ("Café", "a\nb", " é ")


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


@pytest.mark.parametrize(
    "body",
    [b"a&" * 1_000_000, b"a=&" * 2000, b"title=" + b"%41" * 1_000_000, b"title=" + b"x" * 3_000_000],
    ids=["empty fields", "fields", "escapes", "one field"],
)
def test_an_encoded_form_is_bounded_in_bytes_and_fields(notes: TenantClient, body: bytes) -> None:
    answer = notes.post("/note", data=body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 413


@pytest.mark.parametrize("body", ['{"title": 5}', "[1]", "5", '"x"', "[" * 100_000, "NaN", "{"])
def test_json_is_no_form(notes: TenantClient, body: str) -> None:
    assert notes.post("/note", data=body, content_type="application/json").status_code == 400


def test_a_field_cannot_have_the_name_of_what_every_form_has() -> None:
    with pytest.raises(TypeError, match="'status' is what every form has"):
        type("Odd", (Form,), {"status": StringField("Status")})


def test_a_form_that_was_sent_too_often_says_when_it_may_be_sent_again(notes: TenantClient) -> None:
    with notes.platform.tenant_app("acme").test_request_context("/note", method="POST"):
        form = NoteForm(meta={"csrf": False})
        form.retry_after = 60
        assert (form.status, form.shown_by("tenantry/error.html", error=NotFound())[1:]) == (
            429,
            (429, {"Retry-After": "60"}),
        )


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


class Boxes(SelectMultipleField):
    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()


class GroupsForm(Form):
    few = Boxes("Few", [InputRequired()], choices=["a", "b"], description="One at least.")
    any = Boxes("Any", choices=["a", "b"])
    one = RadioField("One", [InputRequired()], choices=["a", "b"], description="Exactly one.")
    long = SelectMultipleField("Long", choices=["a", "b"])
    texts = FieldList(StringField("Text"), label="Texts", min_entries=2)


@pytest.mark.parametrize("data", [None, {}], ids=["shown", "refused"])
def test_what_is_several_controls_is_one_group_with_its_description(
    notes: TenantClient, data: dict[str, str] | None
) -> None:
    with notes.platform.tenant_app("acme").test_request_context("/note", method="GET" if data is None else "POST"):
        form = GroupsForm(meta={"csrf": False})
        assert form.validate_on_submit() is False
        text = render_template_string(PAGE, form=form)
    page = Fields(text)
    groups = {each["id"]: each for each in page.all("fieldset")}
    assert list(groups) == ["few", "any", "one", "texts"]
    errors = "" if data is None else " {}-error"
    assert groups["few"]["aria-describedby"] == "few-hint" + errors.format("few")
    assert groups["one"]["aria-describedby"] == "one-hint" + errors.format("one")
    assert "aria-describedby" not in groups["any"]
    boxes = [each for each in page.all("input") if each.get("type") == "checkbox"]
    assert len(boxes) == 4
    assert not any("required" in each for each in boxes), "each would be, and not one of them"
    ids = {each["id"] for each in page.all("input", "select", "textarea", "fieldset") if each.get("id")}
    assert {each["for"] for each in page.all("label") if each.get("for")} <= ids
    links = {each["href"] for each in page.all("a") if (each.get("href") or "").startswith("#")} - {"#main"}
    assert links == (set() if data is None else {"#few-0", "#one-0"})
    assert text.split("<legend>Any")[1].startswith(' <span class="soft">(optional)')


@pytest.mark.parametrize(
    ("change", "expected"), [({}, ""), ({"title": ""}, "Error: "), ({"csrf_token": "x"}, "Error: ")], ids=str
)
def test_errors_are_in_the_title_and_where_the_page_begins(
    notes: TenantClient, change: dict[str, str], expected: str
) -> None:
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', notes.get("/note").text)
    assert token
    data = {**GOOD, "kind": "a", "csrf_token": token[1], **change}
    text = (notes.post("/note", data=data) if expected else notes.get("/note")).text
    assert f"<title>{expected}Acme</title>" in text
    first = [attributes for _, attributes in Fields(text).found if "autofocus" in attributes]
    assert [(each["role"], each["tabindex"]) for each in first] == ([("alert", "-1")] if expected else [])


def test_a_button_says_what_it_is_about_and_takes_along_what_it_is_given(notes: TenantClient) -> None:
    template = """{% from "tenantry/forms.html" import button %}{{ button("Block", "/x", name="state", value="block",
        about="<Ada>", more={"page": 3}) }}"""
    with notes.platform.tenant_app("acme").test_request_context("/note"):
        text = render_template_string(template)
    assert 'Block<span class="hidden">: &lt;Ada&gt;</span></button>' in text
    sent = {each["name"]: each["value"] for each in Fields(text).all("input")}
    assert {**sent, "csrf_token": ""} == {"csrf_token": "", "state": "block", "page": "3"}


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
        assert Fields(str(form.title())).all("input")[0]["value"] == form.typed("title")
        hidden = [each for each in form.typed("title") if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp")]
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
