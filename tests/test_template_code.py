"""Shared template code: what tenants share of their templates, and that no page of theirs can tell."""

from __future__ import annotations

import inspect
import os
import re
import textwrap
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

import jinja2
import pytest
from flask import Flask
from jinja2 import Environment, StrictUndefined, TemplateSyntaxError, compiler, lexer, nodes, parser

from tenantry import Platform, TenantApp, template_code
from tenantry.testing import client_of, make_platform

Write = Callable[[str, str], Path]

BLUEPRINT = """
    from flask import Blueprint, current_app, render_template
    from tenantry import current_tenant

    bp = Blueprint("shop", __name__, url_prefix="/shop", template_folder="templates")

    @bp.get("/<name>")
    def page(name):
        return render_template(f"shop/{name}.html")

    @bp.app_template_filter()
    def whose(value):
        return f"{value} of {current_tenant.title}"

    @bp.app_template_test()
    def acmes(value):
        return current_tenant.slug == "acme"
"""

TENANTS = """
    [platform]
    blueprints = "{package}"
    {platform}
    [tenants.acme]
    title = "Acme"
    path = "/acme"
    {acme}
    [tenants.globex]
    title = "Globex"
    path = "/globex"
"""


class Shop:
    """A platform of two tenants with a blueprint whose templates a test writes."""

    def __init__(self, folder: Path, package: str, write: Write) -> None:
        self.folder, self.package, self._write = folder, package, write
        write(f"{package}/shop/__init__.py", BLUEPRINT)

    def template(self, name: str, text: str) -> Path:
        return self._write(f"{self.package}/shop/templates/shop/{name}.html", text)

    def extension(self, code: str) -> str:
        """Write an extension that is given each tenant's app; return the line of [platform] that names it."""
        self._write(f"{self.package}_ext.py", code)
        return f'extensions = ["{self.package}_ext:init_app"]'

    def serve(self, platform: str = "", acme: str = "") -> Platform:
        text = textwrap.dedent(TENANTS).format(package=self.package, platform=platform, acme=acme)
        made = make_platform(self.folder, text)
        made.template_code = template_code.TemplateCode()  # one that no other test has filled
        return made


@pytest.fixture
def shop(tmp_path: Path, package: str, write: Write) -> Shop:
    return Shop(tmp_path, package, write)


def pages(platform: Platform, name: str) -> list[str]:
    """The page of both tenants, asked for twice in turn."""
    found = [client_of(platform, slug).get(f"/shop/{name}").text for slug in ("acme", "globex") * 2]
    assert found[:2] == found[2:]
    return found[:2]


def code(app: TenantApp, name: str) -> CodeType:
    return app.jinja_env.get_template(f"shop/{name}.html").root_render_func.__code__


def is_shared(platform: Platform, name: str) -> bool:
    acme, globex = (platform.tenant_app(slug) for slug in ("acme", "globex"))
    assert acme.jinja_env is not globex.jinja_env
    assert acme.jinja_env.get_template(f"shop/{name}.html") is not globex.jinja_env.get_template(f"shop/{name}.html")
    return code(acme, name) is code(globex, name)


