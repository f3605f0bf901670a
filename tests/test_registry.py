"""tenants.toml to tenants; and every mistake that an operator may make in it, told in words."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import ROOT
from tenantry.errors import ConfigError, UnknownTenant
from tenantry.registry import Limits, Registry, Tenant

Write = Callable[[str, str], Path]


def problems(write: Write, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Registry.from_file(write("tenants.toml", text))
    return [str(problem) for problem in caught.value.problems]


def test_the_shipped_file() -> None:
    registry = Registry.from_file(ROOT / "tenants.toml")
    assert list(registry) == ["acme", "globex", "initech"]
    assert registry["acme"].path == "/acme"
    assert registry["globex"].languages[0] == "de"
    assert registry["initech"].hosts == ("initech.localhost",)
    assert registry["initech"].path == "/initech"
    assert registry["initech"].overrides == {"front.index": "tenants.initech.views:index"}
    assert registry["initech"].config == {"MAIL_SUBJECT_PREFIX": "[Initech]"}


def test_defaults_are_inherited_tables_by_key_and_the_rest_whole(write: Write) -> None:
    text = """
        [defaults]
        languages = ["en", "de"]
        limits = { concurrency = 7, upload_mb = 3 }
        config = { A = 1, B = 2 }
        [tenants.a]
        path = "/a"
        [tenants.b]
        path = "/b"
        languages = ["fr"]
        limits = { upload_mb = 9 }
        config = { B = 3 }
    """
    registry = Registry.from_file(write("tenants.toml", text))
    assert registry["a"].limits == Limits(concurrency=7, upload_mb=3)
    assert registry["b"].limits == Limits(concurrency=7, upload_mb=9)
    assert registry["b"].languages == ("fr",)
    assert registry["b"].config == {"A": 1, "B": 3}
    assert registry["a"].title == "a"


def test_tenants_are_immutable_all_the_way_down(write: Write) -> None:
    tenant = Registry.from_file(write("tenants.toml", '[tenants.a]\npath = "/a"\nconfig = { A = 1 }'))["a"]
    with pytest.raises(FrozenInstanceError):
        tenant.title = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        tenant.config["A"] = 2  # type: ignore[index]
    with pytest.raises(AttributeError):
        tenant.languages.append("de")  # type: ignore[attr-defined]


def test_what_tenants_have_in_common_is_one_object(write: Write) -> None:
    text = '[defaults]\nlanguages = ["en", "de"]\n[tenants.a]\npath = "/a"\n[tenants.b]\npath = "/b"'
    registry = Registry.from_file(write("tenants.toml", text))
    for name in ("languages", "limits", "sections", "overrides", "config", "settings"):
        assert getattr(registry["a"], name) is getattr(registry["b"], name)


def test_includes_are_read_and_mistakes_in_them_name_their_file(write: Write) -> None:
    write("tenants.d/b.toml", '[tenants.b]\npath = "/b"')
    path = write("tenants.toml", '[platform]\ninclude = ["tenants.d/*.toml"]\n[tenants.a]\npath = "/a"')
    assert list(Registry.from_file(path)) == ["a", "b"]
    write("tenants.d/c.toml", '[tenants.c]\npath = "/b"\n[defaults]\n')
    with pytest.raises(ConfigError) as caught:
        Registry.from_file(path)
    assert [str(problem) for problem in caught.value.problems] == [
        "tenants.d/c.toml:2: tenants.c.path: '/b' is the door of tenant 'b' already",
        "tenants.d/c.toml:3: defaults: unknown key; expected [tenants]",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param(
            'stauts = "active"',
            "tenants.toml:5: tenants.a.stauts: unknown key; did you mean 'status'?",
            id="unknown key",
        ),
        pytest.param(
            'status = "activ"',
            "tenants.toml:5: tenants.a.status: found 'activ'; expected 'active' or 'read-only' or 'maintenance' or "
            "'suspended' or 'archived'; did you mean 'active'?",
            id="unknown word",
        ),
        pytest.param("title = 7", "tenants.toml:5: tenants.a.title: found 7; expected a valid string", id="wrong type"),
        pytest.param(
            'title = ""',
            "tenants.toml:5: tenants.a.title: found ''; expected at least 1 character",
            id="empty",
        ),
        pytest.param(
            "limits = { concurrency = 0 }",
            "tenants.toml:5: tenants.a.limits.concurrency: found 0; expected greater than or equal to 1",
            id="out of range",
        ),
        pytest.param(
            "limits = { concurency = 3 }",
            "tenants.toml:5: tenants.a.limits.concurency: unknown key; did you mean 'concurrency'?",
            id="unknown key in a table",
        ),
        pytest.param(
            'config = { mail = "x" }',
            "tenants.toml:5: tenants.a.config: 'mail' is not in upper case; Flask's configuration keys are, like 'MAIL'",
            id="lower-case configuration",
        ),
        pytest.param(
            'config = { SESSION_COOKIE_DOMAIN = "x" }',
            "tenants.toml:5: tenants.a.config: 'SESSION_COOKIE_DOMAIN' is not to be set here: "
            "a cookie with a domain would reach other tenants",
            id="configuration that is ours",
        ),
        pytest.param(
            'config = { TRUSTED_HOSTS = "x" }',
            'tenants.toml:5: tenants.a.config: TRUSTED_HOSTS is not a list; expected one, like ["app.example.com"]',
            id="hosts that are no list",
        ),
        pytest.param(
            'config = { CONTENT_SECURITY_POLICY = "a\\nb" }',
            "tenants.toml:5: tenants.a.config: CONTENT_SECURITY_POLICY does not fit in a header; expected one line of text",
            id="policy of two lines",
        ),
        pytest.param(
            'config = { PERMANENT_SESSION_LIFETIME = "long" }',
            "tenants.toml:5: tenants.a.config: PERMANENT_SESSION_LIFETIME is not a number of seconds; "
            "expected one like 2678400",
            id="lifetime",
        ),
        pytest.param(
            'config = { SECRET_KEY = "secret" }',
            "tenants.toml:5: tenants.a.config: SECRET_KEY is weak; expected at least 32 random characters, "
            "or leave it out to have one derived",
            id="weak secret",
        ),
        pytest.param(
            'hosts = ["*.example.com"]',
            "tenants.toml:5: tenants.a.hosts: '*.example.com' is a pattern; expected exact host names, one for each name",
            id="pattern",
        ),
        pytest.param(
            'hosts = ["https://a.example"]',
            "tenants.toml:5: tenants.a.hosts: 'https://a.example' is an address; expected the host name alone, "
            "like 'initech.example.com'",
            id="address",
        ),
        pytest.param(
            'hosts = ["a.example:80"]',
            "tenants.toml:5: tenants.a.hosts: 'a.example:80' carries a port; expected the host name alone, "
            "as doors answer on every port",
            id="port",
        ),
        pytest.param(
            'hosts = ["bücher.example"]',
            "tenants.toml:5: tenants.a.hosts: 'bücher.example' is not ASCII; write it as browsers send it: "
            "'xn--bcher-kva.example'",
            id="not ASCII",
        ),
        pytest.param(
            'hosts = ["localhost"]',
            "tenants.toml:5: tenants.a.hosts: 'localhost' stands in [platform] hosts, where path doors answer",
            id="the platform's own host",
        ),
        pytest.param(
            'overrides = { "front.index" = "views" }',
            "tenants.toml:5: tenants.a.overrides.front.index: 'views' does not fit; "
            "expected an import string like 'package.module:attribute'",
            id="import string",
        ),
        pytest.param(
            "languages = []",
            "tenants.toml:5: tenants.a.languages: found []; expected at least 1 item",
            id="no language",
        ),
        pytest.param(
            'sections = ["help", "help"]',
            "tenants.toml:5: tenants.a.sections: 'help' stands there twice; expected each once",
            id="twice",
        ),
        pytest.param(
            'database = "postgresql://u:secret@db/x"',
            "tenants.toml:5: tenants.a.database: PostgreSQL is not served by this version yet; expected 'sqlite'",
            id="a database to come",
        ),
        pytest.param(
            'color = "red"',
            "tenants.toml:5: tenants.a.color: 'red' does not fit; expected a colour like '#0b6e99'",
            id="colour",
        ),
    ],
)
def test_a_mistake_in_a_tenant(write: Write, line: str, message: str) -> None:
    text = f'[platform]\n\n[tenants.a]\npath = "/a"\n{line}\n'
    assert problems(write, text) == [message]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("acme", "'acme' is not a path prefix; expected one that begins with a slash, like '/acme'"),
        ("/", "'/' would be everybody's address; for a tenant at the root of a host, give it hosts instead"),
        ("/static", "'/static' is reserved for the platform itself; choose another prefix"),
        ("/-/x", None),
        ("/a//b", None),
        ("/..", None),
        ("/a b", "; 'a-b' would do"),
        ("/Café", "; '/cafe' would do"),
        ("/a%20b", None),
        ("/a?b", None),
    ],
)
def test_path_doors_that_are_refused(write: Write, path: str, message: str | None) -> None:
    found = problems(write, f'[tenants.a]\npath = "{path}"')
    assert len(found) == 1
    assert found[0].startswith("tenants.toml:2: tenants.a.path: ")
    assert (message or "").lstrip("; ").lstrip("'/") in found[0]


@pytest.mark.parametrize("path", ["/ACME", "/acme/", "/ａｃｍｅ", "/Acme//".rstrip("/")])
def test_path_doors_are_folded(write: Write, path: str) -> None:
    assert Registry.from_file(write("tenants.toml", f'[tenants.a]\npath = "{path}"'))["a"].path == "/acme"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param('path = "/acme"', 'path = "/ACME"', id="case"),
        pytest.param('path = "/acme"', 'path = "/ａcme/"', id="full width"),
        pytest.param('hosts = ["a.example"]', 'hosts = ["b.example", "A.example."]', id="host"),
        pytest.param('hosts = ["ſ.example"]', 'hosts = ["s.example"]', id="long s"),
    ],
)
def test_row_35_one_door_for_two_tenants_is_refused(write: Write, first: str, second: str) -> None:
    found = problems(write, f"[tenants.a]\n{first}\n[tenants.b]\n{second}")
    assert len(found) == 1
    assert "is the door of tenant 'a' already" in found[0]


def test_row_35_one_secret_for_two_tenants_is_refused(write: Write) -> None:
    secret = "config = { SECRET_KEY = '0123456789abcdefghijklmnopqrstuvwxyz' }"
    found = problems(write, f'[tenants.a]\npath = "/a"\n{secret}\n[tenants.b]\npath = "/b"\n{secret}')
    assert found == [
        "tenants.toml:6: tenants.b.config.SECRET_KEY: the same as that of tenant 'a'; expected one of its own, or none"
    ]
    assert "0123456789" not in found[0]


@pytest.mark.parametrize("name", ["WTF_CSRF_SECRET_KEY", "JWT_SECRET_KEY", "SECURITY_PASSWORD_SALT"])
def test_row_35_other_signing_keys_may_not_be_shared_either(write: Write, name: str) -> None:
    config = f"config = {{ {name} = 'the same for both' }}"
    found = problems(write, f'[tenants.a]\npath = "/a"\n{config}\n[tenants.b]\npath = "/b"\n{config}')
    assert len(found) == 1
    assert f"tenants.b.config.{name}: the same as that of tenant 'a'" in found[0]


@pytest.mark.parametrize(
    ("host", "stored"),
    [
        ("[0:0:0:0:0:0:0:9]", "[::9]"),
        ("[2001:DB8::1]", "[2001:db8::1]"),
        ("192.0.2.7", "192.0.2.7"),
        ("A.example.", "a.example"),
    ],
)
def test_host_doors_have_one_form(write: Write, host: str, stored: str) -> None:
    assert Registry.from_file(write("tenants.toml", f'[tenants.a]\nhosts = ["{host}"]'))["a"].hosts == (stored,)


@pytest.mark.parametrize(
    "host", ["127.1", "0x7f.1", "1", "1.2.3.4.5", "[::1", "[x]", "[::1%eth0]", "a_b.example", "-a.example", "a..b"]
)
def test_host_doors_that_are_refused(write: Write, host: str) -> None:
    assert len(problems(write, f'[tenants.a]\nhosts = ["{host}"]')) == 1


def test_two_spellings_of_one_address_are_one_door(write: Write) -> None:
    found = problems(write, '[tenants.a]\nhosts = ["[::9]"]\n[tenants.b]\nhosts = ["[0:0:0:0:0:0:0:9]"]')
    assert "'[::9]' is the door of tenant 'a' already" in found[0]


def test_a_deeper_door_may_not_hide_a_page_either(write: Write) -> None:
    text = '[tenants.a]\npath = "/a"\nsections = ["help"]\n[tenants.b]\npath = "/a/help/welcome"'
    assert "'/a/help/welcome' would hide the page /help/welcome/ of tenant 'a'" in problems(write, text)[0]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "tenants.toml")
    with pytest.raises(ConfigError, match="is a device or a pipe"):
        Registry.from_file(tmp_path / "tenants.toml")


@pytest.mark.parametrize(
    "line",
    [
        "[platform]\ninclude = ['.']",
        "[platform]\ninclude = ['tenants.d/**.toml']",
        '[platform]\nstate_dir = "a\\u0000b"',
        "[platform]\nopen_databases = 0x" + "F" * 5000,
        "[defaults.config]\n" + ".".join(["A"] * 900) + " = 1",
    ],
    ids=["include here", "include pattern", "NUL", "huge number", "deep key"],
)
def test_what_once_ended_in_a_traceback(write: Write, line: str) -> None:
    text = f'{line}\n[tenants.a]\npath = "/a"\n'
    try:
        Registry.from_file(write("tenants.toml", text))
    except ConfigError as error:
        assert len(str(error)) < 2000


def test_a_mistake_in_a_file_of_odd_lines_is_told_soon(write: Write) -> None:
    spaces = "\n".join("[" + " " * 1900 for _ in range(200))
    text = f'[tenants.a]\npath = "/a"\nx = 1\ntitle = """\n{spaces}\n"""\n'
    assert len(problems(write, text)) >= 1


def test_a_secret_in_defaults_would_be_shared_by_all(write: Write) -> None:
    secret = "config = { SECRET_KEY = '0123456789abcdefghijklmnopqrstuvwxyz' }"
    found = problems(write, f'[defaults]\n{secret}\n[tenants.a]\npath = "/a"\n[tenants.b]\npath = "/b"')
    assert len(found) == 1
    assert "the same as that of tenant 'a'" in found[0]


def test_nested_doors_may_be_two_tenants_but_may_not_hide_a_page(write: Write) -> None:
    text = '[tenants.a]\npath = "/a"\nsections = ["help"]\n[tenants.b]\npath = "/a/{}"'
    assert len(Registry.from_file(write("tenants.toml", text.format("eu")))) == 2
    assert problems(write, text.format("help")) == [
        "tenants.toml:5: tenants.b.path: '/a/help' would hide the page /help/ of tenant 'a'"
    ]


@pytest.mark.parametrize("slug", ["A", "a_b", "-a", "a.b", "ä", "a" * 64, "all", "public"])
def test_slugs_that_are_refused(write: Write, slug: str) -> None:
    found = problems(write, f'[tenants."{slug}"]\npath = "/a"')
    assert len(found) == 1
    assert f"'{slug}' is" in found[0]


def test_a_tenant_without_a_door_is_told_how_to_get_one(write: Write) -> None:
    assert problems(write, '[tenants.a]\ntitle = "A"') == [
        'tenants.toml:1: tenants.a: this tenant has no door; expected path = "/a", or hosts = ["a.example.com"], or both'
    ]


def test_all_mistakes_are_told_at_once_and_those_of_defaults_once(write: Write) -> None:
    text = """\
