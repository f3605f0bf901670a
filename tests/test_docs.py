"""The documents are held to what is there: every setting, command and error in them is true, every example runs."""

from __future__ import annotations

import json
import re
import textwrap
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from conftest import ROOT
from tenantry import Platform
from tenantry.cli import COMMANDS, main
from tenantry.loading import load
from tenantry.registry import Registry
from tenantry.schema import OWNED_CONFIG, LimitsTable, PlatformTable, TenantTable, described, json_schema
from tenantry.schema_docs import markdown
from tenantry.sources import Sources
from tenantry.testing import client_of, make_platform

Write = Callable[[str, str], Path]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGES.md", *(ROOT / "docs").glob("*.md")])


def blocks(page: str, language: str) -> list[str]:
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / page).read_text(), re.S | re.M)
    return [text for found, text in fences if found == language]


def test_the_schema_is_the_one_that_the_models_make() -> None:
    assert json.loads((ROOT / "docs" / "tenants.schema.json").read_text()) == json_schema(), "run: make docs"


def test_the_reference_is_the_one_that_the_models_make() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == markdown(), "run: make docs"


def test_every_key_is_described_in_the_schema() -> None:
    for model in (LimitsTable, PlatformTable, TenantTable):
        keys = described(model)["properties"]
        assert [name for name, key in keys.items() if not key.get("description")] == []
        assert keys.keys() == model.model_fields.keys()