# ---- What is shared says each tenant's own --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "acmes", "globexs"),
    [
        pytest.param("{{ current_tenant.title }}", "Acme", "Globex", id="a global"),
        pytest.param("{{ url_for('shop.page', name='a') }}", "/acme/shop/a", "/globex/shop/a", id="a link"),
        pytest.param("{{ config.COLOUR or 'none' }}", "red", "none", id="configuration"),
        pytest.param("{{ 'x'|whose }}", "x of Acme", "x of Globex", id="a filter of a constant"),
        pytest.param("{{ ('a' ~ 1)|whose|upper }}", "A1 OF ACME", "A1 OF GLOBEX", id="filters of a constant"),
        pytest.param("{{ [1, 2]|map('whose')|first }}", "1 of Acme", "1 of Globex", id="a filter by its name"),
        pytest.param("{% filter whose %}x{% endfilter %}", "x of Acme", "x of Globex", id="a block's filter"),
        pytest.param("{% set a = 'x'|whose %}{{ a }}", "x of Acme", "x of Globex", id="a filter, kept"),
        pytest.param("{{ 'x' is acmes }}", "True", "False", id="a test of a constant"),
        pytest.param("{{ 'y' if 1 is acmes else 'n' }}", "y", "n", id="a test that decides"),
        pytest.param("{% macro m() %}{{ 1|whose }}{% endmacro %}{{ m() }}", "1 of Acme", "1 of Globex", id="a macro"),
        pytest.param("{{ 'ä'|tojson }}", '"ä"', '"\\u00e4"', id="JSON of a constant"),
        pytest.param("{{ 'a'|upper }}{{ [2, 1]|sort|join }}", "A12", "A12", id="usual filters"),
        pytest.param("{{ '<'|e }}{{ '<' }}{{ '<'|safe }}", "&lt;&lt;<", "&lt;&lt;<", id="escaping"),
    ],
)
def test_shared_code_says_each_tenants_own(shop: Shop, text: str, acmes: str, globexs: str) -> None:
    shop.template("page", text)
    extension = shop.extension("def init_app(app):\n    app.json.ensure_ascii = app.tenant.slug != 'acme'\n")
    platform = shop.serve(extension, 'config = { COLOUR = "red" }')
    assert pages(platform, "page") == [acmes, globexs]
    assert is_shared(platform, "page")


def test_inherited_included_and_imported_templates_are_shared_too(shop: Shop) -> None:
    shop.template("base", "<title>{% block title %}{{ 'x'|whose }}{% endblock %}</title>{% block body %}{% endblock %}")
    shop.template("part", "[{{ current_tenant.title }}]")
    shop.template("macros", "{% macro hi(name) %}hi {{ name }} of {{ current_tenant.title }}{% endmacro %}")
    shop.template(
        "page",
        "{% extends 'shop/base.html' %}{% from 'shop/macros.html' import hi %}"
        "{% block body %}{% include 'shop/part.html' %}{{ hi('Ann') }}{{ super() }}{% endblock %}",
    )
    platform = shop.serve()
    expected = "<title>x of {0}</title>[{0}]hi Ann of {0}"
    assert pages(platform, "page") == [expected.format("Acme"), expected.format("Globex")]
    assert all(is_shared(platform, name) for name in ("base", "part", "macros", "page"))


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        pytest.param("{{ 'x'|whose }}", True, id="a root"),
        pytest.param("{% block a %}{{ 1|whose }}{% endblock %}", True, id="a block"),
        pytest.param("{% extends 'shop/base.html' %}{% block a %}{{ 1|whose }}{% endblock %}", True, id="inherited"),
        pytest.param("{% extends 'shop/base.html' %}{% block a %}{{ super() }}{% endblock %}", False, id="super"),
        pytest.param(
            "{% extends 'shop/base.html' %}{% block a %}{% for n in [1] %}{% set s = super() %}{{ s }}{% endfor %}{% endblock %}",
            False,
            id="super in a loop",
        ),
        pytest.param(
            "{% extends 'shop/base.html' %}{% block a %}{% macro m() %}{{ caller() }}{% endmacro %}"
            "{% call m() %}{{ super() }}{% endcall %}{% endblock %}",
            False,
            id="super in a macro's caller",
        ),
        pytest.param(
            "{% block a %}{{ self.b() }}{% endblock %}{% block b %}{{ 2|whose }}{% endblock %}", True, id="self"
        ),
        pytest.param("{% macro m(x=1) %}{{ x|whose }}{% endmacro %}{{ m() }}{{ m(2) }}", True, id="a macro"),
        pytest.param("{% set ns = namespace(n=1) %}{{ ns.n|whose }}{{ cycler('a', 'b').next() }}", True, id="globals"),
    ],
)
def test_templates_are_the_same_with_functions_of_their_own(shop: Shop, text: str, fits: bool) -> None:
    shop.template("base", "<{% block a %}{{ 'base'|whose }}{% endblock %}>")
    shop.template("page", text)
    platform = shop.serve()
    shown = pages(platform, "page")
    usual = shop.serve(shop.extension("def init_app(app):\n    app.jinja_options['bytecode_cache'] = None\n"))
    assert shown == pages(usual, "page")
    assert shown[0].replace("Acme", "Globex") == shown[1]
    shared = [kept for key, (_, kept) in platform.template_code._codes.items() if key[1] == "shop/page.html"]  # type: ignore[index]
    assert [kept.fits for kept in shared] == [fits]
    acme, globex = (platform.tenant_app(slug).jinja_env.get_template("shop/page.html") for slug in ("acme", "globex"))
    assert acme.root_render_func is not globex.root_render_func
    assert (acme.root_render_func.__globals__ is globex.root_render_func.__globals__) is fits
    assert acme.blocks.keys() == globex.blocks.keys()
    assert (acme.name, acme.filename, acme.debug_info) == (globex.name, globex.filename, globex.debug_info)


