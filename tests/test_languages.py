"""Which language a page is in, where its words come from, and how it leads to itself in another language."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import render_template_string
from flask.globals import app_ctx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import Unauthorized

from tenantry import (
    Platform,
    current_language,
    gettext,
    ngettext,
    npgettext,
    pgettext,
    speaking,
    use_language,
)
from tenantry.catalogues import Catalogues
from tenantry.cli import main
from tenantry.errors import BadSetup, DatabaseBusy, NoTenantContext, TenantUnavailable
from tenantry.testing import TenantClient, client_of, make_platform
from tenantry.users import CurrentUser

Write = Callable[[str, str], Path]

LANGUAGES = """
[defaults]
languages = ["en", "de"]
sections = ["help"]
features = ["front", "sections", "demo"]

[tenants.acme]
path = "/acme"

[tenants.globex]
hosts = ["globex.localhost"]
path = "/globex"
languages = ["de", "en"]

[tenants.initech]
path = "/initech"
languages = ["en"]
"""

HEAD = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'


@pytest.fixture
def tenants_toml() -> str:
    return LANGUAGES


@pytest.fixture
def words(tmp_path: Path) -> Callable[..., Path]:
    """Write a tenant's own catalogue."""

    def write_words(slug: str, language: str, text: str, head: str = HEAD) -> Path:
        path = tmp_path / "tenants" / slug / "translations" / language / "LC_MESSAGES" / "messages.po"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head + text, encoding="utf-8")
        return path

    return write_words


def page_language(answer: Any) -> str:
    found = re.search(r'<html lang="([^"]+)"', answer.text)
    assert found
    return found[1]


