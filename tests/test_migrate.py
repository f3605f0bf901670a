"""Migrating many tenants: past failures and kills, under gunicorn, with older code still serving."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from conftest import ROOT, Answer, Server, environ_without_tenantry, wait_until
from tenantry import Platform
from tenantry.cli import main
from tenantry.errors import StateError, TenantUnavailable
from tenantry.files import locked
from tenantry.migrating.looking import look_at
from tenantry.migrating.work import Batch, Worker
from tenantry.provisioning import create_database
from tenantry.structure import differences, read_structure, what_breaks_older_code
from tenantry.testing import client_of

VIEWS = """
from flask import Blueprint
from sqlalchemy import text
from tenantry import db

bp = Blueprint("shop", __name__, url_prefix="/shop")


@bp.get("/")
def index():
    return str(db.session.scalar(text("SELECT count(n) FROM shop")))


@bp.post("/")
def add():
    db.session.execute(text("INSERT INTO shop (n) VALUES (1)"))
    return "added"
"""
REVISION = """
import os
import signal
import time
from pathlib import Path
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "shop_{number}", {down!r}, {labels!r}, None


def pause(folder, mark):
    here = Path(folder, f"{{revision}}-{{mark}}")
    if here.exists():
        Path(folder, "begun").write_text(str(os.getpid()))
    end = time.monotonic() + 60
    while here.exists() and time.monotonic() < end:
        time.sleep(0.01)


def upgrade():
{body}
"""
FIRST = "op.create_table('shop', sa.Column('id', sa.Integer(), primary_key=True), sa.Column('n', sa.Integer()))"
ADDS = "op.add_column('shop', sa.Column('more', sa.Text()))"
DROPS = "op.drop_column('shop', 'n')"
UNIQUE = "op.create_index('shop_n', 'shop', ['n'], unique=True)"
#: What a revision asks of the tenant that it is applied to: a number that the test has put there.
MARK = "mark = op.get_bind().scalar(sa.text('SELECT max(n) FROM shop'))"


class Site:
    """A folder with a tenants.toml, a blueprint with migrations, and the real command line."""

    def __init__(self, folder: Path, slugs: list[str]) -> None:
        self.folder, self.slugs = folder, slugs
        self.state = folder / "state"
        self.package = f"things_{secrets.token_hex(4)}"  # as several are imported into this process
        self.shop = folder / self.package / "shop"
        (self.shop / "migrations").mkdir(parents=True)
        (self.shop.parent / "__init__.py").touch()
        (self.shop / "__init__.py").write_text(VIEWS)
        self.write_toml()
        self.add(1, FIRST)

    def write_toml(self, more: str = "") -> None:
        tables = "".join(f'[tenants.{slug}]\npath = "/{slug}"\n' for slug in self.slugs)
        head = f'[platform]\nblueprints = "{self.package}"\nstate_dir = "{self.state}"\n'
        (self.folder / "tenants.toml").write_text(f"{head}{tables}{more}")

    def add(self, number: int, *lines: str) -> Path:
        """Write a revision."""
        down, labels = (f"shop_{number - 1}", None) if number > 1 else (None, ("shop",))
        file = self.shop / "migrations" / f"shop_{number}.py"
        body = "\n".join(f"    {line}" for line in lines)
        file.write_text(REVISION.format(number=number, down=down, labels=labels, body=body))
        return file

    def provision(self) -> None:
        assert self.run("provision", "--all").exit_code == 0

    def newer(self) -> Site:
        """Return a copy of the code, on the same state, in which a migration can be added."""
        copy = Site(self.folder.parent / "newer", self.slugs)
        copy.state = self.state
        copy.write_toml()
        return copy

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        paths = [str(ROOT / "platform"), str(self.folder), str(ROOT)]
        return subprocess.Popen(
            [sys.executable, "-m", "tenantry.cli", *arguments],
            cwd=self.folder,
            env={**environ_without_tenantry(), "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "500"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> Result:
        """Run a command in this process; what migrates are others all the same."""
        done = CliRunner().invoke(main, ["--config", str(self.folder / "tenants.toml"), *arguments])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    def report(self, *slugs: str) -> dict[str, Any]:
        done = self.run("migrate", "--report", "--json", *slugs)
        assert done.exit_code == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def sql(self, slug: str, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.state / "tenants" / slug / "tenant.db")) as connection, connection:
            return connection.execute(query).fetchall()

    def version(self, slug: str) -> str:
        rows = self.sql(slug, "SELECT version_num FROM alembic_version")
        return next(name for (name,) in rows if name.startswith("shop"))

    def columns(self, slug: str) -> set[str]:
        return {name for (name,) in self.sql(slug, "SELECT name FROM pragma_table_info('shop')")}


class Pause:
    """Lets a revision wait at one tenant, that of a mark, until it is let on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.line = f"pause({str(folder)!r}, mark)"

    def at(self, revision: str, mark: int) -> None:
        self._file = self._folder / f"{revision}-{mark}"
        self._file.touch()

    def wait(self) -> int:
        """Wait until it is there, and return the process that it is in."""
        begun = self._folder / "begun"
        wait_until(lambda: begun.exists() and bool(begun.read_text()))
        number = int(begun.read_text())
        begun.unlink()
        return number

    def go_on(self) -> None:
        self._file.unlink()


