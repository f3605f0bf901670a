"""``TenantApp`` is a Flask: each of these holds for ``flask.Flask`` and for it, made alone and made by the factory."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import flask
import pytest
from flask import Flask, g, request, session
from flask.sessions import SecureCookieSessionInterface
from flask.views import MethodView
from werkzeug.exceptions import NotFound
from werkzeug.routing import BaseConverter, Rule

from tenantry import Platform, TenantApp
from tenantry.testing import TWO_TENANTS, make_platform

Make = Callable[..., Flask]


def made_by_hand(kind: type[Flask], folder: Path) -> Make:
    def make(**options: Any) -> Flask:
        app = kind("an_app", root_path=str(folder), **options)
        app.secret_key = "k" * 32
        return app

    return make


@pytest.fixture(params=[Flask, TenantApp])
def by_hand(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes apps as one makes a Flask, with the options of one."""
    return made_by_hand(request.param, tmp_path)


@pytest.fixture(params=[Flask, TenantApp, "factory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes apps by hand, or by the factory, which gives Flask's options by itself."""
    if request.param != "factory":
        return made_by_hand(request.param, tmp_path)
    platform: Platform = request.getfixturevalue("platform")
    return lambda: platform.build(platform.registry["globex"])


@pytest.fixture
def tenants_toml(package: str) -> str:
    return f'[platform]\nblueprints = "{package}"\n[tenants.globex]\nhosts = ["globex.localhost"]\n'


@pytest.fixture
def app(make: Make) -> Flask:
    app = make()
    app.testing = False
    return app


def test_routes_methods_and_converters(app: Flask) -> None:
    class Reversed(BaseConverter):
        def to_python(self, value: str) -> str:
            return value[::-1]

        def to_url(self, value: str) -> str:
            return value[::-1]

    app.url_map.converters["reversed"] = Reversed

    @app.route("/r/<reversed:word>", methods=["GET", "PUT"])
    def word(word: str) -> str:
        return word

    class Thing(MethodView):
        def get(self) -> str:
            return "got"

        def delete(self) -> str:
            return "deleted"

    app.add_url_rule("/thing", view_func=Thing.as_view("thing"))
    client = app.test_client()
    assert client.get("/r/abc").text == "cba"
    assert client.put("/r/abc").text == "cba"
    assert client.post("/r/abc").status_code == 405
    assert client.delete("/thing").text == "deleted"
    assert client.options("/thing").allow == {"DELETE", "GET", "HEAD", "OPTIONS"}
    assert client.head("/r/abc").text == ""


def test_hooks_run_in_flasks_order(app: Flask) -> None:
    order: list[str] = []
    app.before_request(lambda: order.append("before"))

    @app.after_request
    def after(response: flask.Response) -> flask.Response:
        order.append("after")
        return response

    app.teardown_request(lambda error: order.append("teardown request"))
    app.teardown_appcontext(lambda error: order.append("teardown context"))

    @app.route("/")
    def index() -> str:
        flask.after_this_request(lambda response: order.append("after this") or response)
        order.append("view")
        return ""

    app.test_client().get("/")
    assert order == ["before", "view", "after this", "after", "teardown request", "teardown context"]


def test_signals(app: Flask) -> None:
    seen: list[str] = []

    def note(name: str) -> Callable[..., None]:
        return lambda sender, **values: seen.append(name)

    names = ["appcontext_pushed", "request_started", "request_finished", "request_tearing_down", "appcontext_popped"]
    receivers = {name: note(name) for name in names}
    for name, receiver in receivers.items():
        getattr(flask, name).connect(receiver, app)
    app.add_url_rule("/", view_func=lambda: "", endpoint="index")
    app.test_client().get("/")
    assert seen == names


def test_error_handlers_by_code_class_and_exception(app: Flask) -> None:
    app.register_error_handler(404, lambda error: ("mine", 404))
    app.register_error_handler(KeyError, lambda error: ("key", 400))
    app.add_url_rule("/key", view_func=lambda: {}["x"], endpoint="key")
    app.add_url_rule("/boom", view_func=lambda: 1 / 0, endpoint="boom")
    client = app.test_client()
    assert client.get("/none").text == "mine"
    assert client.get("/key").text == "key"
    assert client.get("/boom").status_code == 500
    app.testing = True
    with pytest.raises(ZeroDivisionError):
        client.get("/boom")


def test_a_handler_for_every_http_error_may_be_added_at_any_time_before_the_first_request(app: Flask) -> None:
    app.register_error_handler(500, lambda error: (f"caught {type(error.original_exception).__name__}", 500))
    app.add_url_rule("/boom", view_func=lambda: 1 / 0, endpoint="boom")
    assert app.test_client().get("/boom").text == "caught ZeroDivisionError"


def test_sessions_and_the_test_client(app: Flask) -> None:
    @app.route("/count")
    def count() -> str:
        session["n"] = session.get("n", 0) + 1
        return str(session["n"])

    client = app.test_client()
    assert [client.get("/count").text for _ in range(3)] == ["1", "2", "3"]
    with client.session_transaction() as stored:
        assert stored["n"] == 3
        stored["n"] = 10
    assert client.get("/count").text == "11"
    with client:
        client.get("/count")
        assert session["n"] == 12
        assert request.path == "/count"


def test_url_for_inside_and_outside_a_request(app: Flask) -> None:
    app.add_url_rule("/a/<int:n>", view_func=lambda n: flask.url_for("a", n=n + 1), endpoint="a")
    assert app.test_client().get("/a/1").text == "/a/2"
    with app.test_request_context("/"):
        assert flask.url_for("a", n=3) == "/a/3"
        assert flask.url_for("static", filename="x.css") == "/static/x.css"
    app.config["SERVER_NAME"] = "elsewhere.example"
    with app.app_context():
        assert flask.url_for("a", n=3) == "http://elsewhere.example/a/3"


def test_url_defaults_and_preprocessors(app: Flask) -> None:
    @app.url_defaults
    def add(endpoint: str, values: dict[str, Any]) -> None:
        values.setdefault("lang", g.get("lang", "en"))

    @app.url_value_preprocessor
    def pull(endpoint: str | None, values: dict[str, Any] | None) -> None:
        g.lang = (values or {}).pop("lang", None)

    app.add_url_rule("/<lang>/", view_func=lambda: f"{g.lang} {flask.url_for('index')}", endpoint="index")
    assert app.test_client().get("/de/").text == "de /de/"


def test_json_both_ways(app: Flask) -> None:
    app.add_url_rule("/", view_func=lambda: {"got": request.get_json()}, endpoint="index", methods=["POST"])
    answer = app.test_client().post("/", json={"a": [1, 2]})
    assert answer.json == {"got": {"a": [1, 2]}}
    assert app.test_client().post("/", data="{", content_type="application/json").status_code == 400


def test_templates_filters_globals_and_processors(app: Flask) -> None:
    app.add_template_filter(str.upper, "shout")
    app.add_template_global(lambda: "global", "word")
    app.context_processor(lambda: {"navigation": "processor"})
    with app.test_request_context("/"):
        assert flask.render_template_string("{{ 'a' | shout }} {{ word() }} {{ navigation }}") == "A global processor"
        assert (
            flask.render_template_string("{{ config.TESTING }} {{ request.path }} {{ g.get('x') }}") == "False / None"
        )
        assert flask.render_template_string("{{ '<b>' }}") == "&lt;b&gt;"


def test_streaming_keeps_the_context(app: Flask) -> None:
    @app.route("/")
    def index() -> flask.Response:
        def lines() -> Iterator[str]:
            yield request.args["word"]
            yield flask.current_app.name

        return flask.Response(flask.stream_with_context(lines()))

    assert app.test_client().get("/?word=hi-").text == f"hi-{app.name}"


def test_commands(app: Flask) -> None:
    @app.cli.command("greet")
    def greet() -> None:
        print(f"hello from {flask.current_app.name}")

    assert app.test_cli_runner().invoke(args=["greet"]).output == f"hello from {app.name}\n"
    assert app.cli.name == app.name


def test_set_up_is_over_after_the_first_request(app: Flask) -> None:
    app.test_client().get("/")
    with pytest.raises(AssertionError, match="can no longer be called"):
        app.add_url_rule("/late", view_func=lambda: "")


def test_the_shell_context(app: Flask) -> None:
    app.shell_context_processor(lambda: {"x": 1})
    assert app.make_shell_context()["app"] is app
    assert app.make_shell_context()["x"] == 1


def test_middleware_goes_around_wsgi_app(app: Flask) -> None:
    inner = app.wsgi_app

    def middleware(environ: dict[str, Any], start_response: Any) -> Any:
        environ["QUERY_STRING"] = "wrapped=1"
        return inner(environ, start_response)

    app.wsgi_app = middleware  # type: ignore[method-assign]
    app.add_url_rule("/", view_func=lambda: dict(request.args), endpoint="index")
    assert app.test_client().get("/").json == {"wrapped": "1"}


def test_subclass_hooks_still_work(make: Make) -> None:
    app = make()

    class Shouting(flask.Response):
        pass

    app.response_class = Shouting
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.add_url_rule("/", view_func=lambda: {"b": 1, "a": 2}, endpoint="index")
    assert list(json.loads(app.test_client().get("/").text)) == ["b", "a"]
    app.logger.setLevel(logging.INFO)
    assert app.logger.name == app.name
    app.logger.setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    "options",
    [
        {"static_folder": None},
        {"template_folder": None},
        {"static_url_path": "/files"},
        {"host_matching": True, "static_host": "x.example"},
        {"subdomain_matching": True},
        {"instance_relative_config": True, "instance_path": "/nonexistent/instance"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_flasks_options(by_hand: Make, options: dict[str, Any]) -> None:
    app = by_hand(**options)
    host = {"host": "x.example"} if app.url_map.host_matching else {}
    app.add_url_rule("/", view_func=lambda: "ok", endpoint="index", **host)
    assert app.test_client().get("/", base_url="http://x.example").text == "ok"
    assert app.has_static_folder is ("static_folder" not in options)
    assert (app.jinja_loader is None) is ("template_folder" in options)


def test_static_files_and_resources(by_hand: Make, tmp_path: Path) -> None:
    app = by_hand()
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "a.txt").write_text("a")
    with app.test_client().get("/static/a.txt") as answer:
        assert answer.text == "a"
    assert app.test_client().get("/static/../a.txt").status_code == 404
    with app.open_resource("static/a.txt", "r") as file:
        assert file.read() == "a"


def test_an_address_that_is_not_there_is_404_and_one_that_may_not_be_asked_so_405(app: Flask) -> None:
    app.add_url_rule("/", view_func=lambda: "", endpoint="index")
    assert app.test_client().get("/none").status_code == 404
    answer = app.test_client().delete("/")
    assert (answer.status_code, answer.allow) == (405, {"GET", "HEAD", "OPTIONS"})


def test_aborts_are_flasks_and_each_apps_own(tmp_path: Path) -> None:
    platform = make_platform(tmp_path, TWO_TENANTS)
    acme, globex = platform.tenant_app("acme"), platform.tenant_app("globex")
    assert "mapping" not in vars(acme.aborter)
    with pytest.raises(NotFound):
        acme.aborter(404)
    acme.aborter.mapping[420] = NotFound
    with pytest.raises(NotFound):
        acme.aborter(420)
    with pytest.raises(LookupError):
        globex.aborter(420)
    assert globex.aborter.mapping == Flask("x").aborter.mapping


class Chosen(TenantApp):
    """A subclass that sets on its class what Flask lets one set there."""

    session_interface = SecureCookieSessionInterface()
    url_rule_class = type("OwnRule", (Rule,), {})
    jinja_options: ClassVar[dict[str, Any]] = {"trim_blocks": True}


def test_what_a_subclass_sets_on_its_class_holds() -> None:
    app = Chosen("tenantry")
    assert app.session_interface is Chosen.session_interface
    assert app.url_rule_class is Chosen.url_rule_class
    assert app.jinja_options == {"trim_blocks": True}
    assert app.jinja_options is not Chosen.jinja_options
    assert app.jinja_env.trim_blocks


def test_an_app_keeps_nothing_in_its_dictionary_that_flask_does_not(platform: Platform) -> None:
    """Beyond thirty names Python no longer packs it, and each tenant takes 1.3 KiB more."""
    app = platform.tenant_app("globex")
    _ = app.logger
    assert vars(app).keys() - vars(Flask("x")).keys() <= {"logger", "jinja_loader", "session_interface", "jinja_env"}
    assert len(vars(app)) <= 30