def test_the_shipped_file_uses_the_schema_and_shows_the_important_keys() -> None:
    text = (ROOT / "tenants.toml").read_text()
    assert text.startswith("#:schema ./docs/tenants.schema.json\n")
    assert set(tomllib.loads(text)["platform"]) >= {
        "blueprints",
        "extensions",
        "include",
        "state_dir",
        "scheme",
        "hosts",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_patterns_name_files_that_exist() -> None:
    rows = re.findall(r"^\| \d+ \|.*$", (ROOT / "docs" / "patterns.md").read_text(), re.M)
    assert len(rows) == 44
    for row in rows:
        for name in re.findall(r"`((?:platform|blueprints|tests|deploy)/[^`]*)`", row):
            assert (ROOT / name).exists(), name


def test_the_readme_has_the_two_commands() -> None:
    assert blocks("README.md", "console")[:2] == ["$ make serve\n", "$ make test\n"]
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`?make (\w+)", (ROOT / "README.md").read_text())) <= targets


def test_the_readme_lists_every_command_and_no_other() -> None:
    table = (ROOT / "README.md").read_text().split("## The command line")[1]
    assert set(re.findall(r"`tenantry ([\w-]+)", table)) == set(COMMANDS)


def test_the_readmes_new_tenant_is_served(site: Path) -> None:
    addition = blocks("README.md", "toml")[0]
    with (site / "tenants.toml").open("a") as file:
        file.write("\n" + addition)
    platform = Platform.from_file(site / "tenants.toml")
    assert "Umbrella" in client_of(platform, "umbrella").get("/").text
    assert "--brand: #c62828" in client_of(platform, "umbrella").get("/-/theme.css").text


def test_the_readmes_check_prints_what_it_says(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(site)
    with (site / "tenants.toml").open("a") as file:
        file.write("\n" + blocks("README.md", "toml")[0])
    expected = next(block for block in blocks("README.md", "console") if "tenantry check" in block).split("\n", 1)[1]
    assert CliRunner().invoke(main, ["check"]).output == expected


def test_the_readmes_mistake_is_told_as_it_says(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(site)
    with (site / "tenants.toml").open("a") as file:
        file.write("\n" + blocks("README.md", "toml")[0].replace("title", "titel"))
    expected = next(block for block in blocks("README.md", "") if "titel" in block)
    assert CliRunner().invoke(main, ["check"]).stderr == expected


def test_the_readmes_blueprint_works(tmp_path: Path, write: Write, package: str) -> None:
    (example,) = blocks("README.md", "python")
    write(f"{package}/greeting/__init__.py", example)
    platform = make_platform(tmp_path, f'[platform]\nblueprints = "{package}"\n[tenants.a]\ntitle = "A"\npath = "/a"\n')
    assert client_of(platform, "a").get("/greeting/").text == "Hello from A!"


def test_the_readmes_existing_application_is_valid(tmp_path: Path) -> None:
    (tmp_path / "tenants.toml").write_text(blocks("README.md", "toml")[1])
    registry = Registry.from_file(tmp_path / "tenants.toml")
    assert registry.settings.package == "shop"
    assert registry["globex"].hosts == ("shop.globex.example",)


def test_the_addresses_in_the_readme_are_the_shipped_ones() -> None:
    printed = next(block for block in blocks("README.md", "") if "Tenantry serves" in block)
    for tenant in Registry.from_file(ROOT / "tenants.toml").values():
        assert tenant.title in printed
        assert all(address in printed for address in tenant.addresses(8000))


def test_the_guides_small_blueprints_pass_their_own_tests(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file of them is written as it stands there, and its tests are run, in a process of their own."""
    monkeypatch.syspath_prepend(str(ROOT))
    for text in (*blocks("docs/blueprints.md", "python"), *blocks("docs/blueprints.md", "jinja")):
        if found := re.match(r"(?:# |\{# )((?:blueprints/(?:notes|invoices)|tests)/\S+)", text):
            path = pytester.path / found[1].replace("blueprints/", "set_of_the_guide/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    pytester.path.joinpath("set_of_the_guide", "__init__.py").touch()
    pytester.makeconftest(
        """
        import pytest

        pytest_plugins = ["tenantry.testing"]

        @pytest.fixture
        def tenants_toml():
            from tenantry.testing import TWO_TENANTS

            NAMES = ("set_of_the_guide.notes", "set_of_the_guide.invoices", "blueprints.accounts", "blueprints.api")

            listed = ", ".join(f'"{name}:bp"' for name in NAMES)
            return f"[platform]\\nblueprints = [{listed}]\\n" + TWO_TENANTS.replace('sections = ["help", "faq"]', "")
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error", "tests")
    result.assert_outcomes(passed=4)


def test_the_guides_several_registrations_stand_side_by_side(tmp_path: Path, write: Write, package: str) -> None:
    registrations = next(
        text for text in blocks("docs/blueprints.md", "python") if text.startswith("def registrations")
    )
    view = """
    from flask import Blueprint

    bp = Blueprint("notes", __name__)

    @bp.get("/")
    def index(section):
        return section

    """
    write(f"{package}/notes/__init__.py", textwrap.dedent(view) + "\n" + registrations)
    toml = f'[platform]\nblueprints = "{package}"\n[tenants.a]\npath = "/a"\nsections = ["one", "two"]\n'
    client = client_of(make_platform(tmp_path, toml), "a")
    assert (client.get("/one/").text, client.get("/two/").text) == ("one", "two")


def test_the_guides_existing_application_works(tmp_path: Path, write: Write, package: str) -> None:
    """Flask's tutorial in small: its factory's own rule, its database by hand, two tenants."""
    source = {block.splitlines()[0]: block for block in blocks("docs/blueprints.md", "python")}
    write(f"{package}/__init__.py", "")
    write(f"{package}/tenancy.py", source["# flaskr/tenancy.py"])
    write(
        f"{package}/db.py",
        """
        import sqlite3
        import click
        from flask import current_app, g

        def get_db():
            if "db" not in g:
                g.db = sqlite3.connect(current_app.config["DATABASE"])
            return g.db

        def close_db(e=None):
            if (db := g.pop("db", None)) is not None:
                db.close()

        @click.command("init-db")
        def init_db():
            with current_app.open_resource("schema.sql") as file:
                get_db().executescript(file.read().decode())

        def init_app(app):
            app.teardown_appcontext(close_db)
            app.cli.add_command(init_db)
        """,
    )
    write(f"{package}/schema.sql", "CREATE TABLE post (title TEXT);")
    write(f"{package}/auth.py", "from flask import Blueprint\nbp = Blueprint('auth', __name__, url_prefix='/auth')\n")
    write(
        f"{package}/blog.py",
        f"""
        from flask import Blueprint, redirect, request, url_for
        from {package}.db import get_db

        bp = Blueprint("blog", __name__)

        @bp.route("/", methods=("GET", "POST"))
        def index():
            if request.method == "POST":
                with get_db() as db:
                    db.execute("INSERT INTO post VALUES (?)", (request.form["title"],))
                return redirect(url_for("index"))
            return " ".join(title for (title,) in get_db().execute("SELECT title FROM post"))
        """,
    )
    toml = next(block for block in blocks("docs/blueprints.md", "toml") if "flaskr" in block)
    platform = make_platform(tmp_path, toml.replace("flaskr", package) + '[tenants.globex]\npath = "/globex"\n')
    for slug in ("acme", "globex"):
        with platform.tenant(slug):  # as 'flask init-db' does
            assert platform.tenant_app(slug).test_cli_runner().invoke(args=["init-db"]).exit_code == 0
    acme = client_of(platform, "acme")
    answer = acme.post("/", data={"title": "mine"})
    assert answer.headers["Location"] == "/acme/"
    assert acme.get("/").text == "mine"
    assert client_of(platform, "globex").get("/").text == ""


def test_what_the_guide_says_is_refused_is_what_is_refused() -> None:
    text = (ROOT / "docs" / "blueprints.md").read_text().split("and refuses:")[1].split("- **SECRET_KEY**")[0]
    words = set(re.findall(r"`([A-Z_]+)`", text))
    named = {f"SESSION_COOKIE{word}" if word.startswith("_") else word for word in words}
    assert named == set(OWNED_CONFIG)


def test_every_variable_that_is_read_is_documented() -> None:
    sources = [*(ROOT / "platform").rglob("*.py"), ROOT / "gunicorn.conf.py"]
    read: set[str] = set()
    for path in sources:
        read |= set(re.findall(r'os\.environ(?:\.get|\.setdefault)?[(\[]"([A-Z_]+)"', path.read_text()))
        read |= set(re.findall(r'^(?:CONFIG|ENVIRONMENT) = "([A-Z_]+)"', path.read_text(), re.M))
    documented = (ROOT / "docs" / "operating.md").read_text()
    # Set by gunicorn or systemd for their own children; nothing that an operator sets.
    assert {name for name in read - {"GUNICORN_FD", "LISTEN_FDS"} if f"`{name}`" not in documented} == set()


def test_the_operators_toml_is_valid(tmp_path: Path) -> None:
    (tmp_path / "tenants.toml").write_text(blocks("docs/operating.md", "toml")[0] + '[tenants.a]\npath = "/a"\n')
    _, tenants, problems = load(Sources(tmp_path / "tenants.toml"), "production")
    assert problems == []
    assert list(tenants) == ["a"]