@pytest.fixture
def pause(tmp_path: Path) -> Pause:
    return Pause(tmp_path)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "site", [f"t{number}" for number in range(6)])
    made.provision()
    return made


# The command


def test_nothing_to_do_is_said_and_leaves_no_trace(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", ["t0", "t1"])
    site.start("provision", "--all").communicate()
    process = site.start("migrate", "--all")
    assert process.communicate() == ("Tenants: 2 current.\n", "")
    assert process.returncode == 0
    assert not (site.state / "migrations.db").exists()
    assert not list(site.state.glob("tenants/*/tenant.db-*"))  # looking leaves nothing behind either


def test_all_are_migrated_and_it_is_noted(site: Site) -> None:
    site.slugs += ["new", "old"]
    site.write_toml('status = "archived"\n')
    create_database(platform := Platform.from_file(site.folder / "tenants.toml"), platform.registry["old"])
    site.add(2, ADDS)
    site.add(3, "op.create_table('ware', sa.Column('id', sa.Integer(), primary_key=True))")
    done = site.run("migrate", "--all", "--jobs", "3")
    assert done.exit_code == 0, done.stderr
    assert "shop_2 adds to the tables; tenants are served meanwhile." in done.stdout
    assert "Tenants: 6 behind, 1 without a database yet." in done.stdout
    assert re.search(r"^6 migrated, 0 failed, in [\d.]+ s\.$", done.stdout, re.M)
    assert {site.version(slug) for slug in site.slugs[:6]} == {"shop_3"}
    assert not (site.state / "tenants" / "new" / "tenant.db").exists()
    assert site.version("old") == "shop_1"  # archived, and not named
    assert site.run("migrate", "old").exit_code == 0
    assert site.version("old") == "shop_3"
    report = site.report()
    assert [(each["outcome"], each["behind"], each["migrated"], each["failed"]) for each in report["runs"]] == [
        ("finished", 1, 1, 0),
        ("finished", 6, 6, 0),
    ]
    assert (report["missing"], report["behind"], report["differing"]) == (["new"], [], {})
    assert site.sql("t1", "SELECT revision, follows, additive FROM tenantry_revision WHERE revision = 'shop_3'") == [
        ("shop_3", "shop_2", 1)
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Give either slugs of tenants, or --all."),
        (("t1", "--all"), "Give either slugs of tenants, or --all."),
        (("--all", "--jobs", "0"), "0 is not in the range"),
        (("--all", "--canary", "-1"), "-1 is not in the range"),
    ],
    ids=["nothing", "both", "no jobs", "less than no canaries"],
)
def test_a_wrong_command_line_is_told(site: Site, arguments: tuple[str, ...], says: str) -> None:
    done = site.run("migrate", *arguments)
    assert done.exit_code == 2
    assert says in done.stderr


def test_an_unknown_tenant_is_told_with_the_nearest_name(site: Site) -> None:
    done = site.run("migrate", "t1", "t11")
    assert done.exit_code == 1
    assert "There is no tenant 't11'; did you mean 't1'?" in done.stderr