def test_an_error_in_a_template_is_told_with_its_own_lines(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_ENV", "testing")
    file = shop.template("page", "one\ntwo\n{{ 1 // nothing }}\n{% block a %}\n{{ none_such.x }}{% endblock %}")
    extension = shop.extension("def init_app(app):\n    app.jinja_env.globals['nothing'] = app.tenant.slug == 'none'\n")
    platform = shop.serve(extension)
    for slug in ("acme", "globex"):
        with pytest.raises(ZeroDivisionError) as told:
            client_of(platform, slug).get("/shop/page")
        lines = traceback.extract_tb(told.tb)
        assert (lines[-1].filename, lines[-1].lineno) == (str(file), 3)


def test_words_are_in_each_tenants_language(shop: Shop) -> None:
    shop.template("page", "{% trans %}Not found{% endtrans %}, {{ _('Busy') }}")
    platform = shop.serve(acme='languages = ["de"]')
    assert pages(platform, "page") == ["Nicht gefunden, Überlastet", "Not found, Busy"]
    assert is_shared(platform, "page")


def test_many_threads_at_once_get_their_own_pages(shop: Shop) -> None:
    shop.template("page", "{% for n in range(20) %}{{ 'x'|whose }},{% endfor %}")
    platform = shop.serve()
    start, found = threading.Barrier(8), []

    def ask(slug: str) -> None:
        client = client_of(platform, slug)
        start.wait()
        found.extend((slug, client.get("/shop/page").text) for _ in range(20))

    threads = [threading.Thread(target=ask, args=(slug,)) for slug in ("acme", "globex") * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 160
    assert set(found) == {("acme", "x of Acme," * 20), ("globex", "x of Globex," * 20)}


# ---- What is not shared ---------------------------------------------------------------------------------------------


def test_an_overlaid_template_reaches_no_other_tenant_and_is_not_kept(shop: Shop, write: Write) -> None:
    shop.template("page", "everybody's")
    write("tenants/acme/templates/shop/page.html", "the secret of acme")
    platform = shop.serve()
    assert pages(platform, "page") == ["the secret of acme", "everybody's"]
    assert not is_shared(platform, "page")
    assert "the secret of acme" not in repr(list(platform.template_code._codes))


def test_an_overlay_that_extends_what_is_shared(shop: Shop, write: Write) -> None:
    shop.template("base", "<{% block body %}{% endblock %}>")
    shop.template("page", "{% extends 'shop/base.html' %}{% block body %}all{% endblock %}")
    write("tenants/acme/templates/shop/base.html", "({% block body %}{% endblock %})")
    platform = shop.serve()
    assert pages(platform, "page") == ["(all)", "<all>"]
    assert is_shared(platform, "page")


@pytest.mark.parametrize(
    ("change", "acmes", "globexs"),
    [
        pytest.param("app.jinja_env.trim_blocks = True", "12 #", "1\n2 #", id="trimmed blocks"),
        pytest.param(
            "app.jinja_env.variable_start_string = '[['; app.jinja_env.variable_end_string = ']]'",
            "1\n{{ 1 + 1 }} #",
            "1\n2 #",
            id="other delimiters",
        ),
        pytest.param("app.jinja_env.line_comment_prefix = '#'", "1\n2", "1\n2 #", id="line comments"),
        pytest.param("app.jinja_env.finalize = lambda value: f'<{value}>'", "1\n<2> #", "1\n2 #", id="finalize"),
        pytest.param("app.jinja_env.autoescape = lambda name: app.tenant.slug", "1\n2 #", "1\n2 #", id="own escaping"),
        pytest.param("app.jinja_env.undefined = Loud", "1\n2 #", "1\n2 #", id="own undefined"),
        pytest.param("app.jinja_env.add_extension(Shout)", "1\nTWO #", "1\n2 #", id="own extension"),
        pytest.param("app.jinja_env.code_generator_class = Generator", "1\n2 #", "1\n2 #", id="own code generator"),
        pytest.param("app.jinja_env.getitem = lambda *a: 'acme'", "1\n2 #", "1\n2 #", id="a method of its own"),
        pytest.param("app.jinja_environment = Own", "1\n2 #", "1\n2 #", id="own environment class"),
    ],
)
def test_an_environment_that_compiles_otherwise_does_so_for_itself(
    shop: Shop, change: str, acmes: str, globexs: str
) -> None:
    shop.template("page", "{% if 1 %}1{% endif %}\n{{ 1 + 1 }} #")
    extension = shop.extension(f"""
        from flask.templating import Environment
        from jinja2 import Undefined
        from jinja2.compiler import CodeGenerator
        from jinja2.ext import Extension

        class Loud(Undefined): pass
        class Generator(CodeGenerator): pass
        class Own(Environment): pass
        class Shout(Extension):
            def preprocess(self, source, name, filename=None):
                return source.replace("{{{{ 1 + 1 }}}}", "TWO")

        def init_app(app):
            if app.tenant.slug == "acme":
                {change}
    """)
    platform = shop.serve(extension)
    assert pages(platform, "page") == [acmes, globexs]
    assert not is_shared(platform, "page")


def test_a_filter_of_one_tenant_is_unknown_to_the_other(shop: Shop) -> None:
    shop.template("page", "{{ 'x'|shout }}")
    extension = shop.extension("""
        def init_app(app):
            if app.tenant.slug == "acme":
                app.add_template_filter(str.upper, "shout")
            app.config["PROPAGATE_EXCEPTIONS"] = True
    """)
    platform = shop.serve(extension)
    assert client_of(platform, "acme").get("/shop/page").text == "X"
    with pytest.raises(TemplateSyntaxError, match="No filter named 'shout'"):
        client_of(platform, "globex").get("/shop/page")


def test_a_usual_filter_that_one_tenant_replaced_is_that_tenants(shop: Shop) -> None:
    shop.template("page", "{{ 'x'|upper }} {{ value|upper }}")
    extension = shop.extension("""
        from jinja2 import pass_context

        @pass_context
        def upper(context, value):
            return f"<{context['current_tenant'].title}>"

        def init_app(app):
            app.jinja_env.globals["value"] = "y"
            if app.tenant.slug == "acme":
                app.jinja_env.filters["upper"] = upper
            app.jinja_env.autoescape = False
    """)
    platform = shop.serve(extension)
    assert pages(platform, "page") == ["<Acme> <Acme>", "X Y"]


def test_templates_that_come_from_no_file_are_not_kept(shop: Shop) -> None:
    extension = shop.extension("""
        from jinja2 import DictLoader

        def init_app(app):
            app.jinja_loader = DictLoader({"shop/page.html": f"made for {app.tenant.slug}"})
    """)
    platform = shop.serve(extension)
    assert pages(platform, "page") == ["made for acme", "made for globex"]
    assert not is_shared(platform, "page")
    assert "made for" not in repr(list(platform.template_code._codes))


def test_a_cache_of_the_apps_own_is_used(shop: Shop) -> None:
    shop.template("page", "x")
    extension = shop.extension("""
        def init_app(app):
            app.jinja_options = {**app.jinja_options, "bytecode_cache": None, "cache_size": 7}
    """)
    platform = shop.serve(extension)
    app = platform.tenant_app("acme")
    cache: Any = app.jinja_env.cache
    assert app.jinja_env.bytecode_cache is None
    assert cache.capacity == 7
    assert pages(platform, "page") == ["x", "x"]


def test_jinja_options_of_one_tenant_are_not_anothers(shop: Shop) -> None:
    """On Flask they are one dict for all apps of a class."""
    shop.template("page", "{% if 1 %}\nx{% endif %}")
    extension = shop.extension("""
        def init_app(app):
            if app.tenant.slug == "acme":
                app.jinja_options["trim_blocks"] = True
    """)
    platform = shop.serve(extension)
    assert pages(platform, "page") == ["x", "\nx"]
    assert Flask.jinja_options == {}


# ---- Edits ----------------------------------------------------------------------------------------------------------


def test_in_development_an_edit_is_seen_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_ENV", "development")
    file = shop.template("page", "before {{ 1|whose }}")
    platform = shop.serve()
    assert pages(platform, "page") == ["before 1 of Acme", "before 1 of Globex"]
    file.write_text("after {{ 1|whose }}")
    os.utime(file, (1, 1))  # whatever the clock's grain, it is another time
    assert pages(platform, "page") == ["after 1 of Acme", "after 1 of Globex"]
    assert is_shared(platform, "page")


def test_in_production_an_edit_is_seen_by_content_in_apps_that_are_built_after_it(shop: Shop) -> None:
    file = shop.template("page", "before")
    platform = shop.serve()
    assert pages(platform, "page") == ["before", "before"]
    stat = file.stat()
    file.write_text("after!")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size and time: content alone tells
    assert pages(platform, "page") == ["before", "before"]
    platform.live.drop(platform.tenant_app("globex"))
    platform.live.drop(platform.tenant_app("acme"))
    assert pages(platform, "page") == ["after!", "after!"]


def test_watching_that_is_switched_on_later_sees_edits_from_then_on(shop: Shop) -> None:
    file = shop.template("page", "before")
    platform = shop.serve()
    assert pages(platform, "page") == ["before", "before"]
    platform.tenant_app("acme").debug = True
    for text in ("after", "later"):
        file.write_text(text)
        os.utime(file, (len(text), ord(text[0])))
        assert pages(platform, "page") == [text, "before"]


def test_templates_of_one_tenant_do_not_pile_up(shop: Shop) -> None:
    extension = shop.extension("""
        from jinja2 import FunctionLoader

        def init_app(app):
            app.jinja_loader = FunctionLoader(lambda name: name)
    """)
    platform = shop.serve(extension)
    app = platform.tenant_app("acme")
    for number in range(1000):
        assert app.jinja_env.get_template(f"made{number}").render() == f"made{number}"
    assert len(app.jinja_env.cache or ()) <= 400


def test_a_mistake_is_told_with_its_line_and_nothing_is_kept(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_ENV", "testing")
    file = shop.template("page", "one\n{% if %}")
    platform = shop.serve()
    with pytest.raises(TemplateSyntaxError) as told:
        client_of(platform, "acme").get("/shop/page")
    assert (told.value.lineno, told.value.filename) == (2, str(file))
    assert len(platform.template_code) == 0


def test_only_so_many_are_kept(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_code, "_KEPT", 3)
    for number in range(5):
        shop.template(f"page{number}", f"{number}")
    platform = shop.serve()
    for number in (0, 1, 2, 0, 3):
        client_of(platform, "acme").get(f"/shop/page{number}")
        platform.live.drop(platform.tenant_app("acme"))
    assert [key[3] for key in platform.template_code._codes] == ["2", "0", "3"]  # type: ignore[index]


# ---- What is used of Jinja although it is not public: a release that changes it is told here ------------------------


def test_all_settings_of_an_environment_are_taken_into_account() -> None:
    elsewhere = {"extensions", "is_async", "finalize", "autoescape", "filters", "tests", "policies"}
    not_compiled = {"globals", "loader", "cache", "bytecode_cache", "auto_reload"}
    assert set(vars(Environment())) == {*template_code._SETTINGS, *elsewhere, *not_compiled}


def test_jinjas_compiler_asks_an_environment_for_nothing_else() -> None:
    asked = {
        name
        for module in (compiler, lexer, parser)
        for name in re.findall(r"(?<![\"'{} ]{2})(?<!f\")\benvironment\.([a-z_]+)", inspect.getsource(module))
    }
    written = {"getattr", "getitem", "get_template", "call", "call_binop", "call_unop", "concat", "finalize"}
    ours = {*template_code._SETTINGS, "is_async", "filters", "tests", "code_generator_class", "iter_extensions"}
    assert asked - ours - written <= {"_tokenize", "sandboxed", "intercepted_binops", "intercepted_unops"}
    assert Environment.sandboxed is False
    policies = set(re.findall(r"policies\[\"([^\"]+)", inspect.getsource(compiler) + inspect.getsource(jinja2.ext)))
    assert policies == {template_code._TRIMMED}


@pytest.mark.parametrize(
    "text", ["{{ 'x'|f }}", "{{ 'x' is f }}", "{% set a = 'x'|f %}", "{% if 'x' is f %}{% endif %}", "{{ ['x'|f] }}"]
)
def test_jinja_calls_a_filter_while_it_compiles_unless_it_refuses(text: str) -> None:
    called: list[str] = []
    environment = Environment()
    environment.filters["f"] = environment.tests["f"] = lambda value: called.append(value) or True  # type: ignore[assignment]
    environment.compile(text)
    assert called, "Jinja folds no constants any more here: template_code may be simpler"
    called.clear()
    template_code._unseeing(environment).compile(text)
    assert not called


def test_a_filter_that_refuses_leaves_the_work_to_the_page() -> None:
    with pytest.raises(nodes.Impossible):
        template_code._uncallable(str.upper)("x")
    environment = Environment(undefined=StrictUndefined)
    compiled = template_code._unseeing(environment).compile("{{ 'x'|upper }}{{ 'a' is eq 'a' }}")
    template = jinja2.Template.from_code(environment, compiled, environment.globals)  # type: ignore[arg-type]
    assert template.render() == "XTrue"


def test_what_jinja_compiles_a_template_to() -> None:
    code = Environment().compile("{% block a %}{% endblock %}", "page.html", "page.html")
    template = jinja2.Template.from_code(Environment(), code, {})
    for function in (template.root_render_func, *template.blocks.values()):
        assert str(inspect.signature(function)).startswith("(context, missing=missing, environment=<jinja2.")
    assert set(template.root_render_func.__globals__) >= {"name", "__file__", "blocks", "root", "debug_info"}
    source = inspect.getsource(jinja2.Template._from_namespace)
    asked = set(re.findall(r"namespace\[\"(\w+)\"\]", source))
    assert asked == {"name", "__file__", "blocks", "root", "debug_info", "environment", "__jinja_template__"}
    assert "_from_namespace(environment, module_dict, globals)" in inspect.getsource(jinja2.Template.from_module_dict)


def test_how_jinja_asks_its_bytecode_cache() -> None:
    source = inspect.getsource(jinja2.BaseLoader.load)
    assert "bcc.get_bucket(environment, name, filename, source)" in source
    assert source.index("bucket.code") < source.index("environment.compile") < source.index("from_code")


def test_how_flask_chooses_what_to_escape() -> None:
    """The choice looks at the template's name alone, which is part of what shared code is known by."""
    app = TenantApp("tenantry")
    code = type(app).select_jinja_autoescape.__code__
    assert code.co_varnames[: code.co_argcount] == ("self", "filename")
    assert set(code.co_names) == {"endswith"}
