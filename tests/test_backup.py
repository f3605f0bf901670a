"""Backups under writes, restored elsewhere and in place. Row 20 of the fault matrix: the client keeps the ledger."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import sqlite3
import stat
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image
from sqlalchemy import select

from conftest import ROOT, Server, environ_without_tenantry
from tenantry import Platform, db, files, uploads
from tenantry.backups.contents import keep_file
from tenantry.backups.drafts import draft
from tenantry.backups.keeping import place_for, prepare_folder, written_whole
from tenantry.cli import main
from tenantry.closing import closing
from tenantry.users import User

LEDGER = """
from flask import Blueprint, request
from sqlalchemy import func, select
from sqlalchemy.orm import Mapped, mapped_column
from tenantry import cache, db, uploads
from werkzeug.datastructures import FileStorage

bp = Blueprint("ledger", __name__, url_prefix="/ledger")


class Line(db.Model):
    __tablename__ = "backup_line"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


@bp.post("/<text>")
def write(text):
    if request.content_length:
        upload = uploads.save_picture(FileStorage(request.stream, text))
        text = f"{text}={upload.id}"
    db.session.add(Line(text=text))
    return text


@bp.get("/")
def read():
    return list(db.session.scalars(select(Line.text).order_by(Line.id)))


@bp.get("/count")
def count():
    return str(cache.get_or_set("count", lambda: db.session.scalar(select(func.count()).select_from(Line)), 3600))


@bp.get("/picture/<id>")
def picture(id):
    return uploads.send(id)
"""
MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "backup_0001", None, ("ledger",), None


def upgrade():
    op.create_table("backup_line", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("text", sa.Text()))
"""
LEDGER_TOML = """
[platform]
blueprints = "backup_set"
[defaults]
limits = { requests_per_minute = 1000000, concurrency = 16 }
[tenants.acme]
path = "/acme"
[tenants.copy]
path = "/copy"
"""


def environment() -> dict[str, str]:
    return {
        **environ_without_tenantry(),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(ROOT)]),
        "TENANTRY_ENV": "testing",
    }


def tenantry(folder: Path, *words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "tenantry.cli", *words]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, **options)


def picture(seed: int) -> bytes:
    written = io.BytesIO()
    Image.frombytes("RGB", (40, 40), hashlib.shake_128(str(seed).encode()).digest(4800)).save(written, "PNG")
    return written.getvalue()


def send(server: Server, name: str, body: bytes = b"") -> tuple[int, str]:
    head = f"POST /acme/ledger/{name} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    answer = server.raw(head.encode() + body)
    status, _, text = answer.partition(b" ")[2].partition(b" ")[0], b"", answer.partition(b"\r\n\r\n")[2]
    return int(status), text.decode()