def test_a_failure_stops_nobody_else_and_a_rerun_does_what_is_left(site: Site) -> None:
    site.sql("t2", "INSERT INTO shop (n) VALUES (5), (5)")
    site.add(2, UNIQUE)
    done = site.run("migrate", "--all", "--jobs", "2")
    assert done.exit_code == 1
    assert re.search(r"t2 +failed +IntegrityError: .*UNIQUE constraint failed: shop.n", done.stdout)
    assert "5 migrated, 1 failed" in done.stdout
    assert Counter(site.version(slug) for slug in site.slugs) == {"shop_2": 5, "shop_1": 1}
    report = site.report()
    assert report["behind"] == ["t2"]
    assert "UNIQUE constraint failed" in report["failed"]["t2"]["reason"]
    assert "Failed the last time:" in site.run("migrate", "--report").stdout
    site.sql("t2", "DELETE FROM shop WHERE id = 2")
    done = site.run("migrate", "--all", "--json")
    assert done.exit_code == 0
    assert [(each["slug"], each["result"]) for each in json.loads(done.stdout)["results"]] == [("t2", "migrated")]
    assert site.report()["failed"] == {}


def test_a_revision_that_fails_everywhere_touches_nobody(site: Site) -> None:
    site.add(2, ADDS)
    site.add(3, "1 / 0")
    done = site.run("migrate", "--all")
    assert done.exit_code == 1
    assert "A revision fails on an empty database, so no tenant was touched: ZeroDivisionError" in done.stderr
    assert "shop_3.py" in done.stderr
    assert {site.version(slug) for slug in site.slugs} == {"shop_1"}


def test_canaries_go_first_and_if_one_fails_the_others_are_not_begun(site: Site) -> None:
    site.sql("t0", "INSERT INTO shop (n) VALUES (5), (5)")
    site.add(2, UNIQUE)
    done = site.run("migrate", "--all", "--canary", "2")
    assert done.exit_code == 1
    assert "A canary has failed, so 4 others were not begun." in done.stdout
    assert [site.version(slug) for slug in site.slugs] == ["shop_1", "shop_2", *["shop_1"] * 4]
    assert site.report()["runs"][0]["outcome"] == "stopped"
    done = site.run("migrate", "t5", "t4", "--canary", "1")
    assert done.exit_code == 0
    assert [site.version(slug) for slug in ("t4", "t5")] == ["shop_2", "shop_2"]


def test_a_damaged_or_vanished_database_is_a_failure_of_its_tenant(site: Site) -> None:
    (site.state / "tenants" / "t1" / "tenant.db").write_bytes(b"not a database at all" * 300)
    (site.state / "tenants" / "t2" / "tenant.db").write_bytes(b"")
    (site.state / "tenants" / "t3" / "tenant.db").unlink()
    site.add(2, ADDS)
    done = site.run("migrate", "--all")
    assert done.exit_code == 1
    assert re.search(r"t1 +failed +DatabaseError: file is not a database", done.stdout)
    assert re.search(r"t2 +failed +It has no table of versions", done.stdout)
    assert re.search(r"t3 +failed +The database .* is gone, and the tenant had one.", done.stdout)
    assert "3 migrated, 3 failed" in done.stdout
    assert (site.state / "tenants" / "t2" / "tenant.db").read_bytes() == b""
    report = site.report()
    assert report["broken"] == ["t1", "t2", "t3"]


def test_a_tenant_that_another_command_is_at_work_on_is_left_alone(site: Site) -> None:
    site.add(2, ADDS)
    (site.state / "closed").mkdir()
    (site.state / "closed" / "t1").write_text(json.dumps({"task": "restore", "details": {}, "since": 1.0, "pid": 1}))
    done = site.run("migrate", "--all")
    assert done.exit_code == 1
    assert re.search(r"t1 +failed +.*restore", done.stdout)
    assert "5 migrated, 1 failed" in done.stdout
    (site.state / "closed" / "t1").unlink()
    assert site.version("t1") == "shop_1"
    assert site.run("migrate", "--all").exit_code == 0


# Processes that die


