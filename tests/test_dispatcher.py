"""Which application a request goes to, as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import create_environ, run_wsgi_app

from tenantry.dispatcher import Dispatcher, agrees_with, is_plain_path, read_host, spells


def app_called(name: str) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{name} {environ['SCRIPT_NAME']} {environ['PATH_INFO']}".encode("latin-1")]

    return app


DISPATCHER = Dispatcher(
    app_called("nobody"),
    {"/acme": app_called("acme"), "/acme/eu": app_called("eu"), "/globex": app_called("globex")},
    hosts={"initech.example": app_called("initech"), "[::1]": app_called("six")},
    path_hosts=["localhost"],
    bad_request=app_called("refused"),
)


def ask(target: str, host: str | None = "localhost", path: str | None = None, script: str = "") -> str:
    environ = create_environ("/")
    raw = target.partition("?")[0]
    environ["PATH_INFO"] = _decoded(raw) if path is None else path
    environ["RAW_URI"] = environ["REQUEST_URI"] = target
    environ["SCRIPT_NAME"] = script
    if host is None:
        del environ["HTTP_HOST"]
    else:
        environ["HTTP_HOST"] = host
    body, _, _ = run_wsgi_app(DISPATCHER, environ)
    return b"".join(body).decode("latin-1")


def _decoded(raw: str) -> str:
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(raw).decode("latin-1")


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        pytest.param("/acme/", "acme /acme /", id="prefix"),
        pytest.param("/acme", "acme /acme ", id="prefix without slash"),
        pytest.param("/acme/help/a", "acme /acme /help/a", id="page"),
        pytest.param("/acme/eu/x", "eu /acme/eu /x", id="the longest prefix wins"),
        pytest.param("/acme/europe/x", "acme /acme /europe/x", id="a prefix ends at a slash"),
        pytest.param("/acme?next=/../x//y", "acme /acme ", id="the query is nobody's path"),
        pytest.param("/%61cme/x", "acme /acme /x", id="row 4: a letter may be encoded"),
        pytest.param("/acme/a%2fb", "acme /acme /a/b", id="an encoded slash in the tenant's own part"),
        pytest.param("/acmex/", "nobody  /acmex/", id="row 1: longer name"),
        pytest.param("/acme2/", "nobody  /acme2/", id="row 1: other name"),
        pytest.param("/", "nobody  /", id="root"),
        pytest.param("/acme/../globex/", "refused  /acme/../globex/", id="row 2: dot segments"),
        pytest.param("/acme/./", "refused  /acme/./", id="row 2: single dot"),
        pytest.param("/acme/%2e%2e/globex/", "refused  /acme/../globex/", id="row 2: encoded dots"),
        pytest.param("/acme/..;/globex/", "refused  /acme/..;/globex/", id="row 2: dots with a parameter"),
        pytest.param("/acme/x/..", "refused  /acme/x/..", id="row 2: dots at the end"),
        pytest.param("/acme/.well-known/x", "acme /acme /.well-known/x", id="a name that begins with a dot"),
        pytest.param("/acme/...", "acme /acme /...", id="three dots are a name"),
        pytest.param("/acme%2f..%2fglobex/", "refused  /acme/../globex/", id="row 3: encoded slash and dots"),
        pytest.param("/acme%2fpage", "refused  /acme/page", id="row 3: encoded slash after the door"),
        pytest.param("/acme%2feu/x", "refused  /acme/eu/x", id="row 3: encoded slash inside a nested door"),
        pytest.param("/acme%2feu", "refused  /acme/eu", id="row 3: encoded slash inside a nested door, at the end"),
        pytest.param("/acme%2feu?a=1", "refused  /acme/eu", id="row 3: the same with a query"),
        pytest.param("/acme/eu%2fx", "refused  /acme/eu/x", id="row 3: encoded slash after a nested door"),
        pytest.param("//acme/", "refused  //acme/", id="row 5: two slashes"),
        pytest.param("/%2facme/", "refused  //acme/", id="row 5: an encoded second slash"),
        pytest.param("/acme//page", "refused  /acme//page", id="row 5: two slashes inside"),
        pytest.param("/ACME/", "nobody  /ACME/", id="row 6: upper case"),
        pytest.param("/ac%c2%adme/", "nobody  /ac\xc2\xadme/", id="row 6: soft hyphen"),
        pytest.param("/%ef%bd%81cme/", "nobody  /\xef\xbd\x81cme/", id="row 6: full-width letter"),
        pytest.param("/acme%00/", "refused  /acme\0/", id="row 7: NUL"),
        pytest.param("/acme%0a/", "nobody  /acme\n/", id="row 7: line feed"),
        pytest.param("/acme\\x", "refused  /acme\\x", id="row 7: backslash"),
        pytest.param("/acme;x/", "nobody  /acme;x/", id="row 7: parameter"),
        pytest.param("/acme%252fx", "nobody  /acme%2fx", id="row 7: encoded twice"),
        pytest.param("/acme%c0%aex/", "nobody  /acme\xc0\xaex/", id="row 7: overlong UTF-8"),
        pytest.param("/acme%ff/", "nobody  /acme\xff/", id="row 7: not UTF-8"),
    ],
)
def test_paths(target: str, answer: str) -> None:
    assert ask(target) == answer


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        pytest.param("localhost:8000", "acme", id="a port is dropped"),
        pytest.param("LOCALHOST", "acme", id="upper case"),
        pytest.param("localhost.", "acme", id="a trailing dot is canonicalised"),
        pytest.param("localhost.:80", "acme", id="a trailing dot and a port"),
        pytest.param("initech.example", "initech", id="a host door"),
        pytest.param("Initech.Example:443", "initech", id="a host door, folded"),
        pytest.param("[::1]:8000", "six", id="IPv6 with a port"),
        pytest.param("[::1]", "six", id="IPv6"),
        pytest.param("evilinitech.example", "nobody", id="a longer name is another name"),
        pytest.param("initech.example.evil", "nobody", id="as is a name below another"),
        pytest.param("evil.example", "nobody", id="row 13: unknown"),
        pytest.param("127.0.0.1", "nobody", id="a name that is not configured"),
        pytest.param("", "refused", id="row 12: empty"),
        pytest.param(None, "refused", id="row 12: absent"),
        pytest.param("a:80@b", "refused", id="row 12: user information"),
        pytest.param("a,b", "refused", id="row 12: two"),
        pytest.param("localhost:80:80", "refused", id="two ports"),
        pytest.param("localhost:x", "refused", id="a port that is no number"),
        pytest.param("localhost:123456", "refused", id="a port that is too long"),
        pytest.param("localhost:65536", "refused", id="a port that there is not"),
        pytest.param("localhost:0", "refused", id="port zero"),
        pytest.param("localhost:08000", "refused", id="a port with a leading zero"),
        pytest.param("[::1].", "refused", id="a dot behind IPv6"),
        pytest.param("local_host", "refused", id="an underscore, of which Werkzeug makes no link"),
        pytest.param("local host", "refused", id="a space"),
        pytest.param("localhost/x", "refused", id="a path"),
        pytest.param("..", "refused", id="dots"),
        pytest.param(".localhost", "refused", id="a leading dot"),
        pytest.param("::1", "refused", id="IPv6 without brackets"),
    ],
)
def test_hosts(host: str | None, answer: str) -> None:
    assert ask("/acme/x", host).split(" ")[0] == answer


def test_a_host_door_gets_the_whole_path() -> None:
    assert ask("/acme/x", "initech.example") == "initech  /acme/x"


@pytest.mark.parametrize("target", ["/a/../b", "//x", "/a\\b", "/a%00"])
def test_host_doors_refuse_ambiguous_paths_too(target: str) -> None:
    assert ask(target, "initech.example").startswith("refused")


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        pytest.param("http://localhost/acme/x", "acme /acme /x", id="the same host"),
        pytest.param("http://localhost:80/acme/x", "acme /acme /x", id="the same host with its own port"),
        pytest.param("http://localhost:81/acme/x", "refused  /acme/x", id="row 9: another port"),
        pytest.param("ftp://localhost/acme/x", "refused  /acme/x", id="row 9: another scheme"),
        pytest.param("http://initech.example/acme/x", "refused  /acme/x", id="row 9: another host"),
        pytest.param("http://user@localhost/acme/x", "refused  /acme/x", id="user information"),
        pytest.param("http:///acme/x", "refused  /acme/x", id="no host"),
        pytest.param("http://[x/acme/x", "refused  /acme/x", id="not a URL"),
        pytest.param("http://localhost/acme%2fx", "refused  /acme/x", id="row 3 in absolute form"),
        pytest.param("*", "refused  /acme/x", id="asterisk form"),
    ],
)
def test_absolute_form(target: str, answer: str) -> None:
    assert ask(target, path="/acme/x") == answer


def test_a_prefix_in_front_of_the_platform_is_kept() -> None:
    assert ask("/acme/x", script="/all") == "acme /all/acme /x"


def test_werkzeugs_contract_without_the_raw_request_line() -> None:
    environ = create_environ("/acme/eu/x", base_url="http://localhost")
    del environ["RAW_URI"], environ["REQUEST_URI"]
    body, _, _ = run_wsgi_app(DISPATCHER, environ)
    assert b"".join(body) == b"eu /acme/eu /x"


def test_every_host_may_be_let_in() -> None:
    open_to_all = Dispatcher(app_called("nobody"), {"/acme": app_called("acme")}, bad_request=app_called("refused"))
    body, _, _ = run_wsgi_app(open_to_all, create_environ("/acme/", base_url="http://whatever.example"))
    assert b"".join(body) == b"acme /acme /"


PREFIXES = ["/acme", "/acme/eu", "/globex"]


@given(st.text(alphabet="/acmeglobxu.%25fFEe\\;", max_size=40).map(lambda text: "/" + text))
def test_whatever_reaches_a_tenant_begins_with_its_door_to_every_reader(target: str) -> None:
    """For any raw path: if a tenant gets it, its first segments spell the door, with no slash that was encoded."""
    from urllib.parse import unquote

    name, _, rest = ask(target).partition(" ")
    if name in ("nobody", "refused"):
        return
    prefix, _, path = rest.partition(" ")
    segments = [unquote(segment) for segment in target.split("/")]
    assert "/".join(segments[: prefix.count("/") + 1]) == prefix
    assert ".." not in path.split("/")
    assert "//" not in path


@given(st.text(max_size=30))
def test_reading_a_host_never_raises_and_gives_one_name(field: str) -> None:
    host = read_host(field)
    assert host is None or (host == host.lower() and not set(host) & set("@,/ \\"))


@given(st.text(alphabet="abc.-_:0189[]@\t ", max_size=20))
def test_no_host_is_let_in_of_which_werkzeug_would_make_an_empty_one(field: str) -> None:
    from werkzeug.sansio.utils import get_host

    if read_host(field) is not None:
        assert get_host("http", field).partition(":")[0] != ""


@given(st.text(max_size=60), st.text(max_size=20))
def test_the_small_questions_never_raise(text: str, host: str) -> None:
    assert is_plain_path(text) in (True, False)
    assert agrees_with(text, host) in (True, False)
    assert spells(text, "/acme") in (True, False)