[platform]
schema = "https"
trusted_proxies = -1
[defaults]
langs = ["en"]
[tenants.a]
path = "/a"
titel = "A"
[tenants.b]
path = "/b"
status = "off"
[tenant.c]
"""
    found = problems(write, text)
    assert [line.partition(": ")[0] for line in found] == [f"tenants.toml:{n}" for n in (2, 3, 5, 8, 11, 12)]
    assert "tenant: unknown key; did you mean 'tenants'?" in found[-1]


def test_a_wrong_default_is_told_once_however_many_tenants_inherit_it(write: Write) -> None:
    tenants = "".join(f'[tenants.t{n}]\npath = "/t{n}"\n' for n in range(50))
    assert problems(write, f'[defaults]\ncolor = "red"\n{tenants}') == [
        "tenants.toml:2: defaults.color: 'red' does not fit; expected a colour like '#0b6e99'"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "tenants.toml: tenants: no tenant stands here; expected at least one table", id="empty"),
        pytest.param(b"[tenants.a\n", "tenants.toml:1: not valid TOML: Expected ']'", id="broken"),
        pytest.param(b'[tenants.a]\npath = "/a', "tenants.toml:2: not valid TOML: Unterminated string", id="cut"),
        pytest.param(b"a = 1\na = 2\n", "tenants.toml:2: not valid TOML: Cannot overwrite a value", id="twice"),
        pytest.param(
            b'[tenants.a]\ntitle = "\xff"\n', "tenants.toml:2: byte 0xff is not UTF-8; save the file", id="latin-1"
        ),
        pytest.param(b"\x00\x00", "tenants.toml:1: not valid TOML", id="NUL"),
        pytest.param(b"a = " + b"[" * 5000, "tenants.toml: nested too deeply", id="deep"),
        pytest.param(
            b"[tenants.a]\nx = " + b"9" * 5000, "tenants.toml: not valid TOML: Exceeds the limit", id="huge number"
        ),
        pytest.param(b"tenants = 3", "tenants.toml:1: tenants: found 3; expected a table, [tenants]", id="no table"),
        pytest.param(
            b"[tenants]\na = 3", "tenants.toml:2: tenants.a: found 3; expected a table, [tenants.a]", id="no tenant"
        ),
        pytest.param(b"[[tenants]]\na = 3", "tenants.toml:1: tenants: found [{'a': 3}]; expected a table", id="array"),
        pytest.param(
            b"[platform]\ninclude = 'x'\n[tenants.a]\npath='/a'",
            "tenants.toml:2: platform.include: found 'x'",
            id="include",
        ),
        pytest.param(
            b"[platform]\ninclude = ['../x']\n[tenants.a]\npath='/a'",
            "tenants.toml:2: platform.include: '../x' leads out of the folder",
            id="include elsewhere",
        ),
        pytest.param(
            b"[platform]\ninclude = ['a/**x.toml']\n[tenants.a]\npath='/a'",
            "tenants.toml:2: platform.include: 'a/**x.toml' is not a pattern (",
            id="include pattern",
            marks=pytest.mark.skipif(sys.version_info >= (3, 13), reason="this is a pattern from Python 3.13 on"),
        ),
        pytest.param(
            b"[platform]\ninclude = ['x.toml']\n[tenants.a]\npath='/a'",
            "tenants.toml:2: platform.include: 'x.toml' is not there",
            id="include nothing",
        ),
    ],
)
def test_files_that_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "tenants.toml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        Registry.from_file(tmp_path / "tenants.toml")
    assert str(caught.value.problems[0]).startswith(message)
    assert "Traceback" not in str(caught.value)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "tenants.toml").write_bytes(b'\xef\xbb\xbf[tenants.a]\npath = "/a"\n')
    assert list(Registry.from_file(tmp_path / "tenants.toml")) == ["a"]


def test_a_file_that_is_not_there_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing.toml cannot be read \(No such file or directory\)"):
        Registry.from_file(tmp_path / "nothing.toml")
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\)"):
        Registry.from_file(tmp_path)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "tenants.toml"
    with path.open("wb") as file:
        file.truncate(65 * 1024 * 1024)  # sparse: it takes no room
    with pytest.raises(ConfigError, match=r"the file has 68,157,440 bytes; expected at most 67,108,864"):
        Registry.from_file(path)


def test_an_unknown_environment_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_ENV", "prod")
    assert problems(write, '[tenants.a]\npath = "/a"') == [
        "environment: TENANTRY_ENV: is 'prod'; expected 'development' or 'testing' or 'production'; "
        "did you mean 'production'?"
    ]


def test_an_unknown_slug_is_told_with_the_nearest(write: Write) -> None:
    registry = Registry.from_file(write("tenants.toml", '[tenants.acme]\npath = "/a"'))
    with pytest.raises(UnknownTenant, match=r"no tenant 'acne'; did you mean 'acme'\? Configured: acme"):
        registry["acne"]
    assert registry.get("acne") is None


def test_every_prefix_of_the_shipped_file_is_refused_in_words_or_gives_a_whole_registry(tmp_path: Path) -> None:
    text = (ROOT / "tenants.toml").read_bytes()
    whole = tmp_path / "tenants.toml"
    for end in range(0, len(text), 7):
        whole.write_bytes(text[:end])
        try:
            tenants = Registry.from_file(whole)
        except ConfigError as error:
            assert "Traceback" not in str(error)
        else:
            assert all(isinstance(tenant, Tenant) for tenant in tenants.values())


_LEAVES = st.one_of(st.integers(-5, 5), st.booleans(), st.text(max_size=8), st.lists(st.text(max_size=5), max_size=3))
_KEYS = st.sampled_from(["title", "path", "hosts", "status", "limits", "config", "overrides", "features", "color", "x"])


@given(
    st.dictionaries(_KEYS, st.one_of(_LEAVES, st.dictionaries(st.text(max_size=5), _LEAVES, max_size=3)), max_size=5)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_any_valid_toml_is_accepted_or_refused_in_words(tmp_path: Path, table: dict[str, object]) -> None:
    import tomlkit

    path = tmp_path / "tenants.toml"
    text = tomlkit.dumps({"tenants": {"a": table}, "defaults": table})
    path.write_text(text, encoding="utf-8", newline="")
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # what tomlkit writes for some control characters
        return
    try:
        Registry.from_file(path)
    except ConfigError as error:
        assert all(problem.message for problem in error.problems)


def test_ten_thousand_tenants_are_read(tmp_path: Path) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text("".join(f'[tenants.t{n}]\ntitle = "T {n}"\npath = "/t{n}"\n' for n in range(10_000)))
    registry = Registry.from_file(path)
    assert len(registry) == 10_000
    assert registry["t9999"].path == "/t9999"
    assert os.path.getsize(path) > 400_000