def test_a_process_that_is_killed_costs_its_tenant_and_no_other(site: Site) -> None:
    site.sql("t3", "INSERT INTO shop (n) VALUES (13)")
    site.add(2, MARK, "if mark == 13: os.kill(os.getpid(), signal.SIGKILL)", ADDS)
    done = site.run("migrate", "--all", "--jobs", "2")
    assert done.exit_code == 1
    assert re.search(r"t3 +failed +The process that migrated it ended by signal 9, twice.", done.stdout)
    assert "5 migrated, 1 failed" in done.stdout
    assert (site.version("t3"), site.columns("t3")) == ("shop_1", {"id", "n"})


def test_a_process_that_is_killed_once_is_forgiven(site: Site, tmp_path: Path) -> None:
    site.sql("t3", "INSERT INTO shop (n) VALUES (13)")
    mark = tmp_path / "once"
    kill = f"if mark == 13 and not os.path.exists({str(mark)!r}): open({str(mark)!r}, 'w'); os.kill(os.getpid(), 9)"
    site.add(2, MARK, kill, ADDS)
    done = site.run("migrate", "--all", "--jobs", "1")
    assert done.exit_code == 0
    assert mark.exists()
    assert "6 migrated, 0 failed" in done.stdout


def test_a_revision_that_exits_is_a_failure(site: Site) -> None:
    site.sql("t3", "INSERT INTO shop (n) VALUES (13)")
    site.add(2, MARK, "if mark == 13: raise SystemExit(3)", ADDS)
    done = site.run("migrate", "--all")
    assert done.exit_code == 1
    assert "5 migrated, 1 failed" in done.stdout