class Ledger:
    """Threads that write lines, and now and then a picture. Each notes when it sent and when it was answered."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.entries: list[list[tuple[float, float, str]]] = [[], [], []]
        self.refused = Counter[int]()
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._write, args=(number,)) for number in range(3)]
        for thread in self.threads:
            thread.start()

    def _write(self, number: int) -> None:
        count = 0
        while not self.stop.is_set():
            sent, name = time.monotonic(), f"{number}-{count}"
            status, text = send(self.server, name, picture(count) if count % 5 == 0 else b"")
            if status == 200:
                self.entries[number].append((sent, time.monotonic(), text))
            else:
                self.refused[status] += 1
            count += 1

    def wait_for(self, count: int) -> None:
        wanted = sum(map(len, self.entries)) + count
        deadline = time.monotonic() + 30
        while sum(map(len, self.entries)) < wanted:
            assert time.monotonic() < deadline, self.refused
            time.sleep(0.01)

    def end(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def server(tmp_path: Path, serve: Callable[..., Server]) -> Server:
    package = tmp_path / "backup_set" / "ledger"
    (package / "migrations").mkdir(parents=True)
    (tmp_path / "backup_set" / "__init__.py").touch()
    (package / "__init__.py").write_text(LEDGER)
    (package / "migrations" / "backup_0001.py").write_text(MIGRATION)
    (tmp_path / "tenants.toml").write_text(LEDGER_TOML)
    return serve(tmp_path)


def test_row_20_a_backup_under_writes_restored_elsewhere(
    tmp_path: Path, server: Server, serve: Callable[..., Server]
) -> None:
    ledger = Ledger(server)
    try:
        ledger.wait_for(100)
        began = time.monotonic()
        made = tenantry(tmp_path, "backup", "create", "acme", "--json")
        ended = time.monotonic()
        ledger.wait_for(60)
    finally:
        ledger.end()
    assert made.returncode == 0, made.stderr
    (created,) = json.loads(made.stdout)
    restored = tenantry(tmp_path, "restore", created["archive"], "--as", "copy")
    assert restored.returncode == 0, restored.stderr
    server.stop()
    server = serve(tmp_path)
    assert not ledger.refused

    there = json.loads(server.get("/copy/ledger/").body)
    assert max(Counter(there).values()) == 1
    acknowledged = [entry for entries in ledger.entries for entry in entries]
    assert set(there) <= {text for _, _, text in acknowledged}
    assert {text for _, answered, text in acknowledged if answered < began} <= set(there), "what was before is there"
    assert not {text for sent, _, text in acknowledged if sent > ended} & set(there), "what came after is not"
    for entries in ledger.entries:
        flags = [text in there for _, _, text in entries]
        assert flags == sorted(flags, reverse=True), "each writer's lines are there up to one of them"
    ids = [text.partition("=")[2] for text in there if "=" in text]
    assert len(ids) > 20
    for text, id in ((text, text.partition("=")[2]) for text in there if "=" in text):
        count = int(text.partition("=")[0].partition("-")[2])
        origin, copy = (server.get(f"/{slug}/ledger/picture/{id}") for slug in ("acme", "copy"))
        assert (copy.status, copy.body) == (200, origin.body)
        assert Image.open(io.BytesIO(copy.body)).tobytes() == Image.open(io.BytesIO(picture(count))).tobytes()
    state = tmp_path / "var" / "tenants" / "copy"
    assert {path.name for path in (state / "uploads").iterdir()} == set(ids)
    assert sqlite3.connect(state / "tenant.db").execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert (state / "deed").read_text() != (tmp_path / "var" / "tenants" / "acme" / "deed").read_text()
    assert len(json.loads(server.get("/acme/ledger/").body)) == len(acknowledged), "the original has lost nothing"


def test_a_tenant_is_restored_while_it_is_served_and_written_to(tmp_path: Path, server: Server) -> None:
    """Whoever asks meanwhile is told to wait. What was written in between is gone, and nothing of what came after."""
    for number in range(50):
        assert send(server, f"first-{number}")[0] == 200
    then = json.loads(server.get("/acme/ledger/").body)
    archive = json.loads(tenantry(tmp_path, "backup", "create", "acme", "--json").stdout)[0]["archive"]
    ledger = Ledger(server)
    try:
        ledger.wait_for(60)
        assert int(server.get("/acme/ledger/count").text) > 50
        began = time.monotonic()
        restored = tenantry(tmp_path, "restore", archive)
        ended = time.monotonic()
        ledger.wait_for(60)
    finally:
        ledger.end()
    assert restored.returncode == 0, restored.stderr
    assert set(ledger.refused) <= {503}
    there = json.loads(server.get("/acme/ledger/").body)
    assert there[:50] == then
    assert max(Counter(there).values()) == 1
    entries = [entry for entries in ledger.entries for entry in entries]
    assert not {text for _, answered, text in entries if answered < began} & set(there)
    assert {text for sent, _, text in entries if sent > ended} <= set(there)
    assert set(there[50:]) <= {text for _, _, text in entries}
    assert int(server.get("/acme/ledger/count").text) >= 50
    (replaced,) = (tmp_path / "var" / "replaced").iterdir()
    old = sqlite3.connect(replaced / "tenant.db")
    kept = Counter(text for (text,) in old.execute("SELECT text FROM backup_line"))
    old.close()
    lost = {text for _, _, text in entries} - set(there)
    assert lost <= set(kept), "every acknowledged line is in what is served now, or in what was replaced"
    assert set(kept) & set(there) == set(then)
    assert "Traceback" not in server.output()


#: The tenants of the tests in this process.
TENANTS = '[tenants.acme]\ntitle = "Acme"\npath = "/acme"\n[tenants.globex]\npath = "/globex"\n'


@pytest.fixture
def tenants_toml() -> str:
    return TENANTS


@pytest.fixture
def run(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    return command_line(platform, tmp_path, monkeypatch)


def command_line(platform: Platform, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command line, in this process, whose own connections are given up each time."""
    monkeypatch.chdir(folder)

    def invoke(*words: str, **options: Any) -> Result:
        platform.databases.close_idle()
        return CliRunner().invoke(main, list(words), **options)

    return invoke


