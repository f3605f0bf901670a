"""Row 19: whoever kills a command at any step leaves nothing half routable, and a rerun finishes the job."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import dying
import pytest
from werkzeug.test import Client

from conftest import ROOT
from tenantry.app import Platform
from tenantry.memory import Memory
from tenantry.taking_up import at_start
from tenantry.testing import share_between_tests

OTHERS = {"/acme/-/theme.css": 200}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site that is served, with an archived tenant that another one names as its partner, and an upload."""
    dying.import_all()
    folder = tmp_path_factory.mktemp("prepared")
    shutil.copytree(ROOT / "tenants", folder / "tenants", ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "tenants.toml").read_text()
    folder.joinpath("tenants.toml").write_text(
        text.replace("[platform]\n", '[platform]\nwarm = ["globex", "initech"]\n')
    )
    dying.command(folder, "provision", "--all")
    (folder / "tenants" / "globex" / "static").mkdir(parents=True)
    (folder / "tenants" / "globex" / "static" / "note.txt").write_text("theirs")
    for slug in ("acme", "globex", "initech"):
        (folder / "var" / "tenants" / slug / "uploads").mkdir(exist_ok=True)
        (folder / "var" / "mail" / slug).mkdir(parents=True)
        (folder / "var" / "mail" / slug / "a.eml").write_text("Subject: a\n")
    dying.command(folder, "users", "add", "acme", "ada@example.com")
    dying.command(folder, "users", "add", "initech", "peter@example.com")
    dying.command(folder, "archive", "globex")
    # What each child would compile anew is compiled here.
    platform = share_between_tests(Platform(at_start(folder / "tenants.toml", Memory()).registry))
    Client(platform).get("/acme/-/theme.css", base_url="http://localhost/")
    platform.databases.close_idle()
    return folder


@pytest.fixture
def again(prepared: Path, tmp_path: Path) -> Callable[[], Path]:
    """Return the site as it was prepared, each time."""
    folder = tmp_path / "site"

    def anew() -> Path:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(prepared, folder)
        return folder

    return anew


def answers(folder: Path, *paths: str) -> dict[str, int]:
    """What a server answers that starts now, in the middle of everything."""

    def ask() -> dict[str, int]:
        found = at_start(folder / "tenants.toml", Memory())
        assert not found.problems, found.problems
        client = Client(share_between_tests(Platform(found.registry)))
        return {path: client.get(path, base_url="http://localhost/").status_code for path in paths}

    found: dict[str, int] = dying.in_child(folder, ask)
    return found


def deed(folder: Path, slug: str) -> str:
    with closing(sqlite3.connect(folder / "var" / "tenants" / slug / "tenant.db")) as connection:
        found: str = connection.execute("SELECT id FROM tenantry_deed").fetchone()[0]
    return found


def users(folder: Path, slug: str) -> list[str]:
    with closing(sqlite3.connect(folder / "var" / "tenants" / slug / "tenant.db")) as connection:
        return [row[0] for row in connection.execute("SELECT username FROM tenantry_user ORDER BY id")]


def nothing_is_left(folder: Path) -> None:
    state = folder / "var"
    for place in (state / "closed", state / "drafts"):
        assert not place.exists() or list(place.iterdir()) == [], place
    assert [path for path in folder.rglob(".*") if "var" not in path.parts] == []


def killed_everywhere(again: Callable[[], Path], args: list[str], between: Callable[[Path], None]) -> None:
    """Kill a command before each of its changes, look at what that left, and run it again."""
    steps, folder = 0, again()
    while dying.command(folder, *args, killed_at=steps + 1) == -1:
        steps += 1
        between(folder)
        dying.command(folder, *args)
        after(folder, args)
        folder = again()
    assert steps > 10
    folder = again()
    # And one that is killed again and again, a step later each time.
    for step in range(1, steps + 1, 4):
        if dying.command(folder, *args, killed_at=step) >= 0:
            break
    else:
        dying.command(folder, *args)
    after(folder, args)


def after(folder: Path, args: list[str]) -> None:
    nothing_is_left(folder)
    FINISHED[args[0]](folder)


def added(folder: Path) -> None:
    assert answers(folder, "/umbrella/-/theme.css", *OTHERS) == {"/umbrella/-/theme.css": 200, **OTHERS}
    assert users(folder, "umbrella") == ["ada"]
    assert (folder / "tenants.toml").read_text().count("[tenants.umbrella]") == 1


