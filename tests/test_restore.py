"""Restores that are killed, refused, undone, and made of what hostile people send. Row 19 of the fault matrix."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import select

from tenantry import Platform, db
from tenantry.backups import archive as archives
from tenantry.backups.databases import check_programs, copy_database, let_nothing_out
from tenantry.backups.refusals import BadArchive
from tenantry.closing import alone_with, closed_slugs
from tenantry.mail.outbox import Outbox
from tenantry.testing import client_of, make_platform
from tenantry.users import User, issue_token
from test_backup import TENANTS, archive_of, command_line, content, environment, fill, leftovers, tenantry


@pytest.fixture
def tenants_toml() -> str:
    return TENANTS


@pytest.fixture
def run(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    return command_line(platform, tmp_path, monkeypatch)


def test_a_restore_brings_everything_back_and_can_be_undone(platform: Platform, run: Callable[..., Result]) -> None:
    fill(platform, "ada")
    then = content(platform)
    archive = archive_of(run)
    fill(platform, "bob")
    later = content(platform)
    assert later["people"] == ["ada", "bob"]
    done = run("restore", archive)
    assert done.exit_code == 0, done.output
    assert content(platform) == then
    undo = next(line for line in done.output.splitlines() if line.startswith("To undo this: "))
    assert run(*undo.removeprefix("To undo this: tenantry ").split()).exit_code == 0
    assert content(platform) == later
    assert leftovers(platform) == []


def test_a_restored_tenant_keeps_its_deed_and_tokens_and_ends_its_log_ins(
    platform: Platform, run: Callable[..., Result]
) -> None:
    client = client_of(platform, "acme")
    client.log_in("ada")
    assert client.get("/accounts/sessions").status_code == 200
    with platform.tenant("acme"):
        ada = db.session.scalar(select(User))
        assert ada
        token, _ = issue_token(ada.id, "t", ["read"], timedelta(days=1))
    archive = archive_of(run)
    assert run("restore", archive).exit_code == 0
    again = client_of(Platform.from_file(platform.registry.settings.file), "acme")
    again._cookies = client._cookies
    assert again.get("/accounts/sessions").status_code in (302, 401)
    assert again.get("/api/v1.0/users/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    again.platform.databases.close_idle()
    assert run("restore", archive, "--as", "globex").exit_code == 0
    other = client_of(Platform.from_file(platform.registry.settings.file), "globex")
    assert other.get("/api/v1.0/users/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    other.platform.databases.close_idle()


def test_mails_that_waited_are_not_sent_again(platform: Platform, run: Callable[..., Result]) -> None:
    with platform.tenant("acme"):
        db.session.add(Outbox(message_id="<1@x>", recipient="ada@example.com", subject="Hi", message=b"x"))
    assert run("restore", archive_of(run)).exit_code == 0
    (listed,) = json.loads(run("outbox", "acme", "--json").output)
    assert listed["state"] == "failed"
    assert "may have been sent since" in listed["error"]
    assert run("outbox", "acme", "--retry", "all").exit_code == 0
    (listed,) = json.loads(run("outbox", "acme", "--json").output)
    assert listed["state"] == "waiting"


def test_a_copy_is_served_beside_its_original(platform: Platform, run: Callable[..., Result], tmp_path: Path) -> None:
    fill(platform, "ada")
    archive = archive_of(run)
    done = run("restore", archive, "--as", "second")
    assert done.exit_code == 0, done.output
    table = done.output.partition("[tenants.second]")
    with (tmp_path / "tenants.toml").open("a") as file:
        file.write("".join(table[1:]))
    assert run("check").exit_code == 0
    assert content(platform, "second") == content(platform, "acme")
    deeds = {(tmp_path / "var" / "tenants" / slug / "deed").read_text() for slug in ("acme", "second")}
    assert len(deeds) == 2


def test_it_goes_to_another_machine_with_its_deed(
    platform: Platform, run: Callable[..., Result], tmp_path: Path
) -> None:
    fill(platform, "ada")
    archive = archive_of(run)
    there = tmp_path / "there"
    there.mkdir()
    other = make_platform(there, '[tenants.renamed]\npath = "/r"\n')
    with (tmp_path / archive).open("rb") as file:
        done = tenantry(there, "restore", "-", "--as", "renamed", stdin=file)
    assert done.returncode == 0, done.stderr
    assert content(other, "renamed")["people"] == ["ada"]
    assert (there / "var/tenants/renamed/deed").read_text() == (tmp_path / "var/tenants/acme/deed").read_text()


def test_an_overlay_that_is_a_link_is_replaced_time_and_again(
    platform: Platform, run: Callable[..., Result], tmp_path: Path
) -> None:
    fill(platform, "ada")
    overlay, real = platform.registry["acme"].folder, tmp_path / "real"
    archive = archive_of(run)
    shutil.move(overlay, real)
    (real / "more.txt").write_text("more")
    for _ in range(3):
        overlay.rename(tmp_path / "restored") if overlay.exists() else None
        overlay.symlink_to(real)
        done = run("restore", archive)
        assert done.exit_code == 0, done.output
        assert closed_slugs(platform.registry.settings) == frozenset()
        assert (overlay.is_symlink(), (overlay / "more.txt").exists()) == (False, False)
        assert (real / "more.txt").read_text() == "more", "what the link leads to stays"
        assert list(overlay.parent.glob(".acme.*")) == []
        shutil.rmtree(tmp_path / "restored", ignore_errors=True)


def test_an_overlay_is_on_the_disk_before_it_is_at_its_place(
    platform: Platform, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(platform, "ada")
    archive = archive_of(run)
    overlay, synced = platform.registry["acme"].folder, set()
    (overlay / "more.txt").write_text("more")

    def fsync(descriptor: int, real: Callable[[int], None] = os.fsync) -> None:
        real(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    assert run("restore", archive).exit_code == 0
    assert {path.stat().st_ino for path in (overlay, *overlay.rglob("*"))} <= synced
    assert run("clone", "acme", "copy").exit_code == 0
    copy = overlay.with_name("copy")
    assert {path.stat().st_ino for path in (copy, *copy.rglob("*"))} <= synced


def test_another_tenants_data_is_not_replaced(platform: Platform, run: Callable[..., Result]) -> None:
    fill(platform, "ada")
    fill(platform, "bob", "globex")
    before = content(platform, "globex")
    done = run("restore", archive_of(run), "--as", "globex")
    assert done.exit_code == 1
    assert "'globex' is another tenant, with a database of its own." in done.output
    assert content(platform, "globex") == before
    assert leftovers(platform) == []


@pytest.mark.parametrize("slug", ["../x", "Acme", "a/b", "-", ""])
def test_a_slug_that_is_none(platform: Platform, run: Callable[..., Result], slug: str) -> None:
    platform.tenant_app("acme")
    archive = archive_of(run)
    done = run("restore", archive, "--as", slug) if slug else run("restore", "nothing.tar.gz")
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert isinstance(done.exception, SystemExit)


@pytest.mark.parametrize("damage", ["missing", "garbage", "page", "empty"])
def test_a_database_that_is_broken_is_replaced(
    platform: Platform, run: Callable[..., Result], damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenantry.closing._SETTLING", 0.0)
    fill(platform, "ada")
    then = content(platform)
    archive = archive_of(run)
    file = platform.registry["acme"].database_file
    if damage == "missing":
        file.unlink()
    elif damage == "empty":
        file.write_bytes(b"")
    else:
        whole = file.read_bytes()
        start = 0 if damage == "garbage" else 8192
        file.write_bytes(whole[:start] + b"\xff" * 4096 + whole[start + 4096 :])
    file.with_name("tenant.db-wal").write_bytes(b"left behind")
    assert run("restore", archive).exit_code == 0
    assert content(platform) == then


def test_a_database_in_use_is_left_alone(
    platform: Platform, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(platform, "ada")
    archive = archive_of(run)
    fill(platform, "bob")
    before = content(platform)
    monkeypatch.setattr("tenantry.closing.alone_with", partial(alone_with, seconds=0.2))
    user = sqlite3.connect(platform.registry["acme"].database_file)
    user.execute("SELECT count(*) FROM tenantry_user").fetchone()
    done = run("restore", archive)
    assert done.exit_code == 1
    assert "has the database of 'acme' open" in done.output
    user.close()
    assert content(platform) == before
    assert leftovers(platform) == []


def test_older_tables_are_brought_up_to_date_and_newer_ones_refused(
    platform: Platform, run: Callable[..., Result], tmp_path: Path, write: Callable[[str, str], Path], package: str
) -> None:
    blueprint = "from flask import Blueprint\nbp = Blueprint('{0}', __name__)\n"
    migration = "revision, down_revision, branch_labels, depends_on = '{0}', {1}, {2}, None\ndef upgrade(): pass\n"
    write(f"{package}/notes/__init__.py", blueprint.format("notes"))
    write(f"{package}/notes/migrations/one.py", migration.format("notes_one", None, "('notes',)"))
    toml = f'[platform]\nblueprints = "{package}"\n[tenants.acme]\npath = "/acme"\n'
    there = tmp_path / "there"
    there.mkdir()
    made = make_platform(there, toml)
    made.tenant_app("acme")
    made.databases.close_idle()
    path = f"{there.parent}{os.pathsep}{environment()['PYTHONPATH']}"
    command = [sys.executable, "-m", "tenantry.cli"]
    call = partial(subprocess.run, cwd=there, env={**environment(), "PYTHONPATH": path}, capture_output=True, text=True)
    old = json.loads(call([*command, "backup", "create", "acme", "--json"]).stdout)[0]["archive"]
    two = write(f"{package}/notes/migrations/two.py", migration.format("notes_two", "'notes_one'", None))
    updated = call([*command, "restore", old])
    assert (updated.returncode, "brought up to date" in updated.stdout) == (0, True), updated.stderr
    new = json.loads(call([*command, "backup", "create", "acme", "--json"]).stdout)[0]["archive"]
    two.unlink()
    refused = call([*command, "restore", new])
    assert refused.returncode == 1
    assert "'notes_two', which is not among the blueprints' migrations here" in refused.stderr
    assert closed_slugs(make_platform(there, toml).registry.settings) == frozenset()


Change = Callable[[dict[str, Any], dict[str, tuple[tarfile.TarInfo, bytes]]], None]


def rebuilt(archive: bytes, change: Change) -> bytes:
    """Return an archive after a hostile person's change, with a manifest that fits it where they can make one fit."""
    members: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for info in tar:
            members[info.name] = (info, tar.extractfile(info).read())  # type: ignore[union-attr]  # all are files
    manifest = json.loads(members.pop("manifest.json")[1])
    change(manifest, members)
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as tar:
        text = json.dumps(manifest).encode()
        info = tarfile.TarInfo("manifest.json")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
        for info, body in members.values():
            tar.addfile(info, io.BytesIO(body))
    return written.getvalue()