def fill(platform: Platform, name: str, slug: str = "acme") -> None:
    """Give a tenant an account, a picture, an overlay and a file of its own that are called by a name."""
    with platform.tenant(slug):
        db.session.add(User(username=name, email=f"{name}@example.com", name=name.capitalize()))
        from werkzeug.datastructures import FileStorage

        uploads.save_picture(FileStorage(io.BytesIO(picture(len(name))), f"{name}.png"), alt=name)
    tenant = platform.registry[slug]
    (tenant.state / "instance").mkdir(exist_ok=True)
    (tenant.state / "instance" / "note.txt").write_text(name)
    (tenant.folder / "static").mkdir(parents=True, exist_ok=True)
    (tenant.folder / "static" / "name.txt").write_text(name)


def content(platform: Platform, slug: str = "acme") -> dict[str, Any]:
    """What a tenant has, as it is served now."""
    fresh = Platform.from_file(platform.registry.settings.file)
    tenant = fresh.registry[slug]
    with fresh.tenant(slug):
        people = db.session.scalars(select(User.username).order_by(User.id)).all()
        pictures = {each.alt: each.id for each in db.session.scalars(select(uploads.Upload))}
    assert {path.name for path in (tenant.state / "uploads").iterdir()} == set(pictures.values())
    fresh.databases.close_idle()
    return {
        "people": people,
        "pictures": sorted(pictures),
        "note": (tenant.state / "instance" / "note.txt").read_text(),
        "static": (tenant.folder / "static" / "name.txt").read_text(),
    }


def archive_of(run: Callable[..., Result], slug: str = "acme") -> str:
    made = run("backup", "create", slug, "--json")
    assert made.exit_code == 0, made.output
    return str(json.loads(made.stdout)[0]["archive"])


def leftovers(platform: Platform) -> list[str]:
    """Return what is there that no run leaves behind once it is finished."""
    state = platform.registry.settings.state_dir
    folders = [state / name for name in ("drafts", "switching", "closed")]
    hidden = [*state.rglob(".*"), *platform.registry.settings.root.glob("tenants/.*")]
    return sorted(str(path) for path in [*(p for f in folders if f.exists() for p in f.iterdir()), *hidden])