def test_processes_are_replaced(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each revision notes which process it ran in."""
    monkeypatch.setattr("tenantry.migrating.pool.RECYCLE", 2)
    monkeypatch.setattr("tenantry.migrating.run._AT_ONCE", 1)
    site.add(2, "op.execute(f'INSERT INTO shop (n) VALUES ({os.getpid()})')")
    assert site.run("migrate", "--all", "--jobs", "1").exit_code == 0
    pids = Counter(site.sql(slug, "SELECT n FROM shop")[0][0] for slug in site.slugs)
    assert sorted(pids.values()) == [2, 2, 2]
    assert os.getpid() not in pids


def test_one_run_at_a_time(site: Site, pause: Pause) -> None:
    site.add(2, MARK, pause.line, ADDS)
    site.sql("t1", "INSERT INTO shop (n) VALUES (1)")
    pause.at("shop_2", 1)
    first = site.start("migrate", "t1")
    pause.wait()
    second = site.run("migrate", "t2")
    assert second.exit_code == 1
    assert re.search(rf"Process {first.pid} has been migrating since \d\d\d\d-.* UTC, and two at once", second.stderr)
    assert site.report()["runs"][0]["outcome"] == "running"
    pause.go_on()
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert site.run("migrate", "t2").exit_code == 0


def test_row_19_killed_at_every_step_a_rerun_finishes(tmp_path: Path, pause: Pause) -> None:
    """Kill -9 of the command, with and without what works for it: each tenant is as it was or as it is to be."""
    site = Site(tmp_path / "site", [f"t{number:02}" for number in range(12)])
    site.provision()
    for number, slug in enumerate(site.slugs):
        site.sql(slug, f"INSERT INTO shop (n) VALUES ({number})")
    kept = tmp_path / "kept"
    shutil.copytree(site.state, kept)
    site.add(2, MARK, pause.line, ADDS)
    site.add(3, MARK, "op.create_table('ware', sa.Column('id', sa.Integer(), primary_key=True))", pause.line)
    for revision, mark, is_worker_killed in (("shop_2", 0, False), ("shop_2", 5, True), ("shop_3", 11, True)):
        shutil.rmtree(site.state)
        shutil.copytree(kept, site.state)
        pause.at(revision, mark)
        process = site.start("migrate", "--all", "--jobs", "2")
        worker = pause.wait()
        process.send_signal(signal.SIGKILL)
        if is_worker_killed:
            os.kill(worker, signal.SIGKILL)
        pause.go_on()
        process.communicate()
        for slug in site.slugs:
            assert site.sql(slug, _STATE)[0] in (("shop_1", 0, 0), ("shop_3", 1, 1))
        if is_worker_killed:
            assert site.version(site.slugs[mark]) == "shop_1"
        assert site.report()["runs"][0]["outcome"] == "killed"
        done = site.run("migrate", "--all", "--jobs", "2")
        assert done.exit_code == 0, done.stdout + done.stderr
        report = site.report()
        assert [(each["state"], each["tenants"]) for each in report["versions"]] == [("current", 12)]
        assert report["differing"] == {}
        for slug in site.slugs:
            assert site.sql(slug, "PRAGMA integrity_check") == [("ok",)]


#: In one query, as a process of the command that was killed may just be finishing its tenant.
_STATE = """
SELECT (SELECT version_num FROM alembic_version WHERE version_num LIKE 'shop%'),
    (SELECT count(*) FROM pragma_table_info('shop') WHERE name = 'more'),
    (SELECT count(*) FROM sqlite_master WHERE name = 'ware')
"""


def test_ctrl_c_lets_what_was_begun_come_to_an_end(site: Site, pause: Pause) -> None:
    site.add(2, MARK, pause.line, ADDS)
    site.sql("t1", "INSERT INTO shop (n) VALUES (1)")
    pause.at("shop_2", 1)
    process = site.start("migrate", "--all", "--jobs", "1")
    pause.wait()
    process.send_signal(signal.SIGINT)
    wait_until(lambda: site.report()["runs"][0]["outcome"] == "stopped")
    pause.go_on()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "What was begun comes to its end; run this again for the others." in err
    assert "Aborted!" in err
    assert "Traceback" not in err
    assert [site.version(slug) for slug in site.slugs] == ["shop_2", "shop_2", *["shop_1"] * 4]
    assert site.run("migrate", "--all").exit_code == 0


# Closed, for what does more than add


def is_held(site: Site, slug: str) -> bool:
    try:
        with locked(site.state / "tenants" / slug / "lock", 0.0):
            return False
    except StateError:
        return True


def test_a_tenant_is_open_again_once_it_is_migrated_though_others_are_not(site: Site, pause: Pause) -> None:
    site.add(2, MARK, pause.line, DROPS)
    site.sql("t2", "INSERT INTO shop (n) VALUES (1)")
    pause.at("shop_2", 1)
    process = site.start("migrate", "--all", "--jobs", "1")
    pause.wait()
    held = [slug for slug in site.slugs if is_held(site, slug)]
    pause.go_on()
    assert process.communicate(timeout=60)[1] == ""
    assert held == ["t2", "t3", "t4", "t5"]  # closed together with the first two
    assert {site.version(slug) for slug in site.slugs} == {"shop_2"}


def closed_batch(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str, list[str]]]:
    """Migrate all in this process. Give what became of each, with the tenants that are held just then."""
    monkeypatch.setattr("tenantry.updating.NOTICED", 0.01)
    platform = Platform.from_file(site.folder / "tenants.toml")
    tenants = tuple((found.tenant, found.versions) for found in look_at(platform.schema, platform.registry.served()))
    for result in Worker(platform.schema.folders[1:]).migrate(Batch(tenants, closing=True)):
        yield result.slug, result.outcome, [slug for slug in site.slugs if is_held(site, slug)]


def test_tenants_are_not_closed_for_long_before_their_turn(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a round takes too long, those that were not begun are open, and the next round is of fewer."""
    monkeypatch.setattr("tenantry.migrating.work._LONGEST", 0.0)
    site.add(2, DROPS)
    assert list(closed_batch(site, monkeypatch)) == [
        ("t0", "migrated", ["t1", "t2", "t3", "t4", "t5"]),
        ("t1", "migrated", []),
        ("t2", "migrated", ["t3"]),
        ("t3", "migrated", []),
        ("t4", "migrated", ["t5"]),
        ("t5", "migrated", []),
    ]


def test_one_that_cannot_be_held_fails_and_no_other(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add(2, DROPS)
    lock = site.state / "tenants" / "t3" / "lock"
    lock.unlink()
    lock.mkdir()
    found = {slug: (outcome, held) for slug, outcome, held in closed_batch(site, monkeypatch)}
    assert found == {slug: ("failed" if slug == "t3" else "migrated", ["t3"]) for slug in site.slugs}


# Under gunicorn


def test_tenants_that_are_behind_answer_503_and_come_back_by_themselves(
    site: Site, serve: Callable[..., Server]
) -> None:
    site.add(2, ADDS)
    assert site.run("migrate", "t5").exit_code == 0  # the others are behind
    server = serve(site.folder)
    answers = {slug: server.get(f"/{slug}/shop/") for slug in site.slugs}
    assert {slug: answer.status for slug, answer in answers.items()} == {
        **dict.fromkeys(site.slugs[:5], 503),
        "t5": 200,
    }
    assert int(answers["t0"].header("Retry-After")[0]) >= 1
    assert "Run: tenantry migrate t0" in server.output()
    assert site.run("migrate", "--all").exit_code == 0
    # Each worker comes back by itself, so one answer of each tenant would not tell of all.
    wait_until(lambda: {server.get(f"/{slug}/shop/").status for slug in site.slugs for _ in range(6)} == {200}, 90)


class Visitors:
    """Threads that read and write at one tenant, whose app is live, and note every answer."""

    def __init__(self, server: Server, slug: str) -> None:
        self.answers: list[tuple[float, str, Answer]] = []
        self._stop = threading.Event()
        wait_until(lambda: {server.get(f"/{slug}/shop/").status for _ in range(20)} == {200})
        self._threads = [threading.Thread(target=self._visit, args=(server, slug, m)) for m in ("GET", "POST", "GET")]
        for thread in self._threads:
            thread.start()

    def _visit(self, server: Server, slug: str, method: str) -> None:
        while not self._stop.wait(0.01):
            begun = time.monotonic()
            answer = server.get(f"/{slug}/shop/", "localhost", "Content-Length: 0", method=method)
            self.answers.append((begun, method, answer))

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def statuses(self, method: str, since: float = 0.0) -> Counter[int]:
        return Counter(answer.status for begun, asked, answer in self.answers if asked == method and begun > since)

    @property
    def written(self) -> int:
        return sum(answer.status == 200 for _, method, answer in self.answers if method == "POST")

    def assert_undisturbed(self) -> None:
        """All that was read was answered; a writer may have found the database busy for a second, and said so."""
        assert set(self.statuses("GET")) == {200}
        for _, _, answer in self.answers:
            assert answer.status == 200 or "busy" in answer.text


def test_older_code_serves_on_while_revisions_only_add(site: Site, serve: Callable[..., Server]) -> None:
    server = serve(site.folder)
    visitors = Visitors(server, "t1")
    time.sleep(0.5)
    newer = site.newer()
    newer.add(2, ADDS, "op.create_index('shop_n', 'shop', ['n'])", "time.sleep(0.1)")
    done = newer.run("migrate", "--all")
    time.sleep(1.5)
    visitors.stop()
    assert done.exit_code == 0
    visitors.assert_undisturbed()
    assert (site.version("t1"), site.sql("t1", "SELECT count(*) FROM shop")) == ("shop_2", [(visitors.written,)])
    server.stop()
    again = serve(site.folder)  # and also where its apps are built anew, as after a step back to the code of before
    assert {again.get(f"/{slug}/shop/").status for slug in site.slugs} == {200}
    done = site.run("migrate", "--all")
    assert (done.exit_code, done.stdout) == (0, "Tenants: 6 newer than this code, which only lacks additions.\n")
    assert site.report()["newer"] == site.slugs


def test_older_code_keeps_its_hands_off_where_revisions_do_more(site: Site, serve: Callable[..., Server]) -> None:
    """A table loses a column that the old code names: it never meets that, and says 503, the live app too."""
    server = serve(site.folder)
    neighbour, visitors = Visitors(server, "t2"), Visitors(server, "t1")
    time.sleep(0.5)
    newer = site.newer()
    newer.add(2, DROPS)
    done = newer.run("migrate", "t1")
    migrated = time.monotonic()
    wait_until(lambda: all(visitors.statuses(method, since=migrated).total() > 30 for method in ("GET", "POST")))
    assert done.exit_code == 0
    assert "shop_2 does more than add to the tables (column shop.n is gone)" in done.stdout
    neighbour.stop()
    visitors.stop()
    neighbour.assert_undisturbed()
    for method in ("GET", "POST"):
        assert set(visitors.statuses(method)) == {200, 503}
        assert set(visitors.statuses(method, since=migrated)) == {503}
    assert "Its tables are newer than the code of this process. Reload gunicorn" in server.output()
    assert site.sql("t1", "SELECT count(*) FROM shop") == [(visitors.written,)]
    done = site.run("migrate", "--all")
    assert done.exit_code == 1
    assert re.search(r"t1 +failed +Its tables have the revision 'shop_2', which is not among", done.stdout)
    assert site.report()["unknown"] == ["t1"]
    server.stop()
    assert newer.run("migrate", "--all").exit_code == 0
    (newer.shop / "__init__.py").write_text(VIEWS.replace("count(n)", "count(id)"))
    again = serve(newer.folder)
    assert {again.get(f"/{slug}/shop/").status for slug in site.slugs} == {200}


def test_a_writer_that_waited_for_the_migration_keeps_nothing(site: Site) -> None:
    """It began with the old tables, and gets the lock once they are new."""
    from sqlalchemy import text

    from tenantry import db

    platform = Platform.from_file(site.folder / "tenants.toml")
    newer = site.newer()
    newer.add(2, DROPS)
    with pytest.raises(Exception, match="was replaced by another one meanwhile"), platform.tenant("t1"):
        assert db.session is not None
        db.begin(write=True)
        assert newer.run("migrate", "t1").exit_code == 0
        db.session.execute(text("INSERT INTO shop (id) VALUES (1)"))
    platform.databases.close_idle()
    assert site.sql("t1", "SELECT * FROM shop") == []


def test_code_that_is_newer_in_one_blueprint_and_older_in_another_is_behind(site: Site) -> None:
    newer = site.newer()
    newer.add(2, ADDS)
    assert newer.run("migrate", "t1").exit_code == 0
    folder = site.shop.parent / "other"
    (folder / "migrations").mkdir(parents=True)
    (folder / "__init__.py").write_text("from flask import Blueprint\nbp = Blueprint('other', __name__)\n")
    revision = REVISION.format(number=0, down=None, labels=("other",), body="    pass").replace("shop_0", "other_1")
    (folder / "migrations" / "other_1.py").write_text(revision)
    platform = Platform.from_file(site.folder / "tenants.toml")
    with pytest.raises(TenantUnavailable, match="tables are newer than the code"):
        platform.tenant_app("t1")
    platform.databases.close_idle()


# What a revision does


@pytest.mark.parametrize(
    ("change", "breaks"),
    [
        ("CREATE TABLE other (id INTEGER PRIMARY KEY, n INTEGER NOT NULL UNIQUE CHECK (n > 0))", []),
        ("ALTER TABLE t ADD COLUMN more TEXT", []),
        ("ALTER TABLE t ADD COLUMN more TEXT NOT NULL DEFAULT ''", []),
        ("ALTER TABLE t ADD COLUMN parent_id INTEGER REFERENCES t (id)", []),
        ("CREATE INDEX i ON t (n)", []),
        ("CREATE VIEW v AS SELECT n FROM t", []),
        ("CREATE UNIQUE INDEX i ON t (n)", ["index t.i is new and allows less than before"]),
        ("CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM t; END", ["trigger t.r is new"]),
        ("ALTER TABLE t ADD COLUMN more TEXT CHECK (more > '')", ["check t.more > '' is new"]),
        ("DROP INDEX t_a", ["index t.t_a is gone"]),
        ("ALTER TABLE t RENAME COLUMN n TO m", ["column t.n is gone"]),
        ("ALTER TABLE t RENAME TO u", ["column t.a is gone", "table t is gone"]),
        ("ALTER TABLE t DROP COLUMN n", ["column t.n is gone"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_older_code_can_live_with(change: str, breaks: list[str]) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, a TEXT)")
        connection.execute("CREATE INDEX t_a ON t (a)")
        before = read_structure(connection)
        connection.execute(change)
        found = what_breaks_older_code(before, read_structure(connection))
    assert set(breaks) <= set(found)
    assert bool(breaks) is bool(found)


@pytest.mark.parametrize(
    ("lines", "breaks"),
    [
        ((ADDS, "op.execute(\"UPDATE shop SET more = 'x'\")"), []),
        (("op.execute('UPDATE shop SET n = 0')",), ["rows of shop are changed"]),
        (("op.execute('DELETE FROM shop')",), ["rows of shop are deleted"]),
        (("with op.batch_alter_table('shop', recreate='always') as b: b.add_column(sa.Column('m', sa.Text()))",), []),
        (
            ("with op.batch_alter_table('shop') as b: b.alter_column('n', nullable=False)",),
            ["column shop.n is changed"],
        ),
        (("pass", "", "additive = False"), ["its file says so"]),
    ],
    ids=["fills a new column", "changes rows", "deletes rows", "made anew", "made anew and narrower", "said"],
)
def test_what_a_revision_does_is_found_out(tmp_path: Path, lines: tuple[str, ...], breaks: list[str]) -> None:
    site = Site(tmp_path / "site", ["t0"])
    file = site.add(2, *lines)
    file.write_text(file.read_text().replace("    additive =", "additive ="))
    platform = Platform.from_file(site.folder / "tenants.toml")
    assert list(platform.schema.steps["shop_2"].breaks) == breaks


def test_two_tables_of_different_text_are_the_same() -> None:
    with closing(sqlite3.connect(":memory:")) as one, closing(sqlite3.connect(":memory:")) as other:
        one.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, m TEXT UNIQUE)")
        other.execute('CREATE TABLE "t" ( id integer PRIMARY KEY, m TEXT, UNIQUE (m) )')
        other.execute("ALTER TABLE t ADD COLUMN n INTEGER")
        assert differences(read_structure(one), read_structure(other)) == []
        other.execute("CREATE TABLE more (id INTEGER)")
        one.execute("CREATE TABLE less (id INTEGER)")
        one.execute("CREATE INDEX i ON t (n)")
        assert differences(read_structure(one), read_structure(other)) == [
            "index t.i is missing",
            "table less is missing",
            "table more is not known",
        ]


def test_the_report_names_tenants_whose_tables_are_not_what_they_should_be(site: Site) -> None:
    site.sql("t1", "ALTER TABLE shop DROP COLUMN n")
    site.sql("t4", "CREATE INDEX by_hand ON shop (n)")
    assert site.report()["differing"] == {
        "t1": ["column shop.n is missing"],
        "t4": ["index shop.by_hand is not known"],
    }
    done = site.run("migrate", "--report")
    assert done.exit_code == 0
    assert "Have other tables than a new database:" in done.stdout
    assert re.search(r"t1 +column shop.n is missing", done.stdout)
    assert site.report("t2", "t3")["differing"] == {}


def test_a_damaged_ledger_is_told_and_can_be_removed(site: Site) -> None:
    site.add(2, ADDS)
    ledger = site.state / "migrations.db"
    ledger.write_bytes(b"no ledger" * 1000)
    done = site.run("migrate", "--all")
    assert done.exit_code == 1
    assert "where it is damaged, remove it" in done.stderr
    ledger.unlink()
    assert site.run("migrate", "--all").exit_code == 0
    assert ledger.stat().st_mode & 0o777 == 0o600


def test_a_database_without_versions_is_not_given_tables(site: Site) -> None:
    from tenantry.updating import update_database

    platform = Platform.from_file(site.folder / "tenants.toml")
    site.sql("t1", "DROP TABLE alembic_version")
    with pytest.raises(StateError, match="no table of versions"):
        update_database(platform.schema, platform.databases, platform.registry["t1"])


def test_a_tenant_that_came_with_newer_code_is_served_by_older_code(site: Site) -> None:
    newer = site.newer()
    newer.add(2, ADDS)
    shutil.rmtree(site.state / "tenants" / "t1")
    assert newer.run("provision", "t1").exit_code == 0
    platform = Platform.from_file(site.folder / "tenants.toml")
    assert client_of(platform, "t1").get("/shop/").text == "0"
    platform.databases.close_idle()