def added(name: str, body: bytes = b"evil", listed: bool = True, **values: Any) -> Change:
    def change(manifest: dict[str, Any], members: dict[str, tuple[tarfile.TarInfo, bytes]]) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(body)
        for key, value in values.items():
            setattr(info, key, value)
        members[f"added {name}"] = (info, body)
        if listed:
            digest = hashlib.sha256(body).hexdigest()
            manifest["members"].append({"name": name, "size": info.size, "sha256": digest})

    return change


def edited(**values: Any) -> Change:
    return lambda manifest, members: manifest.update(values)


def dropped(name: str) -> Change:
    return lambda manifest, members: members.pop(name) and None  # type: ignore[func-returns-value]


def swapped(manifest: dict[str, Any], members: dict[str, tuple[tarfile.TarInfo, bytes]]) -> None:
    """Another tenant's database, with checksums that fit."""
    info, body = members["state/tenant.db"]
    copy = sqlite3.connect(":memory:")
    copy.deserialize(body)
    copy.execute("UPDATE tenantry_deed SET id = '00000000000000000000000000000001'")
    copy.commit()
    body = bytes(copy.serialize())
    info.size = len(body)
    members["state/tenant.db"] = (info, body)
    for member in manifest["members"]:
        if member["name"] == "state/tenant.db":
            member.update(size=len(body), sha256=hashlib.sha256(body).hexdigest())


