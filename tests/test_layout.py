"""The house: where things stand, and what each room may touch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import LONGEST, ROOT

TENANTRY = ROOT / "platform" / "tenantry"
MODULES = sorted([*TENANTRY.rglob("*.py"), *(ROOT / "blueprints").rglob("*.py")])


def imports(path: Path) -> set[str]:
    """Return the full names that a module imports at its top level or inside functions, relative ones resolved."""
    package = path.relative_to(ROOT / "platform" if path.is_relative_to(ROOT / "platform") else ROOT).parent.parts
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found.update(f"{module}.{alias.name}" for alias in node.names)
    return found


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def test_platform_is_a_plain_source_root() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()
    assert [path.name for path in (ROOT / "platform").glob("*.py")] == []


def test_a_fresh_interpreter_at_the_root_imports_the_standard_platform() -> None:
    code = "import platform; print(platform.__file__); platform.system()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).name == "platform.py"


@pytest.mark.parametrize(
    "name",
    [
        "wsgi.py",
        "tenants.toml",
        "tenants",
        "blueprints",
        "platform/tenantry",
        "tests",
        "bench",
        "docs",
        "deploy",
        "Makefile",
        "Procfile",
        "gunicorn.conf.py",
        "pyproject.toml",
        "requirements",
        "README.md",
        "CHANGES.md",
        "LICENSE",
        ".ci/run",
        "docs/tenants.schema.json",
    ],
)
def test_the_fixed_top_level_is_there(name: str) -> None:
    assert (ROOT / name).exists()


def test_wsgi_is_the_platform_and_nothing_else() -> None:
    statements = [node for node in ast.parse((ROOT / "wsgi.py").read_text()).body if not isinstance(node, ast.Expr)]
    assert [ast.unparse(node) for node in statements] == [
        "from tenantry import Platform",
        "application = Platform.from_file('tenants.toml')",
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", sorted(TENANTRY.rglob("*.py")), ids=lambda path: str(path.relative_to(TENANTRY)))
def test_tenantry_never_imports_the_blueprints(path: Path) -> None:
    assert not roots(path) & {"blueprints", "tenants"}


@pytest.mark.parametrize(
    "name", ["dispatcher", "doors", "registry", "loading", "schema", "tomlfile", "keys", "errors", "floor_plan"]
)
def test_rooms_that_know_no_flask(name: str) -> None:
    assert "flask" not in roots(TENANTRY / f"{name}.py")


def test_the_dispatcher_knows_nobody_here() -> None:
    assert "tenantry" not in roots(TENANTRY / "dispatcher.py")


def test_importing_the_registry_brings_no_web_framework_of_its_own() -> None:
    assert not {
        name for name in imports(TENANTRY / "registry.py") if name.startswith(("werkzeug", "flask", "gunicorn"))
    }


@pytest.mark.parametrize("path", sorted((ROOT / "blueprints").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_blueprints_use_public_names_only_and_never_each_other(path: Path) -> None:
    import tenantry

    own = path.relative_to(ROOT / "blueprints").parts[0]
    for name in imports(path):
        if name.startswith("tenantry."):
            assert name.split(".")[1] in tenantry.__all__, f"{name} is not public"
        if name.startswith("blueprints."):
            assert name.split(".")[1] == own, f"{name} is another blueprint's inside"


def test_the_files_that_take_longest_are_there() -> None:
    assert [name for name in LONGEST.split() if not list((ROOT / "tests").rglob(f"test_{name}.py"))] == []
