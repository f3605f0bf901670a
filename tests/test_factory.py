"""The factory: what each tenant's app is made of, and that nothing of it reaches another's."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT, environ_without_tenantry
from tenantry import Platform, TenantApp, create_app
from tenantry.errors import BadSetup, ImportFailed, TenantUnavailable
from tenantry.keys import KeyRing
from tenantry.testing import TWO_TENANTS, client_of, make_platform

Write = Callable[[str, str], Path]

SHOP = """
    from flask import Blueprint, current_app, render_template, url_for

    bp = Blueprint("shop", __name__, url_prefix="/shop", template_folder="templates", static_folder="static")

    @bp.get("/")
    def index():
        return render_template("shop/index.html")

    @bp.get("/config/<key>")
    def config(key):
        return {"value": current_app.config.get(key)}

    @bp.get("/links")
    def links():
        return {"inside": url_for("shop.index"), "outside": url_for("shop.index", _external=True)}
"""


@pytest.fixture
def shop(write: Write, package: str) -> str:
    write(f"{package}/shop/__init__.py", SHOP)
    write(f"{package}/shop/templates/shop/index.html", "the shop of {{ current_tenant.title }}")
    write(f"{package}/shop/static/a.txt", "shared a")
    write(f"{package}/shop/static/b.txt", "shared b")
    return package


def toml(package: str, acme: str = "", platform: str = "", more: str = "") -> str:
    return f"""