HOSTILE: dict[str, Change] = {
    "out of the folder": added("../../evil"),
    "out of a folder in it": added("overlay/../../../evil"),
    "absolute": added("/tmp/evil"),
    "beside the known places": added("state/deed"),
    "not listed": added("overlay/evil", listed=False),
    "a link": added("overlay/link", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": added("overlay/link", b"", type=tarfile.LNKTYPE, linkname="state/tenant.db"),
    "a device": added("overlay/zero", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
    "a pipe": added("overlay/pipe", b"", type=tarfile.FIFOTYPE),
    "a folder": added("overlay/folder", b"", type=tarfile.DIRTYPE),
    "a file that nothing names": added("state/uploads/" + "0" * 32),
    "twice": added("overlay/views.py", listed=False),
    "a null in a name": lambda manifest, members: manifest["members"].append(
        {"name": "overlay/a\0b", "size": 0, "sha256": "0" * 64}
    ),
    "a missing member": dropped("state/tenant.db"),
    "a missing upload": lambda manifest, members: (
        [  # type: ignore[func-returns-value]
            (members.pop(name), manifest["members"].remove(member))
            for member in list(manifest["members"])
            if (name := member["name"]).startswith("state/uploads/")
        ]
        and None
    ),
    "another database": swapped,
    "another slug": edited(slug="../acme"),
    "another deed": edited(deed="0" * 32),
    "no deed": edited(deed="x"),
    "another schema": edited(schema=["none"]),
    "a newer format": edited(format=2),
    "no members": edited(members=[]),
    "members of another kind": edited(members={"name": 1}),
    "more than any disk has": lambda manifest, members: manifest["members"].append(
        {"name": "overlay/huge", "size": 1 << 60, "sha256": "0" * 64}
    ),
    "less than nothing": lambda manifest, members: manifest["members"].append(
        {"name": "overlay/less", "size": -1, "sha256": "0" * 64}
    ),
    "a table of another": lambda manifest, members: replaced_member(manifest, members, "tenant.toml", b"[x]\n"),
    "a table that is none": lambda manifest, members: replaced_member(manifest, members, "tenant.toml", b"\xff"),
}


HOSTILE |= {
    f"a file called {name!r}": added(name)
    for name in (
        "overlay/" + "n" * 300,
        "overlay/" + "\N{SNOWMAN}" * 100,
        "overlay/" + "n/" * 70 + "n",
        "overlay/" + "/".join(["n" * 250] * 9),
        "overlay/a\\b",
        "overlay/a\nb",
        "overlay/a\x1b[2Jb",
        "overlay/a\u2028b",
        "overlay/../a",
        "state/uploads/" + "0" * 32 + "/a",
        "state/uploads/evil.html",
    )
}
HOSTILE |= {
    f"{key} {value!r}": edited(**{key: value})
    for key, values in {
        "created_at": ["\x1b]0;evil\x07", "now", "", "2026-13-41T00:00:00Z", "2026-05-31T22:00:00Z\n", 1],
        "slug": ["\x1b[2J", "acme\n", ""],
        "tenantry": ["\x1b[31m0.1", "", "0.1\n", "9" * 70],
        "schema": [["\x1b[2J"], [""], ["a b"], [None], 1],
        "missing": [["\x1b[2J"], ["../x"], [""]],
        "format": [0, -1, True, 1.0, "\x1b[2J", float("inf"), None],
        "deed": ["\x1b[2J", 7, None],
    }.items()
    for value in values
}
HOSTILE |= {
    "a file that is a folder too": lambda manifest, members: (
        [added(name)(manifest, members) for name in ("overlay/a", "overlay/a/b")] and None
    ),
    "a folder that is a file too": lambda manifest, members: (
        [added(name)(manifest, members) for name in ("overlay/a/b/c", "overlay/a")] and None
    ),
    "half a character in a name": lambda manifest, members: manifest["members"].append(
        {"name": "overlay/\ud800", "size": 0, "sha256": "0" * 64}
    ),
    "a boundless size": lambda manifest, members: manifest["members"].append(
        {"name": "overlay/a", "size": float("inf"), "sha256": "0" * 64}
    ),
    "more than it has": lambda manifest, members: manifest["members"][0].update(
        size=manifest["members"][0]["size"] + 1
    ),
    "less than it has": lambda manifest, members: manifest["members"][0].update(size=1),
    "a checksum in capitals": lambda manifest, members: manifest["members"][0].update(
        sha256=manifest["members"][0]["sha256"].upper() + " "
    ),
}


def with_database(*statements: str) -> Change:
    """Another database, changed by statements, with checksums that fit."""

    def change(manifest: dict[str, Any], members: dict[str, tuple[tarfile.TarInfo, bytes]]) -> None:
        copy = sqlite3.connect(":memory:", isolation_level=None)
        copy.deserialize(members["state/tenant.db"][1])
        for statement in statements:
            copy.execute(statement)
        replaced_member(manifest, members, "state/tenant.db", bytes(copy.serialize()))

    return change


NO_LOGINS = "DROP TABLE tenantry_login"
HOSTILE |= {
    "a view for the log-ins": with_database(NO_LOGINS, "CREATE VIEW tenantry_login AS SELECT 1 AS id"),
    "a view for the deed": with_database(
        "ALTER TABLE tenantry_deed RENAME TO kept", "CREATE VIEW tenantry_deed AS SELECT id FROM kept"
    ),
    "an index of words for the log-ins": with_database(NO_LOGINS, "CREATE VIRTUAL TABLE tenantry_login USING fts5(id)"),
    "no log-ins": with_database(NO_LOGINS),
}
IGNORE = "BEFORE DELETE ON tenantry_login BEGIN SELECT RAISE(IGNORE); END"
HOSTILE |= {
    "a trigger that keeps log-ins": with_database(f"CREATE TRIGGER t {IGNORE}"),
    "a trigger by the name of one of ours": with_database(
        "DROP TRIGGER page_search_delete", f"CREATE TRIGGER page_search_delete {IGNORE}"
    ),
    "a trigger said to be an index": with_database(
        f"CREATE TRIGGER t {IGNORE}",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET type = 'index' WHERE name = 't'",
    ),
    "a trigger that makes an account": with_database(
        "CREATE TRIGGER t AFTER UPDATE ON alembic_version BEGIN UPDATE tenantry_user SET email = 'me@example.com'; END"
    ),
    "a trigger with a function that none knows": with_database(
        "CREATE TRIGGER t BEFORE UPDATE ON tenantry_deed BEGIN SELECT unheard_of(); END",
    ),
    "a view": with_database("CREATE VIEW v AS SELECT 1"),
    "a view of escapes": with_database("CREATE VIEW \"\x1b[2J\" AS SELECT '\x1b[2J'"),
    "another index of words": with_database("CREATE VIRTUAL TABLE evil USING fts5(a)"),
}


def replaced_member(manifest: dict[str, Any], members: dict[str, Any], name: str, body: bytes) -> None:
    info, _ = members[name]
    info.size = len(body)
    members[name] = (info, body)
    for member in manifest["members"]:
        if member["name"] == name:
            member.update(size=len(body), sha256=hashlib.sha256(body).hexdigest())


def test_archives_of_hostile_people(platform: Platform, run: Callable[..., Result], tmp_path: Path) -> None:
    fill(platform, "ada")
    before = content(platform)
    whole = (tmp_path / archive_of(run)).read_bytes()
    assert run("restore", "-", input=rebuilt(whole, lambda manifest, members: None)).exit_code == 0
    before_files = {path for path in tmp_path.rglob("*") if "replaced" not in path.parts}
    for name, change in HOSTILE.items():
        done = run("restore", "-", input=rebuilt(whole, change))
        assert done.exit_code == 1, name
        assert isinstance(done.exception, SystemExit), (name, done.exception)
        assert done.output.startswith("Error: The archive "), (name, done.output)
        assert done.output.removesuffix("\n").isprintable(), (name, done.output)
        assert content(platform) == before, name
        assert leftovers(platform) == [], name
    assert {path for path in tmp_path.rglob("*") if "replaced" not in path.parts} == before_files


@pytest.mark.parametrize("spare", [1, 64], ids=["a mebibyte less", "a margin less"])
def test_what_fills_the_disk_is_refused_before_it_is_written(
    platform: Platform, run: Callable[..., Result], tmp_path: Path, spare: int
) -> None:
    fill(platform, "ada")
    whole = (tmp_path / archive_of(run)).read_bytes()
    size = shutil.disk_usage(tmp_path).free - spare * 1024 * 1024

    def change(manifest: dict[str, Any], members: dict[str, Any]) -> None:
        manifest["members"].append({"name": "overlay/huge", "size": size, "sha256": "0" * 64})

    done = run("restore", "-", input=rebuilt(whole, change))
    assert (done.exit_code, "has room for" in done.output) == (1, True), done.output
    assert leftovers(platform) == []


def test_what_is_packed_too_tight_is_not_unpacked(
    platform: Platform, run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checksum fits, so that nothing else is wrong with it. A smaller one is restored, as an emptied database is."""
    fill(platform, "ada")
    whole = (tmp_path / archive_of(run)).read_bytes()
    bomb = rebuilt(whole, added("overlay/zeros", bytes(32 * 1024 * 1024)))
    monkeypatch.setattr(archives, "_LET_BE", 1024 * 1024)
    done = run("restore", "-", input=bomb)
    assert (done.exit_code, "it is packed to less than one in 200" in done.output) == (1, True), done.output
    assert leftovers(platform) == []
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert run("restore", "-", input=bomb).exit_code == 0


def test_log_ins_that_stay_are_noticed(platform: Platform, run: Callable[..., Result], tmp_path: Path) -> None:
    client = client_of(platform, "acme")
    client.log_in("ada")
    archive_of(run)
    file = platform.registry["acme"].database_file
    copy = tmp_path / "copy.db"
    for does, said in (("RAISE(IGNORE)", "keeps log-ins"), ("unheard_of()", "cannot be ended")):
        copy_database(file, copy)
        connection = sqlite3.connect(copy)
        connection.execute(f"CREATE TRIGGER t BEFORE DELETE ON tenantry_login BEGIN SELECT {does}; END")
        connection.close()
        with pytest.raises(BadArchive, match=said):
            let_nothing_out(copy)
        with pytest.raises(BadArchive, match="'t', which no migration here makes"):
            check_programs(copy, platform.schema)
        copy.unlink()
    copy_database(file, copy)
    check_programs(copy, platform.schema)
    let_nothing_out(copy)


@pytest.mark.parametrize(
    "made",
    [
        b"",
        b"no archive",
        gzip.compress(b""),
        gzip.compress(b"\0" * 10240),
        gzip.compress(b"x" * 10240),
        gzip.compress(tarfile.TarInfo("x").tobuf() + b"\0" * 1024),
        # A header that claims that its own text has 4 GiB, all zeros that pack well.
        gzip.compress(
            (lambda info: (setattr(info, "type", b"x"), setattr(info, "size", 1 << 32), info.tobuf())[2])(
                tarfile.TarInfo("x")
            )
            + b"\0" * 65536
        ),
    ],
    ids=["nothing", "text", "packed nothing", "zeros", "packed text", "an empty file", "a huge header"],
)
def test_what_is_no_archive(platform: Platform, run: Callable[..., Result], made: bytes) -> None:
    done = run("restore", "-", input=made)
    assert (done.exit_code, done.output[:31]) == (1, "Error: The archive is refused: "[:31]), done.output
    assert isinstance(done.exception, SystemExit)


#: Runs the command in forks of one process, each of which kills itself at one step that changes files.
DRIVER = """
import json, os, shutil, signal, sys
from pathlib import Path
from tenantry import Platform, db
from tenantry.cli import main
from tenantry.closing import alone_with, closed_slugs
import tenantry.schema_versions, tenantry.backups, alembic.command, sqlite3

STEPS = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "sqlite3.connect", "shutil.rmtree", "os.truncate"}
archive, at, step_by = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def in_fork(do):
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            status = do()
        except SystemExit as leaving:
            status = leaving.code or 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def restore(kill_at=None):
    count = 0

    def hook(event, arguments):
        nonlocal count
        if event in STEPS or (event == "open" and isinstance(arguments[1], str) and arguments[1][0] in "wx+") or (
            event == "open" and arguments[1] is None and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        ):
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    main(["restore", archive], standalone_mode=True)


def look():
    \"\"\"What a worker would serve: the name that everything has, or that it is closed.\"\"\"
    from tenantry.errors import TenantUnavailable
    from tenantry.uploads import Upload
    from tenantry.users import User
    from sqlalchemy import select
    platform = Platform.from_file("tenants.toml")
    try:
        with platform.tenant("acme") as tenant:
            people = db.session.scalars(select(User.username)).all()
            pictures = {each.alt: each.id for each in db.session.scalars(select(Upload))}
        assert {path.name for path in (tenant.state / "uploads").iterdir()} == set(pictures.values())
        assert sorted(people) == sorted(pictures), (people, pictures)
        assert (tenant.state / "instance" / "note.txt").read_text() == people[-1]
        assert (tenant.folder / "static" / "name.txt").read_text() == people[-1]
        seen = "new" if people == ["ada"] else "old"
        assert people in (["ada"], ["ada", "bob"])
    except TenantUnavailable as error:
        assert "is closed" in str(error), error
        seen = "closed"
    platform.databases.close_idle()
    return {"new": 10, "old": 11, "closed": 12}[seen]


def put_back():
    for name in ("var", "tenants"):
        shutil.rmtree(name)
        shutil.copytree(Path("kept") / name, name)


look()  # so that the forks need not import the blueprints each time
seen = []
while True:
    ended = in_fork(lambda: restore(at))
    if ended == 0:
        break
    assert ended == -signal.SIGKILL, ended
    state = in_fork(look)
    assert state in (10, 11, 12), (at, state)
    seen.append(state)
    assert in_fork(restore) == 0, at
    assert in_fork(look) == 10, at
    left = [str(path) for name in ("drafts", "switching") for path in (Path("var") / name).iterdir()]
    left += [str(path) for path in Path("var/closed").iterdir() if path.name[0] != "."]
    left += map(str, Path("tenants").glob(".*"))
    assert left == [], (at, left)
    put_back()
    at += 1 if state == 12 else step_by
print(json.dumps(seen))
"""


def test_row_19_killed_at_every_step_a_rerun_finishes(
    platform: Platform, run: Callable[..., Result], tmp_path: Path
) -> None:
    """Each time the tenant is as it was, as it is to be, or closed; never in between."""
    fill(platform, "ada")
    archive = archive_of(run)
    fill(platform, "bob")
    platform.databases.close_idle()
    for name in ("var", "tenants"):
        shutil.copytree(tmp_path / name, tmp_path / "kept" / name)
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, archive, "1", "5"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    seen = Counter(json.loads(done.stdout))
    print(seen)
    assert min(seen[11], seen[12]) >= 5
    assert sum(seen.values()) > 30


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could work on what belongs to another user")
def test_root_does_not_work_on_what_belongs_to_the_service(
    platform: Platform, run: Callable[..., Result], tmp_path: Path
) -> None:
    """Whoever owns the state folder could make root write, read or run anything, by links and forged notes in it."""
    fill(platform, "ada")
    archive = archive_of(run)
    os.chown(tmp_path / "var", 1234, 1234)
    before = sorted((tmp_path / "var").rglob("*"))
    for command in (("restore", archive), ("backup", "create", "acme"), ("status",), ("list",), ("rollback", "1")):
        refused = run(*command)
        assert refused.exit_code == 1
        assert "belongs to the user #1234. Run this as that user: sudo -u #1234 tenantry" in refused.output
    assert sorted((tmp_path / "var").rglob("*")) == before
    assert run("check").exit_code == 0, "which reads the operator's own files alone"
