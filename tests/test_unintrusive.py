"""What the platform adds must not take anything away: an app's own handlers, hooks, names and settings come first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import pytest
from flask import Flask, g, jsonify
from flask.json.tag import JSONTag
from sqlalchemy import text
from werkzeug.exceptions import HTTPException, NotFound

from tenantry import TenantApp, current_language, db, use_language
from tenantry.testing import client_of, make_platform


@pytest.fixture
def app(tmp_path: Path, package: str) -> TenantApp:
    toml = (
        f'[platform]\nblueprints = "{package}"\n[tenants.acme]\nhosts = ["acme.localhost"]\nlanguages = ["en", "de"]\n'
    )
    return make_platform(tmp_path, toml).tenant_app("acme")


def get(app: Flask, path: str = "/") -> Any:
    return app.test_client().get(path)


def view(app: Flask, function: Callable[..., Any], path: str = "/", **options: Any) -> None:
    app.add_url_rule(path, view_func=function, endpoint="view", **options)


def test_our_page_where_nobody_else_made_one(app: TenantApp) -> None:
    answer = get(app, "/nothing")
    assert answer.status_code == 404
    assert "tenantry.css" in answer.text


@pytest.mark.parametrize("kind", [HTTPException, Exception, 404, NotFound])
def test_a_blueprints_own_error_handler_wins(app: TenantApp, kind: Any) -> None:
    bp = flask.Blueprint("api", __name__, url_prefix="/api")
    bp.register_error_handler(kind, lambda error: (jsonify(error=error.code), error.code))
    bp.add_url_rule("/", view_func=lambda: flask.abort(404), endpoint="index")
    app.register_blueprint(bp)
    assert get(app, "/api/").json == {"error": 404}


@pytest.mark.parametrize("kind", [HTTPException, Exception, 404, 500])
def test_an_apps_handler_that_comes_later_wins(app: TenantApp, kind: Any) -> None:
    app.register_error_handler(kind, lambda error: ("theirs", 418))
    view(app, lambda: 1 / 0, "/boom")
    assert get(app, "/boom" if kind == 500 else "/nothing").text == "theirs"


def test_an_error_that_carries_its_response_keeps_it(app: TenantApp) -> None:
    carried = flask.Response("carried", 404)
    view(app, lambda: flask.abort(carried))
    assert get(app).text == get(app).text == "carried"


def test_an_error_with_a_body_of_its_own_keeps_it(app: TenantApp) -> None:
    class Own(NotFound):
        def get_body(self, environ: Any = None, scope: Any = None) -> str:
            return "own body"

    def raising() -> None:
        raise Own

    view(app, raising)
    assert get(app).text == "own body"


def test_what_an_error_says_is_shown_and_escaped(app: TenantApp) -> None:
    view(app, lambda: flask.abort(403, "You need the role <editor>"))
    assert "You need the role &lt;editor&gt;" in get(app).text


@pytest.mark.parametrize("setting", ["TRAP_HTTP_EXCEPTIONS", "TRAP_BAD_REQUEST_ERRORS"])
def test_trapping_works(app: TenantApp, setting: str) -> None:
    app.config[setting] = True
    app.testing = True
    view(app, lambda: flask.request.form["missing"])
    with pytest.raises(HTTPException):
        get(app)


@pytest.mark.parametrize("where", ["context processor", "url defaults"])
def test_a_page_that_cannot_be_made_answers_plainly(app: TenantApp, where: str) -> None:
    def fail(*values: Any) -> Any:
        raise ValueError("inside the page")

    if where == "context processor":
        app.context_processor(fail)
    else:
        app.url_defaults(fail)
    answer = get(app, "/nothing")
    assert answer.status_code == 404
    assert "inside the page" not in answer.text
    view_answer = get(app, "/nothing/else")
    assert view_answer.status_code == 404


def test_a_request_that_was_refused_before_it_was_routed(app: TenantApp) -> None:
    app.config["TRUSTED_HOSTS"] = ["other.example"]
    assert get(app).status_code == 400


def test_g_is_the_applications(app: TenantApp) -> None:
    class Own:
        pass

    app.app_ctx_globals_class = Own  # type: ignore[assignment]

    def index() -> str:
        g.language = object()
        db.session.execute(text("SELECT 1"))
        return current_language()

    view(app, index)
    assert get(app).text == "en"
    assert app.platform.databases.lent == 0


def test_a_language_is_one_of_the_tenants(app: TenantApp) -> None:
    with app.app_context():
        use_language("de")
        assert current_language() == "de"
        with pytest.raises(
            ValueError, match=r"'\.\./\.\./etc' is not a language of this tenant; expected one of en, de"
        ):
            use_language("../../etc")


def test_work_is_undone_even_if_an_extension_took_the_error_handling_over(app: TenantApp) -> None:
    def index() -> str:
        db.session.execute(text("CREATE TABLE kept (n INTEGER)"))
        raise RuntimeError("after the write")

    app.handle_user_exception = lambda e: flask.Response("handled", 500)  # type: ignore[method-assign]
    view(app, index, methods=["POST"])
    assert app.test_client().post("/").text == "handled"
    with app.app_context():
        assert db.session.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 'kept'")) == 0


def test_work_of_a_hook_that_raises_is_undone(app: TenantApp) -> None:
    @app.before_request
    def write_and_fail() -> None:
        db.session.execute(text("CREATE TABLE kept (n INTEGER)"))
        flask.abort(403)

    view(app, lambda: "", methods=["POST"])
    assert app.test_client().post("/").status_code == 403
    with app.app_context():
        assert db.session.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 'kept'")) == 0


def test_session_tags_of_the_application(app: TenantApp) -> None:
    class TagComplex(JSONTag):
        __slots__ = ()
        key = " c"

        def check(self, value: Any) -> bool:
            return isinstance(value, complex)

        def to_json(self, value: Any) -> Any:
            return [value.real, value.imag]

        def to_python(self, value: Any) -> Any:
            return complex(*value)

    serializer: Any = app.session_interface.serializer  # type: ignore[attr-defined]
    serializer.register(TagComplex)
    try:

        def index() -> str:
            flask.session.setdefault("z", 1 + 2j)
            return str(flask.session["z"])

        view(app, index)
        client = app.test_client()
        assert [client.get("/").text for _ in range(2)] == ["(1+2j)", "(1+2j)"]
    finally:
        serializer.order.remove(serializer.tags.pop(TagComplex.key))


def test_a_view_called_static_is_a_view(tmp_path: Path, package: str, write: Callable[[str, str], Path]) -> None:
    write(
        f"{package}/info/__init__.py",
        """
        from flask import Blueprint

        bp = Blueprint("info", __name__)

        @bp.get("/static-info")
        def static():
            return "a view"
        """,
    )
    write("tenants/acme/static/x.txt", "x")
    platform = make_platform(tmp_path, f'[platform]\nblueprints = "{package}"\n[tenants.acme]\npath = "/acme"\n')
    assert client_of(platform, "acme").get("/static-info").text == "a view"


def test_an_app_made_alone_may_call_anything_tenant() -> None:
    app = TenantApp("alone")
    app.tenant = "acme"  # type: ignore[assignment]
    view(app, lambda: "ok")
    assert get(app).text == "ok"
    assert app.name == "alone"
    with app.app_context():
        assert flask.current_app.name == "alone"


def test_names_in_templates_give_way_to_the_applications(app: TenantApp) -> None:
    app.context_processor(lambda: {"navigation": "theirs", "current_tenant": "theirs", "language_name": "theirs"})
    with app.test_request_context("/"):
        rendered = flask.render_template_string("{{ navigation }} {{ current_tenant }} {{ language_name }}")
    assert rendered == "theirs theirs theirs"


def test_headers_that_the_application_set_stay(app: TenantApp) -> None:
    view(app, lambda: ("", {"Content-Security-Policy": "default-src *", "Referrer-Policy": "origin"}))
    answer = get(app)
    assert answer.headers.getlist("Content-Security-Policy") == ["default-src *"]
    assert answer.headers["Referrer-Policy"] == "origin"
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_a_content_policy_from_the_configuration(tmp_path: Path, package: str) -> None:
    toml = f"""
[platform]
blueprints = "{package}"
[tenants.acme]
path = "/acme"
config = {{ CONTENT_SECURITY_POLICY = "default-src 'self'" }}
"""
    answer = client_of(make_platform(tmp_path, toml), "acme").get("/nothing")
    assert answer.headers["Content-Security-Policy"] == "default-src 'self'"