[platform]
blueprints = "{package}"
{platform}
[tenants.acme]
title = "Acme"
path = "/acme"
{acme}
[tenants.globex]
title = "Globex"
hosts = ["globex.localhost"]
{more}
"""


def make(tmp_path: Path, *parts: str, **named: str) -> Platform:
    return make_platform(tmp_path, toml(*parts, **named))


def failure(platform: Platform, slug: str = "acme") -> str:
    with pytest.raises(TenantUnavailable) as caught:
        platform.tenant_app(slug)
    return str(caught.value)


def test_create_app_takes_a_slug_or_a_tenant(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_CONFIG", str(site / "tenants.toml"))
    by_slug = create_app("acme")
    assert isinstance(by_slug, TenantApp)
    assert by_slug.platform.registry["acme"].title == by_slug.tenant.title == "Acme Corp"
    by_tenant = create_app(by_slug.platform.registry["globex"])
    assert by_tenant.tenant.slug == "globex"
    assert by_tenant.test_client().get("/").status_code == 200


def test_each_tenant_has_an_app_of_its_own_that_knows_its_platform(tmp_path: Path, shop: str) -> None:
    platform = make(tmp_path, shop)
    acme, globex = platform.tenant_app("acme"), platform.tenant_app("globex")
    assert acme is not globex
    assert acme.platform is globex.platform is platform
    assert acme.tenant.deed != globex.tenant.deed
    for name in ("config", "extensions", "jinja_env", "url_map", "view_functions", "signer", "logger"):
        assert getattr(acme, name) is not getattr(globex, name)
    assert acme.blueprints["shop"] is globex.blueprints["shop"]


def test_secret_keys_differ(tmp_path: Path, shop: str) -> None:
    platform = make(tmp_path, shop)
    keys = {platform.tenant_app(slug).secret_key for slug in platform.registry}
    assert len(keys) == 2
    assert all(isinstance(key, str) and len(key) == 64 for key in keys)


def test_configuration_is_the_tenants_own(tmp_path: Path, shop: str) -> None:
    platform = make(tmp_path, shop, 'config = { GREETING = "hi" }\nlimits = { upload_mb = 3 }')
    assert client_of(platform, "acme").get("/shop/config/GREETING").json == {"value": "hi"}
    assert client_of(platform, "globex").get("/shop/config/GREETING").json == {"value": None}
    assert platform.tenant_app("acme").config["MAX_CONTENT_LENGTH"] == 3 * 1024 * 1024


def test_lists_in_the_defaults_are_each_apps_own(tmp_path: Path, shop: str) -> None:
    text = toml(shop).replace("[tenants.acme]", '[defaults.config]\nALLOWED = ["a"]\n[tenants.acme]')
    platform = make_platform(tmp_path, text)
    platform.tenant_app("acme").config["ALLOWED"].append("b")
    assert platform.tenant_app("globex").config["ALLOWED"] == ["a"]


def test_a_setting_may_name_the_tenants_own_folder(tmp_path: Path, shop: str) -> None:
    text = toml(shop).replace(
        "[tenants.acme]",
        '[defaults.config]\nDATABASE = "{instance_path}/shop.sqlite"\nCACHE = { PREFIX = "{slug}:", ALL = ["{slug}"] }\n[tenants.acme]',
    )
    platform = make_platform(tmp_path, text)
    for slug in ("acme", "globex"):
        app = platform.tenant_app(slug)
        assert app.config["DATABASE"] == str(tmp_path / "var" / "tenants" / slug / "instance" / "shop.sqlite")
        assert Path(app.config["DATABASE"]).parent.is_dir()
        assert app.config["CACHE"] == {"PREFIX": f"{slug}:", "ALL": [slug]}


def test_a_rotation_reaches_an_app_whose_requests_sign_nothing(
    tmp_path: Path, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = make(tmp_path, shop)
    client = client_of(platform, "acme")
    before = client.get("/shop/config/SECRET_KEY").get_json()["value"]
    KeyRing(platform.keys.path).rotate()  # as the operator's command does, in another process
    monkeypatch.setattr("tenantry.keys.HEAD_START", 0)
    deadline = time.monotonic() + 15
    while client.get("/shop/config/SECRET_KEY").get_json()["value"] == before:
        assert time.monotonic() < deadline, "the new key was never taken up"
        time.sleep(0.1)


def test_a_rotation_renews_the_keys_of_live_apps(tmp_path: Path, shop: str) -> None:
    own = "0123456789abcdefghijklmnopqrstuvwxyz"
    platform = make(tmp_path, shop, more=f'config = {{ SECRET_KEY = "{own}" }}')
    acme, globex = platform.tenant_app("acme"), platform.tenant_app("globex")
    before = acme.secret_key
    platform.keys.rotate(verify_days=0)
    platform.keys.active()
    assert acme.secret_key != before
    assert acme.config["SECRET_KEY_FALLBACKS"] == []
    assert globex.secret_key == own
    assert platform.tenant_app("acme") is acme


def test_two_blueprints_of_one_name_in_a_list_are_refused(tmp_path: Path, shop: str, write: Write) -> None:
    write(f"{shop}/other/__init__.py", "from flask import Blueprint\nbp = Blueprint('shop', __name__)\n")
    text = toml("x").replace('"x"', f'["{shop}.shop:bp", "{shop}.other:bp"]')
    assert "Two blueprints are called 'shop'" in failure(make_platform(tmp_path, text))


def test_migrations_of_a_listed_blueprint_are_found_beside_its_module(
    tmp_path: Path, write: Write, package: str
) -> None:
    write(f"{package}/views.py", "from flask import Blueprint\nbp = Blueprint('views', __name__)\n")
    write(f"{package}/migrations/x.py", "")
    platform = make_platform(tmp_path, toml("x").replace('"x"', f'["{package}.views:bp"]'))
    assert platform.blueprints.folders("migrations") == (tmp_path / package / "migrations",)
    write(f"{package}/migrations/env.py", "")  # the application's own Alembic
    assert platform.blueprints.folders("migrations") == ()


@pytest.mark.parametrize(("name", "testing"), [("production", False), ("development", False), ("testing", True)])
def test_environments(tmp_path: Path, shop: str, monkeypatch: pytest.MonkeyPatch, name: str, testing: bool) -> None:
    monkeypatch.setenv("TENANTRY_ENV", name)
    app = make(tmp_path, shop).tenant_app("acme")
    assert app.testing is testing
    assert app.debug is False
    assert bool(app.config["TEMPLATES_AUTO_RELOAD"]) is (name == "development")


def test_production_never_debugs_whatever_flask_debug_says(tmp_path: Path, shop: str) -> None:
    make(tmp_path, shop)
    code = "from tenantry import create_app; print(create_app('acme').debug)"
    environment = {**environ_without_tenantry(), "FLASK_DEBUG": "1", "TENANTRY_CONFIG": str(tmp_path / "tenants.toml")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_features_choose_the_blueprints_and_their_order(tmp_path: Path, shop: str, write: Write) -> None:
    write(f"{shop}/about/__init__.py", "from flask import Blueprint\nbp = Blueprint('about', __name__)\n")
    platform = make(tmp_path, shop, 'features = ["shop"]', more='features = ["shop", "about"]')
    assert [name for name in platform.tenant_app("acme").blueprints if name != "tenantry"] == ["shop"]
    assert [name for name in platform.tenant_app("globex").blueprints if name != "tenantry"] == ["shop", "about"]
    assert client_of(platform, "acme").get("/about/").status_code == 404


def test_an_unknown_feature_is_told_with_the_nearest(tmp_path: Path, shop: str) -> None:
    platform = make(tmp_path, shop, 'features = ["shopp"]')
    assert failure(platform) == (
        "Tenant 'acme' cannot be served: There is no blueprint for the feature 'shopp'; did you mean 'shop'?"
    )
    assert platform.tenant_app("globex")


def test_a_blueprint_factory_makes_one_for_each_tenant(tmp_path: Path, write: Write, package: str) -> None:
    write(
        f"{package}/own/__init__.py",
        """
        from flask import Blueprint

        def create_blueprint(tenant):
            bp = Blueprint("own", __name__)
            bp.add_url_rule("/", view_func=lambda: f"made for {tenant.slug}", endpoint="index")
            return bp
        """,
    )
    platform = make(tmp_path, package)
    assert client_of(platform, "acme").get("/").text == "made for acme"
    assert client_of(platform, "globex").get("/").text == "made for globex"
    assert platform.tenant_app("acme").blueprints["own"] is not platform.tenant_app("globex").blueprints["own"]


def test_a_list_of_import_strings_instead_of_a_package(tmp_path: Path, shop: str) -> None:
    text = toml("x").replace('"x"', f'["{shop}.shop:bp"]')
    platform = make_platform(tmp_path, text)
    assert client_of(platform, "acme").get("/shop/").text == "the shop of Acme"


def test_an_existing_flask_application_comes_unchanged(tmp_path: Path, write: Write, package: str) -> None:
    """A package as Flask's tutorial has it: blueprints, init_app, templates and static files of the app's package."""
    write(
        f"{package}/__init__.py",
        """
        from flask import Flask

        def create_app():
            from . import auth, store
            app = Flask(__name__)
            app.config.update(SECRET_KEY="dev", SQLALCHEMY_DATABASE_URI="sqlite:///app.sqlite")
            store.store.init_app(app)
            store.init_app(app)
            app.register_blueprint(auth.bp)
            return app
        """,
    )
    write(
        f"{package}/store.py",
        """
        from flask_sqlalchemy import SQLAlchemy

        store = SQLAlchemy()

        class User(store.Model):
            id = store.Column(store.Integer, primary_key=True)
            name = store.Column(store.String, unique=True)

        def init_app(app):
            @app.cli.command("init-db")
            def init_db():
                store.create_all()

            with app.app_context():
                store.create_all()
        """,
    )
    write(
        f"{package}/auth.py",
        """
        from flask import Blueprint, abort, flash, g, redirect, render_template, request, session, url_for
        from .store import User, store

        bp = Blueprint("auth", __name__, url_prefix="/auth")

        @bp.before_app_request
        def load_user():
            g.user = store.session.get(User, session["user"]) if "user" in session else None

        @bp.route("/register", methods=("GET", "POST"))
        def register():
            if request.method == "POST":
                user = User(name=request.form["name"])
                store.session.add(user)
                store.session.commit()
                session["user"] = user.id
                flash("Welcome")
                return redirect(url_for("auth.me"))
            return render_template("register.html")

        @bp.route("/me")
        def me():
            if g.user is None:
                abort(403)
            return render_template("me.html", navigation="mine")

        @bp.app_errorhandler(404)
        def not_found(error):
            return "no such page of mine", 404
        """,
    )
    write(
        f"{package}/templates/base.html",
        "<link href='{{ url_for('static', filename='style.css') }}'>{% block b %}{% endblock %}",
    )
    write(
        f"{package}/templates/register.html", "{% extends 'base.html' %}{% block b %}<form method=post>{% endblock %}"
    )
    write(
        f"{package}/templates/me.html",
        "{% extends 'base.html' %}{% block b %}{{ g.user.name }} {{ navigation }} {{ get_flashed_messages() }}{% endblock %}",
    )
    write(f"{package}/static/style.css", "body {}")
    platform = make_platform(
        tmp_path,
        f"""
        [platform]
        package = "{package}"
        blueprints = ["{package}.auth:bp"]
        extensions = ["{package}.store:store.init_app", "{package}.store:init_app"]
        [defaults.config]
        SQLALCHEMY_DATABASE_URI = "sqlite:///app.sqlite"
        [tenants.acme]
        path = "/acme"
        [tenants.globex]
        hosts = ["globex.localhost"]
        """,
    )
    acme, globex = client_of(platform, "acme"), client_of(platform, "globex")
    assert "<form" in acme.get("/auth/register").text
    answer = acme.post("/auth/register", data={"name": "Ann"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/acme/auth/me")
    me = acme.get("/auth/me").text
    assert "Ann mine [&#39;Welcome&#39;]" in me
    assert "href='/acme/static/style.css'" in me
    assert acme.get("/static/style.css").text == "body {}"
    assert globex.get("/auth/me").status_code == 403
    assert globex.post("/auth/register", data={"name": "Ann"}).status_code == 302  # a database of its own
    assert acme.get("/nowhere").text == "no such page of mine"
    for slug in ("acme", "globex"):
        assert (tmp_path / "var" / "tenants" / slug / "instance" / "app.sqlite").is_file()
        with platform.tenant(slug):
            platform.tenant_app(slug).extensions["sqlalchemy"].engine.dispose()


def test_extensions_are_run_for_every_tenant_and_see_its_configuration(tmp_path: Path, shop: str, write: Write) -> None:
    write(
        f"{shop}_ext.py",
        """
        class Greeter:
            def init_app(self, app):
                app.extensions["greeter"] = app.config.get("GREETING", "none")

        greeter = Greeter()
        """,
    )
    platform = make(tmp_path, shop, 'config = { GREETING = "hi" }', f'extensions = ["{shop}_ext:greeter.init_app"]')
    assert platform.tenant_app("acme").extensions["greeter"] == "hi"
    assert platform.tenant_app("globex").extensions["greeter"] == "none"


def test_overlays_of_templates_and_static_files(tmp_path: Path, shop: str, write: Write) -> None:
    write("tenants/acme/templates/shop/index.html", "Acme's own shop, {{ current_tenant.title }}")
    write("tenants/acme/static/shop/a.txt", "Acme's a")
    write("tenants/acme/static/logo.txt", "Acme's logo")
    platform = make(tmp_path, shop)
    acme, globex = client_of(platform, "acme"), client_of(platform, "globex")
    assert acme.get("/shop/").text == "Acme's own shop, Acme"
    assert globex.get("/shop/").text == "the shop of Globex"
    assert acme.get("/shop/static/a.txt").text == "Acme's a"
    assert acme.get("/shop/static/b.txt").text == "shared b"
    assert globex.get("/shop/static/a.txt").text == "shared a"
    assert acme.get("/static/logo.txt").text == "Acme's logo"
    assert globex.get("/static/logo.txt").status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "../templates/shop/index.html",
        "..%2ftemplates%2fshop%2findex.html",
        "/etc/passwd",
        "....//x",
        "a.txt/../../x",
        "shop",
    ],
)
def test_row_28_static_names_lead_nowhere_else(tmp_path: Path, shop: str, write: Write, name: str) -> None:
    write("tenants/acme/templates/shop/index.html", "secret of Acme")
    write("tenants/acme/static/shop/a.txt", "a")
    platform = make(tmp_path, shop)
    for prefix in ("/static/", "/shop/static/"):
        answer = client_of(platform, "acme").get(prefix + name)
        assert answer.status_code in (400, 404)
        assert "secret" not in answer.text


def test_a_link_out_of_the_overlay_is_the_operators_to_make_and_no_visitors(
    tmp_path: Path, shop: str, write: Write
) -> None:
    write("tenants/globex/static/mine.txt", "Globex's")
    write("tenants/acme/static/own.txt", "Acme's")
    acme = client_of(make(tmp_path, shop), "acme")
    assert acme.get("/static/own.txt").status_code == 200
    assert acme.get("/static/mine.txt").status_code == 404


def test_one_view_replaced_by_endpoint(tmp_path: Path, shop: str, write: Write) -> None:
    write("tenants/acme/views.py", "def index():\n    return 'Acme own view'\n")
    platform = make(tmp_path, shop, 'overrides = { "shop.index" = "tenants.acme.views:index" }')
    sys.modules.pop("tenants", None)
    sys.modules.pop("tenants.acme", None)
    try:
        assert client_of(platform, "acme").get("/shop/").text == "Acme own view"
        assert client_of(platform, "globex").get("/shop/").text == "the shop of Globex"
    finally:
        for name in [name for name in sys.modules if name == "tenants" or name.startswith("tenants.")]:
            del sys.modules[name]


@pytest.mark.parametrize(
    ("acme", "message"),
    [
        pytest.param(
            'overrides = { "shop.indx" = "json:loads" }',
            "overrides names the endpoint 'shop.indx', which there is not; did you mean 'shop.index'?",
            id="no such endpoint",
        ),
        pytest.param(
            'overrides = { "shop.index" = "json:load_" }',
            "'json:load_' cannot be imported: 'json' has no 'load_'; did you mean 'load'?",
            id="no such attribute",
        ),
        pytest.param(
            'overrides = { "shop.index" = "jsonn.views:index" }',
            "'jsonn.views' cannot be imported: there is no module 'jsonn'",
            id="no such module",
        ),
        pytest.param(
            'overrides = { "shop.index" = "json:__doc__" }',
            "overrides gives 'json:__doc__' for 'shop.index', which is not a view function",
            id="no view",
        ),
    ],
)
def test_overrides_that_do_not_fit(tmp_path: Path, shop: str, acme: str, message: str) -> None:
    platform = make(tmp_path, shop, acme)
    assert failure(platform) == f"Tenant 'acme' cannot be served: {message}"
    assert client_of(platform, "acme").get("/shop/").status_code == 503
    assert client_of(platform, "globex").get("/shop/").status_code == 200


def test_an_overlay_with_a_bad_template_is_told_with_its_line(tmp_path: Path, shop: str, write: Write) -> None:
    path = write("tenants/acme/templates/shop/index.html", "fine\n{% if %}\n")
    platform = make(tmp_path, shop)
    assert failure(platform) == (
        f"Tenant 'acme' cannot be served: The template {path}, line 2, is not valid: "
        "Expected an expression, got 'end of statement block'"
    )
    assert client_of(platform, "globex").get("/shop/").status_code == 200


def test_an_overlay_with_an_unknown_filter_is_told(tmp_path: Path, shop: str, write: Write) -> None:
    write("tenants/acme/templates/shop/index.html", "{{ 1 | nosuch }}")
    assert "line 1, is not valid: No filter named 'nosuch'." in failure(make(tmp_path, shop))


def test_an_editors_hidden_files_in_an_overlay_are_nobodys_business(tmp_path: Path, shop: str, write: Write) -> None:
    write("tenants/acme/templates/shop/.index.html.swp", "").write_bytes(b"\xff\x00{%")
    assert client_of(make(tmp_path, shop), "acme").get("/shop/").status_code == 200


def test_an_overlay_that_is_not_utf_8_is_told(tmp_path: Path, shop: str, write: Write) -> None:
    path = write("tenants/acme/templates/shop/index.html", "")
    path.write_bytes(b"\xff\xfe")
    assert f"The template {path} cannot be read" in failure(make(tmp_path, shop))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param("raise ValueError('no luck')", "ValueError: no luck (", id="raises"),
        pytest.param("def (", "SyntaxError: ", id="syntax"),
        pytest.param("import nothing_like_it", "ModuleNotFoundError: No module named 'nothing_like_it'", id="imports"),
        pytest.param("import sys; sys.exit(3)", "SystemExit: 3", id="exits"),
        pytest.param(
            "x = 1",
            "has nothing to register; expected a Blueprint called bp, or create_blueprint(tenant)",
            id="has none",
        ),
    ],
)
def test_a_blueprint_that_cannot_be_imported_takes_only_its_users_down(
    tmp_path: Path, shop: str, write: Write, source: str, message: str
) -> None:
    write(f"{shop}/broken/__init__.py", source)
    platform = make(tmp_path, shop, 'features = ["shop", "broken"]', more='features = ["shop"]')
    assert message in failure(platform)
    assert f"{shop}.broken" in failure(platform)
    answer = client_of(platform, "acme").get("/shop/")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert "no luck" not in answer.text
    assert client_of(platform, "globex").get("/shop/").status_code == 200


def test_a_package_that_is_not_there(tmp_path: Path) -> None:
    assert "'nowhere' cannot be imported: there is no module 'nowhere'" in failure(make(tmp_path, "nowhere"))
    assert "'json.decoder' cannot be imported: it is a module; expected a package" in failure(
        make(tmp_path, "json.decoder")
    )


def test_an_extension_that_cannot_be_called_or_found(tmp_path: Path, shop: str) -> None:
    platform = make(tmp_path, shop, platform='extensions = ["json:__doc__"]')
    assert "extensions names 'json:__doc__', which cannot be called" in failure(platform)
    with pytest.raises(ImportFailed, match="there is no module"):
        create_app(make(tmp_path, shop, platform='extensions = ["no.such:thing"]').registry["acme"])


def test_a_bad_setup_is_an_error_of_ours(tmp_path: Path, shop: str) -> None:
    with pytest.raises(BadSetup):
        create_app(make(tmp_path, shop, 'features = ["x"]').registry["acme"])


def test_links_outside_a_request_lead_to_the_canonical_door(tmp_path: Path, shop: str) -> None:
    from flask import url_for

    platform = make(tmp_path, shop, more='path = "/globex"')
    with platform.tenant("acme"):
        assert url_for("shop.index") == "http://localhost/acme/shop/"
        assert url_for("shop.index", _external=False) == "/acme/shop/"
    with platform.tenant("globex"):
        assert url_for("shop.index") == "http://globex.localhost/shop/"


def test_links_inside_a_request_stay_at_its_door(tmp_path: Path, shop: str) -> None:
    platform = make(tmp_path, shop, more='path = "/globex"')
    by_host, by_path = client_of(platform, "globex"), client_of(platform, "globex", by_path=True)
    assert by_host.get("/shop/links").json == {"inside": "/shop/", "outside": "http://globex.localhost/shop/"}
    assert by_path.get("/shop/links").json == {"inside": "/globex/shop/", "outside": "http://localhost/globex/shop/"}


def test_loggers_are_the_tenants_own(tmp_path: Path, shop: str, caplog: pytest.LogCaptureFixture) -> None:
    platform = make(tmp_path, shop)
    acme, globex = platform.tenant_app("acme"), platform.tenant_app("globex")
    assert (acme.logger.name, globex.logger.name) == ("tenantry.acme", "tenantry.globex")
    acme.logger.setLevel(logging.DEBUG)
    assert not globex.logger.isEnabledFor(logging.DEBUG)
    acme.logger.setLevel(logging.NOTSET)


def test_flasks_own_command_line(tmp_path: Path) -> None:
    (tmp_path / "tenants.toml").write_text(TWO_TENANTS)
    environment = {**environ_without_tenantry(), "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(ROOT)])}
    command = [sys.executable, "-m", "flask", "--app", 'tenantry:create_app("acme")', "routes"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "help.index" in done.stdout
    assert "demo.add" in done.stdout


def test_a_list_or_table_of_the_configuration_is_never_two_tenants(tmp_path: Path, package: str, write: Write) -> None:
    """Equal configuration is one object in the registry, so it is immutable there, and a copy in each app."""
    write(f"{package}/nothing.py", "from flask import Blueprint\nbp = Blueprint('nothing', __name__)\n")
    more = "[defaults.config]\nLIST = [1, { A = [2] }]\nTABLE = { B = { C = 3 } }\n"
    platform = make_platform(tmp_path, toml(package) + more)
    acme = platform.tenant_app("acme")
    with pytest.raises(AttributeError):
        acme.tenant.config["LIST"].append("acme's")
    with pytest.raises(TypeError):
        acme.tenant.config["LIST"][1]["A"] = "acme's"
    with pytest.raises(TypeError):
        acme.tenant.config["TABLE"]["B"]["C"] = "acme's"
    acme.config["LIST"].append("acme's")
    acme.config["LIST"][1]["A"].append("acme's")
    acme.config["TABLE"]["B"]["C"] = "acme's"
    globex = platform.tenant_app("globex")
    assert globex.config["LIST"] == [1, {"A": [2]}]
    assert globex.config["TABLE"] == {"B": {"C": 3}}
    platform.live.drop(acme)
    assert platform.tenant_app("acme").config["LIST"] == [1, {"A": [2]}]


def test_what_an_extension_does_to_the_session_interface_is_that_tenants(tmp_path: Path, package: str) -> None:
    platform = make_platform(tmp_path, toml(package))
    acme, globex = platform.tenant_app("acme"), platform.tenant_app("globex")
    acme.session_interface.get_cookie_samesite = lambda app: "None"  # type: ignore[method-assign]
    assert globex.session_interface.get_cookie_samesite(globex) == "Lax"
