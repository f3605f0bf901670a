"""The short way of binding a request to its URL map gives what Flask's long way gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Request
from werkzeug.exceptions import SecurityError
from werkzeug.routing import Map, MapAdapter
from werkzeug.test import create_environ

from tenantry import TenantApp
from tenantry.binding import bind_to_request
from tenantry.testing import TWO_TENANTS, make_platform


@pytest.fixture
def app(tmp_path: Path) -> TenantApp:
    return make_platform(tmp_path, TWO_TENANTS).tenant_app("acme")


def environ(path: str = "/a", query: str = "", **changed: Any) -> dict[str, Any]:
    made = create_environ(path, "http://localhost:8000/", query_string=query)
    return {**made, "tenantry.tenant": "acme", "SCRIPT_NAME": "/acme", **changed}


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="as usual"),
        pytest.param({"PATH_INFO": ""}, id="no path"),
        pytest.param({"PATH_INFO": "/a//b/"}, id="doubled slashes"),
        pytest.param({"PATH_INFO": "/ä/ö".encode().decode("latin-1")}, id="Unicode"),
        pytest.param({"PATH_INFO": "/\xff\xfe"}, id="no Unicode"),
        pytest.param({"QUERY_STRING": "a=1&b=%C3%A4"}, id="a query"),
        pytest.param({"QUERY_STRING": "ä=ö".encode().decode("latin-1")}, id="a raw query"),
        pytest.param({"SCRIPT_NAME": ""}, id="a host door"),
        pytest.param({"SCRIPT_NAME": "/acme/"}, id="a slash after the door"),
        pytest.param({"HTTP_HOST": "LOCALHOST"}, id="upper case"),
        pytest.param({"HTTP_HOST": "localhost:80"}, id="the scheme's port"),
        pytest.param({"HTTP_HOST": "localhost:443", "wsgi.url_scheme": "https"}, id="https and its port"),
        pytest.param({"HTTP_HOST": "[::1]:8000"}, id="IPv6"),
        pytest.param({"HTTP_HOST": "xn--mnchen-3ya.example"}, id="punycode"),
        pytest.param({"REQUEST_METHOD": "DELETE"}, id="a method"),
    ],
)
def test_it_binds_as_flask_does(app: TenantApp, changed: dict[str, Any]) -> None:
    ours, theirs = (app.request_class(environ(**changed)) for _ in range(2))
    short, long = bind_to_request(app, ours), Flask.create_url_adapter(app, theirs)
    assert short is not None
    assert long is not None
    assert vars(short) == vars(long)
    assert ours.host == theirs.host
    assert ours.url == theirs.url


@pytest.mark.parametrize("field", ["a b", "x" * 70 + ".example", "..", "\x8a", "localhost:port", "a" * 300])
def test_an_odd_host_is_read_or_refused_as_by_flask(app: TenantApp, field: str) -> None:
    def outcome(bind: Any) -> Any:
        try:
            return bind().server_name
        except Exception as error:
            return type(error)

    made = environ(HTTP_HOST=field)
    expected = outcome(lambda: Flask.create_url_adapter(app, app.request_class({**made})))
    assert outcome(lambda: app.create_url_adapter(app.request_class({**made}))) == expected


@pytest.mark.parametrize(
    ("changed", "config"),
    [
        ({"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "Upgrade"}, {}),
        ({"HTTP_HOST": ""}, {}),
        ({}, {"TRUSTED_HOSTS": ["localhost"]}),
    ],
    ids=["websocket", "no host", "trusted hosts"],
)
def test_what_needs_more_goes_flasks_way(app: TenantApp, changed: dict[str, Any], config: dict[str, Any]) -> None:
    app.config.update(config)
    request = app.request_class(environ(**changed))
    assert bind_to_request(app, request) is None
    found = app.create_url_adapter(request)
    assert found is not None
    assert found.websocket is ("HTTP_UPGRADE" in changed)


def test_hosts_that_a_request_class_trusts_are_the_only_ones(app: TenantApp) -> None:
    class Mine(Request):
        trusted_hosts = ("shop.example",)  # type: ignore[assignment]  # a list in Werkzeug

    request = Mine(environ())
    assert bind_to_request(app, request) is None
    with pytest.raises(SecurityError):
        app.create_url_adapter(request)


def test_a_map_that_binds_in_its_own_way_does(app: TenantApp) -> None:
    class Own(Map):
        def bind(self, *args: Any, **options: Any) -> MapAdapter:
            return super().bind("elsewhere.example")

        def bind_to_environ(self, *args: Any, **options: Any) -> MapAdapter:
            return self.bind()

    app.url_map = Own()
    found = app.create_url_adapter(app.request_class(environ()))
    assert found is not None
    assert found.server_name == "elsewhere.example"


def test_a_request_that_came_through_no_door_goes_flasks_way(app: TenantApp) -> None:
    made = environ()
    del made["tenantry.tenant"]
    assert bind_to_request(app, app.request_class(made)) is None
