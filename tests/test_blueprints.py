"""The shipped blueprints, as their visitors see them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from conftest import ROOT
from tenantry import Platform, db
from tenantry.testing import client_of


@pytest.fixture
def shipped(site: Path) -> Platform:
    return Platform.from_file(site / "tenants.toml")


def title(answer: Any) -> str:
    found = re.search(r"<title>(.*?)</title>", answer.text, re.S)
    assert found
    return found[1].strip()


def test_front_has_the_tenants_title_and_language(shipped: Platform) -> None:
    acme, globex = client_of(shipped, "acme").get("/"), client_of(shipped, "globex").get("/")
    assert (acme.status_code, title(acme)) == (200, "Acme Corp")
    assert (globex.status_code, title(globex)) == (200, "Globex GmbH")
    assert '<html lang="en">' in acme.text
    assert "Welcome to Acme Corp" in acme.text
    assert '<html lang="de">' in globex.text
    assert "Willkommen bei Globex GmbH" in globex.text


@pytest.mark.parametrize(("path", "words"), [("/de/", "Willkommen bei Acme Corp"), ("/en/", "Welcome to Acme Corp")])
def test_front_in_each_language(shipped: Platform, path: str, words: str) -> None:
    answer = client_of(shipped, "acme").get(path)
    assert words in answer.text
    assert f'<html lang="{path[1:3]}">' in answer.text


def test_lang_code_is_put_back_into_links(shipped: Platform) -> None:
    from flask import g, url_for

    app = shipped.tenant_app("acme")
    with app.test_request_context("/de/"):
        app.preprocess_request()
        assert g.lang_code == "de"
        assert url_for("front.index") == "/acme/de/"
        assert url_for("front.index", lang_code="en") == "/acme/en/"
        assert url_for("demo.hello") == "/acme/demo/"
    with app.test_request_context("/"):
        app.preprocess_request()
        assert url_for("front.index") == "/acme/"


@pytest.mark.parametrize("path", ["/fr/", "/xx/", "/deutsch/", "/%20/"])
def test_a_language_that_the_tenant_has_not(shipped: Platform, path: str) -> None:
    assert client_of(shipped, "acme").get(path).status_code == 404


def test_a_language_once_chosen_holds_for_the_other_pages(shipped: Platform) -> None:
    visitor = client_of(shipped, "acme")
    assert '<html lang="en">' in visitor.get("/help/").text
    visitor.get("/de/")
    assert '<html lang="de">' in visitor.get("/help/").text
    assert "Seite nicht" in visitor.get("/help/nothing/").text or "keine Seite" in visitor.get("/help/nothing/").text
    assert '<html lang="en">' in visitor.get("/en/").text
    assert '<html lang="en">' in visitor.get("/help/").text
    assert '<html lang="en">' in client_of(shipped, "acme").get("/help/").text


@pytest.mark.parametrize("slug", ["acme", "globex", "initech"])
def test_every_page_offers_the_languages(shipped: Platform, slug: str) -> None:
    for path in ("/", "/help/", "/help/welcome/", "/nothing/"):
        text = client_of(shipped, slug).get(path).text
        assert ">Deutsch</a>" in text
        assert ">English</a>" in text


def test_flashed_messages_are_shown_once_and_escaped(shipped: Platform) -> None:
    from flask import flash, redirect, url_for

    def saved() -> Any:
        flash("Saved <b>it</b>.")
        return redirect(url_for("help.index"))

    shipped.tenant_app("acme").view_functions["demo.hello"] = saved
    visitor = client_of(shipped, "acme")
    shown = visitor.get("/demo/", follow_redirects=True).text
    assert "Saved &lt;b&gt;it&lt;/b&gt;." in shown
    assert 'role="status"' in shown
    assert "Saved" not in visitor.get("/help/").text


def test_a_page_that_is_not_there_marks_no_link_as_current(shipped: Platform) -> None:
    assert 'aria-current="page"' not in client_of(shipped, "acme").get("/nope/").text
    assert 'aria-current="page"' in client_of(shipped, "acme").get("/").text


def test_help_and_faq_differ_by_one_registration(shipped: Platform) -> None:
    acme = client_of(shipped, "acme")
    help_page, faq_page = acme.get("/help/"), acme.get("/faq/")
    assert (title(help_page), title(faq_page)) == ("Help – Acme Corp", "FAQ – Acme Corp")
    app = shipped.tenant_app("acme")
    assert app.blueprints["help"] is app.blueprints["faq"]
    assert app.view_functions["help.index"] is app.view_functions["faq.index"]


def test_a_page_of_one_section_is_not_in_the_other(shipped: Platform) -> None:
    acme = client_of(shipped, "acme")
    pages = shipped.tenant_app("acme")
    with shipped.tenant("acme"):
        from blueprints.sections.models import Page

        db.session.add(Page(section="help", slug="only-help", title="Only help", body="x"))
    assert pages is shipped.tenant_app("acme")
    assert acme.get("/help/only-help/").status_code == 200
    assert acme.get("/faq/only-help/").status_code == 404
    assert client_of(shipped, "globex").get("/help/only-help/").status_code == 404


def test_first_pages_are_in_the_tenants_first_language(shipped: Platform) -> None:
    assert "This is the first page" in client_of(shipped, "acme").get("/help/welcome/").text
    assert (
        "Dies ist die erste Seite des Bereichs <em>Hilfe</em>"
        in client_of(shipped, "globex").get("/help/welcome/").text
    )


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](vbscript:x)",
        "![x](javascript:alert(1))",
        '[x](http://a "onmouseover=alert(1)")',
        "{{ config }} {% raw %}",
        "<a href='x' onclick='y'>",
        "`<script>`",
        "<javascript:alert(1)>",
    ],
)
def test_row_38_markdown_is_inert(shipped: Platform, hostile: str) -> None:
    with shipped.tenant("acme"):
        from blueprints.sections.models import Page

        db.session.add(Page(section="help", slug="hostile", title=hostile, body=hostile))
    for path in ("/help/hostile/", "/help/"):
        text = client_of(shipped, "acme").get(path).text.replace(" ", "").lower()
        main = text[text.index("<main") :]
        assert "<script" not in main
        assert not re.search(r"<[^>]*\son\w+=", main)
        assert not re.search(r"(href|src)=[\"']?(javascript|vbscript|data:text)", main)
        assert "secret_key" not in text


def test_demo_pages(shipped: Platform) -> None:
    acme = client_of(shipped, "acme")
    assert acme.get("/demo/").data == b"Hello, World!"
    assert acme.get("/demo/add?a=1&b=2").json == {"sum": 3}
    assert acme.get("/demo/add?a=-5&b=0").json == {"sum": -5}
    assert acme.get("/demo/template?name=%3Cb%3E").text.count("&lt;b&gt;") == 1


@pytest.mark.parametrize("query", ["", "a=1", "a=x&b=2", "a=1.5&b=2", "a=&b=", "a=" + "9" * 5000 + "&b=1"])
def test_demo_add_refuses_what_is_no_number(shipped: Platform, query: str) -> None:
    assert client_of(shipped, "acme").get(f"/demo/add?{query}").status_code == 400


def test_demo_environ_shows_the_request_and_nothing_of_the_server(shipped: Platform, site: Path) -> None:
    answer = client_of(shipped, "acme").get(
        "/demo/environ", headers={"X-Mine": "<b>1</b>", "Cookie": "acme_session=secret"}
    )
    assert "HTTP_X_MINE" in answer.text
    assert "&lt;b&gt;1&lt;/b&gt;" in answer.text
    assert "secret" not in answer.text
    assert str(site) not in answer.text
    assert "wsgi." not in answer.text


def test_initech_has_one_view_one_template_and_one_file_of_its_own(shipped: Platform) -> None:
    initech, acme = client_of(shipped, "initech"), client_of(shipped, "acme")
    assert "Is this good for the company?" in initech.get("/").text
    assert "plain numbered list" in initech.get("/help/").text
    assert "plain numbered list" not in acme.get("/help/").text
    assert initech.get("/-/static/logo.svg").data != acme.get("/-/static/logo.svg").data
    assert initech.get("/-/static/tenantry.css").data == acme.get("/-/static/tenantry.css").data
    assert "Is this good for the company?" in client_of(shipped, "initech", by_path=True).get("/").text


def test_each_tenant_has_its_colour(shipped: Platform) -> None:
    colours = {client_of(shipped, slug).get("/-/theme.css").text for slug in shipped.registry}
    assert len(colours) == 3
    assert any(
        text.startswith(":root { --brand: #b3261e; --on-brand: #ffffff; --link: light-dark(") for text in colours
    )


@pytest.mark.parametrize(
    ("slug", "words"), [("acme", "There is no page at this address"), ("globex", "gibt es keine Seite")]
)
def test_404_in_the_tenants_look_and_language(shipped: Platform, slug: str, words: str) -> None:
    answer = client_of(shipped, slug).get("/help/nothing/")
    assert answer.status_code == 404
    assert words in answer.text
    assert "tenantry.css" in answer.text


def test_500_in_the_tenants_look_says_nothing_of_the_inside(shipped: Platform) -> None:
    app = shipped.tenant_app("globex")
    app.view_functions["demo.hello"] = lambda: 1 / 0
    answer = client_of(shipped, "globex").get("/demo/")
    assert answer.status_code == 500
    assert "Etwas ist schiefgegangen" in answer.text
    assert "ZeroDivision" not in answer.text


PAGES = ["/", "/de/", "/help/", "/help/welcome/", "/faq/", "/demo/environ", "/nothing/"]


@pytest.mark.parametrize("slug", ["acme", "globex", "initech"])
@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_an_inline_script_or_style_and_each_has_its_headers(
    shipped: Platform, slug: str, path: str
) -> None:
    answer = client_of(shipped, slug).get(path)
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", answer.text)
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("slug", ["acme", "globex", "initech"])
def test_every_link_of_every_page_leads_somewhere_within_the_tenant(shipped: Platform, slug: str) -> None:
    client = client_of(shipped, slug)
    seen, waiting = set(), ["/"]
    while waiting:
        path = waiting.pop()
        seen.add(path)
        answer = client.get(path)
        is_for_members = answer.status_code == 302 and "/accounts/log-in?next=" in answer.headers["Location"]
        assert answer.status_code == 200 or is_for_members, path
        if answer.mimetype != "text/html":
            continue
        for link in map(unescape, re.findall(r'(?:href|src)="([^"#]+)', answer.text)):
            inner = link.removeprefix(client.base_url.rstrip("/")).removeprefix(client.prefix) or "/"
            assert inner.startswith("/"), link
            assert link.startswith((client.prefix or "/", client.base_url)), link
            if inner not in seen and inner not in waiting:
                waiting.append(inner)
    assert len(seen) >= 9


#: Where messages stand, and the catalogues that translate them: the platform's, then each blueprint's.
SOURCES = {
    "platform/tenantry": "platform/tenantry/look",
    **{
        f"blueprints/{path.parent.name}": f"blueprints/{path.parent.name}"
        for path in (ROOT / "blueprints").glob("*/__init__.py")
    },
}
#: Messages that the sources have as a value of something: titles of links, and names of sections.
BY_VALUE = {"Home", "Help", "Faq", "Demo"}
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|\{\w*\}")


def messages_in(folder: str) -> set[Any]:
    """Every message of the Python code and the templates of a folder: its text, or texts, and its context."""
    methods = [("**/templates/**.html", "jinja2"), ("**/templates/**.txt", "jinja2")]
    options = {name: {"extensions": "jinja2.ext.i18n", "silent": "false"} for name, _ in methods}
    in_templates = extract_from_dir(ROOT / folder, methods, options)
    found: set[Any] = {(message, context) for _, _, message, _, context in in_templates if message}
    for path in (ROOT / folder).rglob("*.py"):
        found.update(messages_in_code(ast.parse(path.read_text())))
    return found


def messages_in_code(tree: ast.Module) -> Iterator[Any]:
    """Babel's own extractor for Python looks past what stands in an f-string."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, (ast.Name, ast.Attribute)):
            name = call.func.id if isinstance(call.func, ast.Name) else call.func.attr
            texts = [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            if texts and name in ("gettext", "_", "lazy_gettext"):
                yield texts[0], None
            elif len(texts) > 1 and name == "ngettext":
                yield (texts[0], texts[1]), None
            elif len(texts) > 1 and name == "pgettext":
                yield texts[1], texts[0]
            elif len(texts) > 2 and name == "npgettext":
                yield (texts[1], texts[2]), texts[0]


def german(folder: str) -> dict[Any, Message]:
    path = ROOT / SOURCES[folder] / "translations/de/LC_MESSAGES/messages.po"
    if not path.exists():
        return {}
    with path.open("rb") as file:
        return {(message.id, message.context): message for message in read_po(file, abort_invalid=True) if message.id}


@pytest.mark.parametrize("folder", SOURCES)
def test_german_is_complete(folder: str) -> None:
    """Every message in the sources has a translation, and no translation is for a message that is gone."""
    found, own, shared = messages_in(folder), german(folder), german("platform/tenantry")
    by_value = {(message, None) for message in BY_VALUE}
    assert found - own.keys() - shared.keys() == set(), "not translated"
    assert own.keys() - found - by_value == set(), "nowhere in the sources"
    for message in own.values():
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        assert all(texts), f"{message.id} is not translated"
        assert not message.fuzzy, message.id
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        expected = set(PLACEHOLDER.findall(" ".join(ids)))
        assert set(PLACEHOLDER.findall(" ".join(texts))) == expected, message.id


def test_each_word_has_one_translation() -> None:
    """All catalogues of a language are one, so two translations of a message would depend on the order of blueprints."""
    known: dict[Any, Any] = {}
    for folder in SOURCES:
        for key, message in german(folder).items():
            assert known.setdefault(key, message.string) == message.string, (folder, key)


def test_titles_of_links_are_translated(shipped: Platform) -> None:
    words = shipped.catalogues.get("de")
    shown = {title for slug in shipped.registry for _, title in shipped.tenant_app(slug).navigation}
    assert {title for title in shown if words.gettext(title) == title} <= {"Demo", "API"}
    assert shown >= BY_VALUE