class TestWhichLanguage:
    def test_the_order(self, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
        """Address, argument, earlier choice, account, the tenant's first: each beats those after it."""
        monkeypatch.setattr("tenantry.users.current._search", lambda: CurrentUser(id=1, language="de"))
        visitor = client_of(platform, "acme")
        assert page_language(visitor.get("/help/")) == "de"  # the account's
        visitor.get("/en/")
        assert page_language(visitor.get("/help/")) == "en"  # chosen before
        assert page_language(visitor.get("/help/?lang=de")) == "de"  # the argument
        assert page_language(visitor.get("/en/?lang=de")) == "en"  # the address
        assert page_language(visitor.get("/help/")) == "en"

    def test_the_argument_is_remembered(self, platform: Platform) -> None:
        visitor = client_of(platform, "acme")
        assert page_language(visitor.get("/help/?lang=de")) == "de"
        assert page_language(visitor.get("/help/")) == "de"
        assert "Set-Cookie" not in visitor.get("/help/?lang=de").headers
        assert page_language(client_of(platform, "globex").get("/help/")) == "de"
        assert page_language(client_of(platform, "acme").get("/help/")) == "en"

    @pytest.mark.parametrize(
        "query", ["lang=fr", "lang=", "lang", "lang=DE", "lang=de%00", "language=de", "xlang=de", "lang=fr&lang=de"]
    )
    def test_what_is_no_language_of_the_tenant(self, platform: Platform, query: str) -> None:
        answer = client_of(platform, "acme").get(f"/help/?{query}")
        assert page_language(answer) == "en"
        assert "Set-Cookie" not in answer.headers

    @pytest.mark.parametrize(("account", "shown"), [("en", "en"), ("de", "de"), ("fr", "de"), (None, "de")])
    def test_the_accounts_language(
        self, globex: TenantClient, monkeypatch: pytest.MonkeyPatch, account: str | None, shown: str
    ) -> None:
        monkeypatch.setattr("tenantry.users.current._search", lambda: CurrentUser(id=1, language=account))
        assert page_language(globex.get("/help/")) == shown

    def test_a_real_account(self, acme: TenantClient, platform: Platform) -> None:
        from tenantry import db
        from tenantry.users import User

        user = acme.log_in("ada")
        assert page_language(acme.get("/help/")) == "en"
        with platform.tenant("acme"):
            db.session.get_one(User, user.id).language = "de"
        assert page_language(acme.get("/help/")) == "de"
        assert page_language(acme.get("/nothing/")) == "de"

    def test_a_refused_login_is_not_the_languages_failure(
        self, acme: TenantClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse() -> None:
            raise Unauthorized

        monkeypatch.setattr("tenantry.users.current._search", refuse)
        platform.tenant_app("acme").view_functions["demo.hello"] = current_language
        assert acme.get("/demo/").text == "en"
        assert page_language(acme.get("/nothing/")) == "en"

    def test_a_database_that_fails_makes_nobody_of_no_one(
        self, acme: TenantClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who is logged in must not see the page as somebody who is not, as the language was asked for first."""

        def fail() -> None:
            raise DatabaseBusy

        monkeypatch.setattr("tenantry.users.current._search", fail)
        platform.tenant_app("acme").view_functions["demo.hello"] = current_language
        answer = acme.get("/demo/")
        assert (answer.status_code, page_language(answer)) == (503, "en")

    def test_a_bad_token_is_left_for_the_view_to_refuse(self, platform: Platform) -> None:
        """Were it refused, and forgotten, where a page asks for its language, the view would find nobody."""
        from tenantry import current_user

        def view() -> str:
            return f"{current_language()} {gettext('Help')} {current_user.is_authenticated}"

        platform.tenant_app("acme").view_functions["demo.hello"] = view
        acme = client_of(platform, "acme")
        assert acme.get("/demo/").text == "en Help False"
        answer = acme.get("/demo/", headers={"Authorization": "Bearer nothing"})
        assert answer.status_code == 401
        assert page_language(answer) == "en"

    def test_a_tenant_with_one_language_reads_no_session(self, platform: Platform) -> None:
        def view() -> str:
            from flask.globals import request_ctx

            current_language()
            return str(request_ctx._session.is_unread)  # type: ignore[union-attr]

        for slug in ("initech", "acme"):
            platform.tenant_app(slug).view_functions["demo.hello"] = view
            visitor = client_of(platform, slug)
            visitor.set_cookie(f"{slug}_session", "x", path=f"/{slug}")
            assert visitor.get("/demo/").text == str(slug == "initech")

    def test_a_request_within_a_context_has_its_own(self, platform: Platform) -> None:
        app = platform.tenant_app("acme")
        with app.app_context():
            for query, expected in (("?lang=de", "de"), ("", "en"), ("?lang=en", "en")):
                with app.test_request_context(f"/{query}"):
                    assert current_language() == current_language() == expected
            assert current_language() == "en"

    def test_another_tenants_request_says_nothing(self, platform: Platform) -> None:
        with platform.tenant_app("acme").test_request_context("/?lang=de"):
            assert current_language() == "de"
            with platform.tenant("globex"):
                use_language("en")
                assert current_language() == "en"
                with platform.tenant("acme"):
                    assert current_language() == "en"  # its first, as nobody asked it for anything
            assert current_language() == "de"


class TestSpeaking:
    def test_blocks_nest_and_restore(self, platform: Platform) -> None:
        with platform.tenant("acme"):
            with speaking("de"):
                assert (current_language(), gettext("Not found")) == ("de", "Nicht gefunden")
                with speaking("en"):
                    assert gettext("Not found") == "Not found"
                with pytest.raises(ZeroDivisionError), speaking("en"):
                    1 / 0  # noqa: B018
                assert current_language() == "de"
            assert current_language() == "en"

    @pytest.mark.parametrize("language", [None, "", "fr", "../de", "DE"])
    def test_one_that_the_tenant_does_not_have(self, platform: Platform, language: str | None) -> None:
        with platform.tenant("globex"), speaking("en"), speaking(language):
            assert current_language() == "de"

    def test_in_a_request(self, platform: Platform) -> None:
        with platform.tenant_app("acme").test_request_context("/?lang=de"):
            with speaking("en"):
                assert current_language() == "en"
                with platform.tenant("globex"):
                    assert current_language() == "de"
                with platform.tenant("acme"):
                    assert current_language() == "en"
            assert current_language() == "de"

    def test_outside_of_a_tenant(self) -> None:
        with pytest.raises(NoTenantContext, match="'speaking'"), speaking("de"):
            pass

    def test_nothing_of_it_stays_on_the_context(self, platform: Platform) -> None:
        with platform.tenant("acme"):
            with speaking("de", "Europe/Berlin"):
                pass
            assert app_ctx._tenantry_language is app_ctx._tenantry_timezone is None  # type: ignore[attr-defined]


NOT_FOUND = 'msgid "Not found"\nmsgstr "{}"\n'


class TestOwnWords:
    def test_two_tenants_override_one_word(self, platform: Platform, words: Any) -> None:
        words("acme", "de", NOT_FOUND.format("Bei Acme nicht"))
        words("acme", "en", NOT_FOUND.format("Acme has not got it"))
        words("globex", "de", NOT_FOUND.format("Bei Globex nicht"))
        for _ in range(2):
            seen = {}
            for slug in ("acme", "globex", "initech"):
                with platform.tenant(slug):
                    for language in ("de", "en"):
                        with speaking(language):
                            seen[slug, language] = gettext("Not found")
            assert seen == {
                ("acme", "de"): "Bei Acme nicht",
                ("acme", "en"): "Acme has not got it",
                ("globex", "de"): "Bei Globex nicht",
                ("globex", "en"): "Not found",
                ("initech", "de"): "Not found",  # it has no German
                ("initech", "en"): "Not found",
            }
            for app in list(platform.live.apps()):
                platform.live.drop(app)  # and built anew

    def test_on_pages_and_with_threads(self, platform: Platform, words: Any) -> None:
        words("acme", "de", NOT_FOUND.format("Bei Acme nicht"))
        words("globex", "de", NOT_FOUND.format("Bei Globex nicht"))

        def ask(slug: str) -> set[str]:
            client = client_of(platform, slug)
            return {re.findall("<h1>(.*?)</h1>", client.get("/nothing/?lang=de").text)[0] for _ in range(30)}

        with ThreadPoolExecutor(6) as threads:
            found = list(threads.map(ask, ["acme", "globex"] * 3))
        assert found == [{"Bei Acme nicht"}, {"Bei Globex nicht"}] * 3

    def test_the_others_fall_back_to_the_shared_ones(self, platform: Platform, words: Any) -> None:
        words(
            "acme",
            "de",
            NOT_FOUND.format("x") + '\nmsgid "%(n)s thing"\nmsgid_plural "%(n)s things"\nmsgstr[0] ""\nmsgstr[1] ""\n',
        )
        with platform.tenant("acme"), speaking("de"):
            assert gettext("Too large") == "Zu groß"
            assert gettext("nobody knows this") == "nobody knows this"
            assert ngettext("nobody", "everybody", 1) == "nobody"
            assert ngettext("nobody", "everybody", 2) == "everybody"
        shared = platform.catalogues.get("de")
        assert shared.gettext("Not found") == "Nicht gefunden"
        assert shared._fallback is None  # type: ignore[attr-defined]

    def test_plurals_and_contexts(self, platform: Platform, words: Any) -> None:
        words(
            "acme",
            "de",
            'msgid "%(num)s page"\nmsgid_plural "%(num)s pages"\nmsgstr[0] "%(num)s Blatt"\nmsgstr[1] "%(num)s Blätter"\n\n'
            'msgctxt "month"\nmsgid "May"\nmsgstr "Mai"\n\nmsgid "May"\nmsgstr "Dürfen"\n\n'
            'msgctxt "sheet"\nmsgid "one"\nmsgid_plural "many"\nmsgstr[0] "eins"\nmsgstr[1] "viele"\n',
        )
        page = (
            "{% trans num=1 %}{{ num }} page{% pluralize %}{{ num }} pages{% endtrans %} "
            '{{ ngettext("%(num)s page", "%(num)s pages", 3) }} {{ pgettext("month", "May") }} {{ gettext("May") }}'
        )
        with platform.tenant("acme"), speaking("de"):
            assert render_template_string(page) == "1 Blatt 3 Blätter Mai Dürfen"
            assert (pgettext("month", "May"), pgettext("other", "May"), gettext("May")) == ("Mai", "May", "Dürfen")
            assert (npgettext("sheet", "one", "many", 1), npgettext("sheet", "one", "many", 2)) == ("eins", "viele")
        with platform.tenant("acme"), speaking("en"):
            assert pgettext("month", "May") == "May"
            assert npgettext("sheet", "one", "many", 2) == "many"

    def test_a_tenant_without_any_shares_what_the_others_have(self, platform: Platform, words: Any) -> None:
        words("globex", "de", NOT_FOUND.format("x"))
        acme, globex = platform.tenant_app("acme"), platform.tenant_app("globex")
        assert acme.own_words is platform.tenant_app("initech").own_words
        assert list(globex.own_words) == ["de"]
        assert globex.own_words["de"]._fallback is platform.catalogues.get("de")  # type: ignore[attr-defined]

    def test_a_language_that_the_tenant_does_not_have_is_left_alone(self, platform: Platform, words: Any) -> None:
        words("acme", "fr", "msgid nonsense")
        assert platform.tenant_app("acme").own_words == {}

    def test_a_language_with_a_region(self, tmp_path: Path, words: Any, write: Write) -> None:
        toml = '[platform]\nblueprints = []\n[tenants.acme]\npath = "/acme"\nlanguages = ["en", "de-AT"]\n'
        words("acme", "de_AT", NOT_FOUND.format("Ned gfundn"))
        with make_platform(tmp_path, toml).tenant("acme"), speaking("de-AT"):
            assert gettext("Not found") == "Ned gfundn"

    def test_a_fuzzy_one_is_not_taken(self, platform: Platform, words: Any) -> None:
        words("acme", "de", "#, fuzzy\n" + NOT_FOUND.format("%(x)s unsure"))
        with platform.tenant("acme"), speaking("de"):
            assert gettext("Not found") == "Nicht gefunden"


def plural(rule: str) -> str:
    return HEAD.replace("nplurals=2; plural=(n != 1);", rule)


BROKEN = {
    "no message": (HEAD, "msgid nonsense\n"),
    "an encoding that there is none of": (HEAD.replace("utf-8", "klingon"), 'msgid "ä"\nmsgstr "b"\n'),
    "a wrong encoding": (HEAD.replace("utf-8", "ascii"), 'msgid "ä"\nmsgstr "b"\n'),
    "no number of plurals": (plural("nplurals=many; plural=0;"), ""),
    "a thousand million plurals": (
        plural("nplurals=1000000000; plural=0;"),
        'msgid "a"\nmsgid_plural "b"\nmsgstr[0] "c"\n',
    ),
    "the same in two lines": (
        plural('npl"\n"urals=1000000000; plural=0;'),
        'msgid "a"\nmsgid_plural "b"\nmsgstr[0] "c"\n',
    ),
    "no plurals": (plural("nplurals=0; plural=0;"), ""),
    "fewer than none": (plural("nplurals=-1; plural=0;"), ""),
    "code for a rule": (plural('nplurals=2; plural=__import__(\\"os\\").abort();'), ""),
    "a rule with names": (plural("nplurals=2; plural=open;"), ""),
    "a rule with a call": (plural("nplurals=2; plural=n(n);"), ""),
    "a rule with powers": (plural("nplurals=2; plural=9**9**9**9;"), ""),
    "a rule that divides by nothing": (plural("nplurals=2; plural=n/0;"), ""),
    "a rule that divides by nothing at five": (plural("nplurals=2; plural=n%(n-5);"), ""),
    "a rule without end": (plural("nplurals=2; plural=" + "(" * 500 + "n" + ")" * 500 + ";"), ""),
    "a rule that is too long": (plural("nplurals=2; plural=n" + "+n" * 2000 + ";"), ""),
    "no date": (HEAD.replace('"Content', '"POT-Creation-Date: nonsense\\n"\n"Content'), ""),
    "a name that nobody gives": (HEAD, 'msgid "Hello %(name)s"\nmsgstr "Hallo %(nom)s"\n'),
    "a bare percent sign": (HEAD, 'msgid "all"\nmsgstr "100 % davon"\n'),
    "a position": (HEAD, 'msgid "Hello %(name)s"\nmsgstr "Hallo %s"\n'),
    "another field": (HEAD, 'msgid "of {title}"\nmsgstr "von {titel}"\n'),
    "a field's inside": (HEAD, 'msgid "of {title}"\nmsgstr "von {title.__class__}"\n'),
    "half a field": (HEAD, 'msgid "of {title}"\nmsgstr "von {title"\n'),
    "one of the plurals": (HEAD, 'msgid "%(n)s a"\nmsgid_plural "%(n)s b"\nmsgstr[0] "%(n)s c"\nmsgstr[1] "%(m)s d"\n'),
}


class TestBrokenWords:
    @pytest.mark.parametrize("kind", BROKEN)
    def test_the_tenant_is_not_served_and_the_others_are(self, platform: Platform, words: Any, kind: str) -> None:
        head, text = BROKEN[kind]
        path = words("acme", "de", text, head)
        with pytest.raises(TenantUnavailable) as caught:
            platform.tenant_app("acme")
        assert f"The catalogue {path}" in str(caught.value)
        assert client_of(platform, "globex").get("/").status_code == 200

    @pytest.mark.parametrize("kind", BROKEN)
    def test_check_tells_it(
        self, tmp_path: Path, tenants_toml: str, words: Any, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        head, text = BROKEN[kind]
        path = words("globex", "de", text, head)
        (tmp_path / "tenants.toml").write_text(tenants_toml)
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(str(Path(__file__).parent.parent))
        result = CliRunner().invoke(main, ["check"])
        assert result.exit_code == 1
        assert "The configuration has 1 problem:" in result.stderr
        assert f"tenants.globex: The catalogue {path}" in result.stderr
        assert "Traceback" not in result.stderr

    def test_what_it_says(self, platform: Platform, words: Any) -> None:
        path = words("acme", "de", BROKEN["a name that nobody gives"][1])
        with pytest.raises(BadSetup) as caught:
            platform.catalogues.of_tenant(platform.registry["acme"])
        assert str(caught.value) == (
            f"The catalogue {path}, line 6, does not fit its message: 'Hallo %(nom)s'; expected %(name)s"
        )

    def test_one_that_cannot_be_read(self, platform: Platform, words: Any) -> None:
        path = words("acme", "de", "")
        path.unlink()
        path.symlink_to(path)
        assert platform.tenant_app("acme").own_words == {}

    @pytest.mark.parametrize(
        "place", ["messages.po", "de/messages.po", "de/LC_MESSAGES/de.po", "de/x/LC_MESSAGES/messages.po"]
    )
    def test_a_catalogue_where_none_is_looked_for(self, platform: Platform, write: Write, place: str) -> None:
        path = write(f"tenants/acme/translations/{place}", HEAD)
        with pytest.raises(
            TenantUnavailable, match=r"is not where one is looked for; expected .*de/LC_MESSAGES/messages.po"
        ):
            platform.tenant_app("acme")
        path.unlink()

    GOOD = (
        'msgid "all"\nmsgstr "100 %% davon"\n\nmsgid "100 %"\nmsgstr "100 Prozent"\n\nmsgid "{"\nmsgstr "}}{"\n\n'
        'msgid "%(a)s and %(b)s"\nmsgstr "%(b)s"\n\nmsgid "%d of them"\nmsgstr "%d davon"\n\nmsgid "of {title}"\nmsgstr "alles"\n'
    )

    def test_what_fits(self, platform: Platform, words: Any) -> None:
        words("acme", "de", self.GOOD)
        with platform.tenant("acme"), speaking("de"):
            assert render_template_string('{{ gettext("all") }}') == "100 % davon"
            assert gettext("of {title}").format(title="x") == "alles"

    @settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.text(alphabet='msgidstrctxplural[]01" \\\n#~,%(){}n=;:/*?!&|<>', max_size=200), st.booleans())
    def test_anything_is_taken_or_refused_in_words(self, tmp_path: Path, text: str, in_rule: bool) -> None:
        folder = tmp_path / "any"
        path = folder / "de" / "LC_MESSAGES" / "messages.po"
        path.parent.mkdir(parents=True, exist_ok=True)
        rule = text.replace("\\", "").replace("\n", "").replace('"', "")
        path.write_text(plural(f"nplurals=2; plural={rule};") if in_rule else HEAD + text)
        try:
            words = Catalogues([folder]).get("de")
        except BadSetup as error:
            assert str(path) in str(error)
        else:
            for n in range(50):
                assert isinstance(words.ngettext("a", "b", n), str)

    def test_shared_catalogues_are_read_with_the_same_care(self, tmp_path: Path, words: Any) -> None:
        head, text = BROKEN["a rule that divides by nothing"]
        words("acme", "de", text, head)
        with pytest.raises(BadSetup, match="divides by what may be nothing"):
            Catalogues([tmp_path / "tenants" / "acme" / "translations"]).get("de")

    def test_an_empty_plural_is_not_a_translation(self, tmp_path: Path, words: Any) -> None:
        words("acme", "de", 'msgid "a"\nmsgid_plural "b"\nmsgstr[0] ""\nmsgstr[1] ""\n')
        found = Catalogues([tmp_path / "tenants" / "acme" / "translations"]).get("de")
        assert ("a", 0) not in found._catalog  # type: ignore[attr-defined]


def links(answer: Any, kind: str = "head") -> dict[str, str]:
    part = answer.text[: answer.text.index("</head>")] if kind == "head" else answer.text.split("<footer")[1]
    pattern = (
        r'<link rel="alternate" hreflang="([^"]+)" href="([^"]+)"'
        if kind == "head"
        else r'<a href="([^"]*)" hreflang="([^"]+)"'
    )
    found = re.findall(pattern, part)
    return dict(found) if kind == "head" else {code: address for address, code in found}


class TestTheSamePageInAnotherLanguage:
    def test_where_the_address_has_it(self, platform: Platform) -> None:
        answer = client_of(platform, "acme").get("/de/?a=1&lang=en")
        assert links(answer) == {
            "en": "http://localhost/acme/en/?a=1",
            "de": "http://localhost/acme/de/?a=1",
            "x-default": "http://localhost/acme/?a=1",
        }
        assert links(answer, "foot") == {"en": "/acme/en/?a=1", "de": "/acme/de/?a=1"}

    def test_where_it_has_not(self, platform: Platform) -> None:
        answer = client_of(platform, "acme").get("/help/welcome/?b=%C3%A4&b=%26&lang=de&a=")
        kept = "b=%C3%A4&amp;b=%26&amp;a="
        assert links(answer) == {
            "en": f"http://localhost/acme/help/welcome/?{kept}&amp;lang=en",
            "de": f"http://localhost/acme/help/welcome/?{kept}&amp;lang=de",
            "x-default": f"http://localhost/acme/help/welcome/?{kept}",
        }
        assert links(answer, "foot")["en"] == f"/acme/help/welcome/?{kept}&amp;lang=en"

    def test_the_head_has_the_canonical_door(self, platform: Platform) -> None:
        by_host, by_path = (
            client_of(platform, "globex").get("/help/"),
            client_of(platform, "globex", by_path=True).get("/help/"),
        )
        assert links(by_host) == links(by_path)
        assert links(by_path)["de"] == "http://globex.localhost/help/?lang=de"
        assert links(by_host, "foot")["de"] == "/help/?lang=de"
        assert links(by_path, "foot")["de"] == "/globex/help/?lang=de"

    def test_following_them(self, platform: Platform) -> None:
        visitor = client_of(platform, "acme")
        answer = visitor.get("/help/welcome/")
        for code in ("de", "en", "de"):
            address = links(answer, "foot")[code].removeprefix("/acme")
            answer = visitor.get(address)
            assert (answer.status_code, page_language(answer)) == (200, code)

    def test_a_tenant_with_one_language_has_none(self, platform: Platform) -> None:
        answer = client_of(platform, "initech").get("/help/")
        assert links(answer) == links(answer, "foot") == {}
        assert "hreflang" not in answer.text

    def test_an_errors_page(self, platform: Platform) -> None:
        answer = client_of(platform, "acme").get("/help/nothing/")
        assert links(answer) == {}
        assert links(answer, "foot")["de"] == "/acme/help/nothing/?lang=de"
        assert links(client_of(platform, "acme").get("/no/such/"), "foot")["de"] == "/acme/no/such/?lang=de"
        assert links(client_of(platform, "acme").get("/fr/"), "foot")["de"] == "/acme/de/"

    def test_what_was_posted(self, platform: Platform) -> None:
        page = '{% extends "tenantry/base.html" %}'
        app = platform.tenant_app("acme")
        app.add_url_rule("/form", "form", lambda: render_template_string(page), methods=["GET", "POST"])
        app.add_url_rule("/button", "button", lambda: render_template_string(page), methods=["POST"])
        acme = client_of(platform, "acme")
        form, button = acme.post("/form?a=1"), acme.post("/button?a=1")
        assert links(form) == links(button) == {}
        assert links(form, "foot")["de"] == "/acme/form?a=1&amp;lang=de"
        assert links(button, "foot")["de"] == "/acme/?lang=de"

    @pytest.mark.parametrize(
        "path",
        [
            "//evil.example/",
            "/\\evil.example",
            "/\t/evil.example",
            '/"><script>alert(1)</script>',
            "/javascript:alert(1)",
            "/%2f/evil",
            "/ä b",
        ],
    )
    @pytest.mark.parametrize("root", ["", "/acme"])
    def test_no_address_leads_elsewhere(self, platform: Platform, path: str, root: str) -> None:
        app = platform.tenant_app("acme")
        environ = {
            "PATH_INFO": path.encode().decode("latin-1"),
            "SCRIPT_NAME": root,
            "QUERY_STRING": "next=//evil.example&x=%22%3E%3Cscript%3E",
        }
        with app.test_request_context(environ_overrides=environ):
            shown = render_template_string('{% extends "tenantry/base.html" %}')
        for address in links(type("Answer", (), {"text": shown}), "foot").values():
            assert re.match(r"/(?![/\\])[\x21-\x7e]*\Z", address), address
            assert not re.search(r"[<>\"'\\\s]", address)
        assert "<script>" not in shown

    def test_a_page_may_switch_it_off(self, platform: Platform) -> None:
        page = (
            '{% extends "tenantry/base.html" %}{% block alternates %}{% endblock %}{% block languages %}{% endblock %}'
        )
        platform.tenant_app("acme").view_functions["demo.hello"] = lambda: render_template_string(page)
        assert "hreflang" not in client_of(platform, "acme").get("/demo/").text

    def test_hidden_values_are_put_back(self, tmp_path: Path, write: Write, package: str) -> None:
        """A page whose address has the language, and another value that its blueprint hides; and one without a default."""
        write(
            f"{package}/shop.py",
            """
            from flask import Blueprint, g, render_template_string
            from tenantry import use_language

            bp = Blueprint("shop", __name__, url_prefix="/<lang_code>/<area>")

            @bp.url_value_preprocessor
            def hide(endpoint, values):
                g.area, g.lang_code = values.pop("area"), values.pop("lang_code")
                use_language(g.lang_code)

            @bp.url_defaults
            def show(endpoint, values):
                values.setdefault("area", g.area)
                values.setdefault("lang_code", g.lang_code)

            @bp.get("/<int:number>")
            def thing(number):
                return render_template_string('{% extends "tenantry/base.html" %}')
            """,
        )
        toml = f'[platform]\nblueprints = "{package}"\n[tenants.a]\npath = "/a"\nlanguages = ["en", "de"]\n'
        answer = client_of(make_platform(tmp_path, toml), "a").get("/de/caf%C3%A9/7?q=1")
        assert links(answer) == {
            "en": "http://localhost/a/en/caf%C3%A9/7?q=1",
            "de": "http://localhost/a/de/caf%C3%A9/7?q=1",
            "x-default": "http://localhost/a/en/caf%C3%A9/7?q=1",
        }
        assert links(answer, "foot") == {"en": "/a/en/caf%C3%A9/7?q=1", "de": "/a/de/caf%C3%A9/7?q=1"}