def test_an_archive_holds_everything_and_opens_without_tenantry(
    platform: Platform, run: Callable[..., Result], tmp_path: Path
) -> None:
    fill(platform, "ada")
    archive = tmp_path / archive_of(run)
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert stat.S_IMODE(archive.parent.stat().st_mode) == 0o700
    subprocess.run(["mkdir", "out"], cwd=tmp_path, check=True)
    subprocess.run(["tar", "-xzf", str(archive), "-C", "out"], cwd=tmp_path, check=True)
    out = tmp_path / "out"
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["slug"], manifest["format"]) == ("acme", 1)
    assert manifest["deed"] in (tmp_path / "var/tenants/acme/deed").read_text().replace("-", "")
    for member in manifest["members"]:
        content = (out / member["name"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (member["size"], member["sha256"])
    names = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert names == {"manifest.json", *(member["name"] for member in manifest["members"])}
    assert {"state/tenant.db", "tenant.toml", "overlay/static/name.txt", "state/instance/note.txt"} < names
    assert (out / "tenant.toml").read_text() == '[tenants.acme]\ntitle = "Acme"\npath = "/acme"\n'
    with tarfile.open(archive) as tar:
        assert tar.next().name == "manifest.json"  # type: ignore[union-attr]  # there is one


def test_a_damaged_database_is_not_backed_up_as_if_it_were_sound(
    platform: Platform, run: Callable[..., Result]
) -> None:
    fill(platform, "ada")
    archive_of(run)
    platform.databases.close_idle()
    with platform.registry["acme"].database_file.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 4096)
    done = run("backup", "create", "--all", "--keep", "1")
    assert done.exit_code == 1
    assert "failed" in done.output
    assert len(json.loads(run("backup", "list", "acme", "--json").output)) == 1, "the sound one is kept"
    assert leftovers(platform) == []


@pytest.mark.parametrize("name", ["a\\b", "a\nb", "a\x1b[2J"])
def test_what_could_not_be_restored_is_not_backed_up(platform: Platform, run: Callable[..., Result], name: str) -> None:
    """Neither where it cannot be read back, as it is encrypted or goes to a pipe."""
    fill(platform, "ada")
    (platform.registry["acme"].folder / name).touch()
    for to in ((), ("--to", "-")):
        made = run("backup", "create", "acme", *to)
        assert made.exit_code == 1, made.output
        assert "which has no place in an archive" in made.output
        assert "\x1b" not in made.output
    assert leftovers(platform) == []


def test_all_goes_past_failures(platform: Platform, run: Callable[..., Result]) -> None:
    for slug in ("acme", "globex"):
        platform.tenant_app(slug)
    with closing(platform.registry.settings, "acme", "rename") as task:
        task.reach(half=True)
        done = run("backup", "create", "--all", "--jobs", "4", "--json")
    rows = {row["slug"]: row for row in json.loads(done.stdout)}
    assert done.exit_code == 1
    assert rows["acme"]["result"] == "failed"
    assert "Another process holds" in rows["acme"]["reason"]
    assert rows["globex"]["result"] == "created"
    assert "2 backed up, 0 failed." in run("backup", "create", "acme", "globex").stderr


def test_what_is_kept_is_ours_alone(platform: Platform, run: Callable[..., Result], tmp_path: Path) -> None:
    platform.tenant_app("acme")
    archive = tmp_path / archive_of(run)
    others = ["notes.txt", "acme-20200101T000000Z.tar.gz", "acme-old.tar.gz", "globex-20200101T000000Z.tar.gz"]
    for name in others:
        (archive.parent / name).write_bytes(b"somebody's")
    for day in range(1, 5):
        (archive.parent / f"acme-2021010{day}T000000Z.tar.gz").write_bytes(archive.read_bytes())
    archive.unlink()
    assert run("backup", "create", "acme", "--keep", "2").exit_code == 0
    left = {path.name for path in archive.parent.iterdir()}
    assert len(left - set(others)) == 2
    assert "acme-20210104T000000Z.tar.gz" in left
    assert set(others) <= left


def test_encrypted_to_a_key(platform: Platform, run: Callable[..., Result], tmp_path: Path) -> None:
    pyrage = pytest.importorskip("pyrage")
    fill(platform, "ada")
    then = content(platform)
    keys = [pyrage.x25519.Identity.generate() for _ in range(2)]
    for number, key in enumerate(keys):
        (tmp_path / f"key{number}").write_text(f"# created: now\n{key}\n")
    made = run("backup", "create", "acme", "--recipient", str(keys[0].to_public()), "--keep", "1", "--json")
    assert made.exit_code == 0, made.output
    archive = json.loads(made.stdout)[0]["archive"]
    assert archive.endswith(".tar.gz.age")
    assert b"ada" not in (tmp_path / archive).read_bytes()
    assert "is encrypted" in run("backup", "verify", archive).output
    assert "the key is another one" in run("backup", "verify", archive, "--identity", "key1").output
    assert run("backup", "verify", archive, "--identity", "key0").exit_code == 0
    assert run("restore", archive).exit_code == 1
    assert run("restore", archive, "--identity", "key0").exit_code == 0
    assert content(platform) == then
    whole = (tmp_path / archive).read_bytes()
    for damaged in (whole[:-10], whole[: len(whole) // 2], whole[:400] + bytes([whole[400] ^ 1]) + whole[401:]):
        (tmp_path / "damaged.age").write_bytes(damaged)
        done = run("restore", "damaged.age", "--identity", "key0")
        assert (done.exit_code, done.output[:7]) == (1, "Error: "), done.output
    assert content(platform) == then
    bad = run("backup", "create", "acme", "--recipient", "age1nonsense")
    assert (bad.exit_code, "is no public key" in bad.output) == (1, True)
    assert leftovers(platform) == []


def test_every_cut_and_every_flipped_byte_is_found(
    platform: Platform, run: Callable[..., Result], tmp_path: Path
) -> None:
    fill(platform, "ada")
    whole = (tmp_path / archive_of(run)).read_bytes()
    damaged = [whole[:size] for size in range(0, len(whole), 997)]
    damaged += [whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :] for at in range(20, len(whole), 911)]
    names = []
    for number, each in enumerate(damaged):
        (tmp_path / f"{number}.gz").write_bytes(each)
        names.append(f"{number}.gz")
    done = run("backup", "verify", *names, "--json")
    rows = json.loads(done.stdout)
    assert done.exit_code == 1
    assert {row["result"] for row in rows} == {"failed"}
    assert all(row["reason"].startswith("The archive is refused: ") for row in rows), rows


def test_a_backup_that_is_killed_leaves_nothing_that_looks_like_one(
    platform: Platform, run: Callable[..., Result], tmp_path: Path
) -> None:
    fill(platform, "ada")
    platform.databases.close_idle()
    kill = textwrap.dedent(
        """
        import os, signal, sys
        from tenantry.cli import main
        count = 0
        def hook(event, arguments):
            global count
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if event in ("os.rename", "os.link", "os.mkdir", "sqlite3.connect") or writes:
                count += 1
                if count == int(sys.argv[1]):
                    os.kill(os.getpid(), signal.SIGKILL)
        def run():
            sys.addaudithook(hook)
            main(["backup", "create", "acme"])
        import tenantry.backups
        run()
        """
    )
    killed = 0
    for step in range(4, 40, 6):
        done = subprocess.run(
            [sys.executable, "-c", kill, str(step)], cwd=tmp_path, env=environment(), capture_output=True
        )
        listed = json.loads(run("backup", "list", "--json").output)
        if done.returncode == 0:
            break
        killed += 1
        for row in listed:
            assert run("backup", "verify", row["archive"]).exit_code == 0
    assert killed >= 3
    archive_of(run)
    assert leftovers(platform) == []


def test_the_command_line_says_what_is_wrong(platform: Platform, run: Callable[..., Result], tmp_path: Path) -> None:
    platform.tenant_app("acme")
    assert run("backup", "create").exit_code == 2
    assert run("backup", "create", "acme", "--all").exit_code == 2
    assert run("backup", "create", "--keep", "0", "acme").exit_code == 2
    assert "did you mean 'acme'" in run("backup", "create", "acm").output
    assert "did you mean 'verify'" in run("backup", "verfy").output
    empty = run("backup", "create", "globex")
    assert (empty.exit_code, "nothing to back up" in empty.output) == (1, True)
    assert run("backup", "create", "acme", "globex", "--to", "-").exit_code == 2
    whole = tenantry(tmp_path, "backup", "create", "acme", "--to", "-")
    assert tenantry(tmp_path, "backup", "verify", "-", input=whole.stdout).returncode == 0
    assert run("restore", "var", "--as", "x").exit_code == 2
    assert "is no folder in which a restore" in run("restore", "var").output
    assert run("backup", "create", "acme", "--to", "elsewhere").exit_code == 0
    assert len(json.loads(run("backup", "list", "--from", "elsewhere", "--json").output)) == 1


def test_two_backups_of_one_tenant_at_once_both_are_made(platform: Platform, tmp_path: Path) -> None:
    fill(platform, "ada")
    platform.databases.close_idle()
    command = [sys.executable, "-m", "tenantry.cli", "backup", "create", "acme", "--json"]
    running = [
        subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    made = [(process.communicate(timeout=60), process.returncode) for process in running]
    assert [code for _, code in made] == [0, 0, 0], made
    assert len({json.loads(out)[0]["archive"] for (out, _), _ in made}) == 3


def test_what_a_living_process_writes_is_not_cleared_away(platform: Platform, tmp_path: Path) -> None:
    settings, folder = platform.registry.settings, tmp_path / "kept"
    prepare_folder(folder, "acme")
    moment = datetime.now(UTC)
    path = place_for(folder, "acme", moment, False)
    with draft(settings, "backup", "acme") as work, written_whole(path) as file:
        file.write(b"half")
        prepare_folder(folder, "acme")
        with draft(settings, "backup", "acme") as other:
            assert work.is_dir()
            assert other.is_dir()
        assert place_for(folder, "acme", moment, False) != path, "its name is taken"
        assert work.is_dir()
    assert path.read_bytes() == b"half"
    dead = path.with_name(f".{path.name}.0123abcd")
    dead.touch()
    left = work.with_name("backup-acme-0123abcd")
    left.mkdir()
    prepare_folder(folder, "acme")
    with draft(settings, "backup", "acme"):
        assert not dead.exists()
        assert not left.exists()


def test_a_draft_that_was_cleared_away_before_it_was_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Path] = []

    def cleared(path: Path, descriptor: int, real: Callable[[Path, int], bool] = files.hold_new) -> bool:
        tried.append(path)
        if len(tried) == 1:
            files.remove_folder(path)
        return real(path, descriptor)

    monkeypatch.setattr("tenantry.backups.keeping.hold_new", cleared)
    with written_whole(tmp_path / "a.tar.gz") as file:
        file.write(b"whole")
    assert (len(tried), (tmp_path / "a.tar.gz").read_bytes()) == (2, b"whole")


def test_a_file_that_goes_while_it_is_copied_was_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without second names."""

    def link(path: Path, kept: Path) -> None:
        path.unlink()
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    (tmp_path / "upload").touch()
    assert not keep_file(tmp_path / "upload", tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