def cloned(folder: Path) -> None:
    assert answers(folder, "/copy/-/theme.css", *OTHERS) == {"/copy/-/theme.css": 200, **OTHERS}
    assert deed(folder, "copy") != deed(folder, "initech")
    assert users(folder, "copy") == ["peter"]
    assert (folder / "tenants" / "copy" / "views.py").exists()
    assert (folder / "tenants.toml").read_text().count("[tenants.copy]") == 1


def renamed(folder: Path) -> None:
    assert answers(folder, "/initech/-/theme.css", "/acme/-/theme.css") == {
        "/initech/-/theme.css": 200,
        "/acme/-/theme.css": 200,
    }
    assert users(folder, "brand") == ["peter"]
    state = folder / "var"
    assert (state / "mail" / "brand" / "a.eml").exists()
    assert not (state / "tenants" / "initech" / "tenant.db").exists()
    assert not (folder / "tenants" / "initech").exists()
    assert (state / "deeds" / deed(folder, "brand")).read_text() == "brand\n"
    text = (folder / "tenants.toml").read_text()
    assert "initech.views" not in text
    assert 'warm = ["globex", "brand"]' in text


def removed(folder: Path) -> None:
    assert answers(folder, "/globex/-/theme.css", *OTHERS) == {"/globex/-/theme.css": 404, **OTHERS}
    left = {str(path.relative_to(folder)) for path in folder.rglob("*globex*") if "registry" not in path.parts}
    backups = {each for each in left if each.startswith("var/backups/globex")}
    assert left - backups == {"var/locks/globex"}
    assert any(each.endswith(".tar.gz") for each in backups)
    text = (folder / "tenants.toml").read_text()
    assert "globex" not in text
    assert 'warm = ["initech"]' in text


FINISHED = {"add": added, "clone": cloned, "rename": renamed, "remove": removed}


def test_add(again: Callable[[], Path]) -> None:
    def between(folder: Path) -> None:
        assert answers(folder, "/umbrella/-/theme.css")["/umbrella/-/theme.css"] in (404, 503, 200)

    killed_everywhere(again, ["add", "umbrella", "--title", "Umbrella", "--admin", "ada@example.com"], between)


def test_clone(again: Callable[[], Path]) -> None:
    def between(folder: Path) -> None:
        assert answers(folder, "/copy/-/theme.css")["/copy/-/theme.css"] in (404, 503, 200)

    killed_everywhere(again, ["clone", "initech", "copy"], between)


def test_rename(again: Callable[[], Path]) -> None:
    def between(folder: Path) -> None:
        assert answers(folder, "/initech/-/theme.css")["/initech/-/theme.css"] in (503, 200)
        dying.said(folder, "provision", "--all")
        dying.said(folder, "provision", "initech", "--new-deed")
        assert answers(folder, "/initech/-/theme.css")["/initech/-/theme.css"] in (503, 200)
        # Whoever has the database, nobody has begun a new one meanwhile.
        there = [slug for slug in ("initech", "brand") if (folder / "var" / "tenants" / slug / "tenant.db").exists()]
        assert [users(folder, slug) for slug in there] == [["peter"]]

    killed_everywhere(again, ["rename", "initech", "brand"], between)


def test_remove(again: Callable[[], Path]) -> None:
    def between(folder: Path) -> None:
        assert answers(folder, "/globex/-/theme.css") == {"/globex/-/theme.css": 404}

    killed_everywhere(again, ["remove", "globex", "--yes", "globex"], between)


def test_a_rename_that_finds_two_tenants_leaves_both_to_a_person(again: Callable[[], Path]) -> None:
    folder = again()
    steps = 1
    while not (folder / "var" / "tenants" / "brand" / "tenant.db").exists():
        folder = again()
        assert dying.command(folder, "rename", "initech", "brand", killed_at=steps) == -1
        steps += 1
    other = folder / "var" / "tenants" / "initech"
    other.mkdir(exist_ok=True)
    (other / "tenant.db").write_bytes(b"")
    for _ in range(2):
        status, said = dying.said(folder, "rename", "initech", "brand")
        assert (status, "expected only one of them" in said) == (1, True), said
        assert answers(folder, "/initech/-/theme.css") == {"/initech/-/theme.css": 503}
        assert users(folder, "brand") == ["peter"]
    _, said = dying.said(folder, "status")
    for slug in ("initech", "brand"):
        note = json.loads((folder / "var" / "closed" / slug).read_text())
        assert f"'{slug}' is closed by 'tenantry rename' (process {note['pid']}) since " in said
        told = json.loads(dying.said(folder, "status", "--json")[1])["closed"][slug]
        assert told == {"task": "rename", "since": note["since"], "pid": note["pid"]}
    shutil.rmtree(other)
    dying.command(folder, "rename", "initech", "brand")
    renamed(folder)
