"""Making a tenant ready: once, whoever asks; whole, whenever it is cut short."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dying
import pytest
from click.testing import CliRunner
from sqlalchemy import select, text

from conftest import ROOT, environ_without_tenantry
from tenantry import Platform, db
from tenantry.cli import main
from tenantry.errors import BadToken, StateError, TenantUnavailable
from tenantry.provisioning import create_database, provision
from tenantry.testing import TWO_TENANTS, client_of, make_platform


def rows(platform: Platform, slug: str, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(platform.registry[slug].database_file)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_the_first_request_makes_everything(tmp_path: Path) -> None:
    platform = make_platform(tmp_path)
    assert not platform.registry["acme"].database_file.exists()
    assert client_of(platform, "acme").get("/help/welcome/").status_code == 200
    assert len(rows(platform, "acme", "SELECT * FROM tenantry_furnished")) == 1
    assert len(rows(platform, "acme", "SELECT * FROM page")) == 2
    assert not platform.registry["globex"].database_file.exists()


def test_state_is_private(tmp_path: Path) -> None:
    platform = make_platform(tmp_path)
    platform.tenant_app("acme")
    file = platform.registry["acme"].database_file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert sorted(path.name for path in file.parent.iterdir() if "tenant.db-" not in path.name) == [
        "deed",
        "instance",
        "lock",
        "tenant.db",
    ]


def test_the_schema_comes_from_migrations_and_fits_the_models(tmp_path: Path) -> None:
    """What the migrations make is what the models say: Alembic finds nothing to add, but for the models of tests.

    The index for searching is FTS5's own table, and no model.
    """
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    platform = make_platform(tmp_path)
    with platform.tenant("acme"):
        context = MigrationContext.configure(db.session.connection())
        changes = [str(change) for change in compare_metadata(context, db.Model.metadata)]
        found = [change for change in changes if "test_" not in change and "'page_search" not in change]
    assert found == []
    assert {name for (name,) in rows(platform, "acme", "SELECT version_num FROM alembic_version")} == {
        "sections_0002",
        "projects_0002",
        "tenantry_0004",
    }


def test_many_threads_and_processes_make_one_database(tmp_path: Path) -> None:
    make_platform(tmp_path)
    code = (
        "import sys; from tenantry import Platform; from tenantry.testing import client_of\n"
        "p = Platform.from_file('tenants.toml'); print(client_of(p, 'acme').get('/help/').status_code,"
        " p.tenant_app('acme').tenant.deed)"
    )
    environment = {**environ_without_tenantry(), "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(ROOT)])}
    started = [
        subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(5)
    ]
    outputs = {process.communicate()[0] for process in started}
    assert len(outputs) == 1
    assert outputs.pop().startswith("200 ")
    platform = make_platform(tmp_path)
    assert len(rows(platform, "acme", "SELECT * FROM page")) == 2


def test_a_thousand_first_visitors_at_once_get_one_database(tmp_path: Path) -> None:
    platform = make_platform(tmp_path)
    with ThreadPoolExecutor(32) as pool:
        statuses = list(pool.map(lambda _: client_of(platform, "acme").get("/help/").status_code, range(200)))
    assert set(statuses) == {200}
    assert len(rows(platform, "acme", "SELECT * FROM page")) == 2


def test_killed_at_any_moment_a_rerun_finishes(tmp_path: Path) -> None:
    """Kill -9 after growing spans of time, then do it again: always one deed, all pages, no draft left."""
    make_platform(tmp_path)
    dying.import_all()
    killed = 0
    for step in range(1, 12):
        shutil.rmtree(tmp_path / "var", ignore_errors=True)
        killed += dying.command(tmp_path, "provision", "--all", killed_after=0.04 * step) == -1
        dying.command(tmp_path, "provision", "--all")
        platform = make_platform(tmp_path)
        for slug in platform.registry:
            assert len(rows(platform, slug, "SELECT * FROM tenantry_furnished")) == 1
            assert len(rows(platform, slug, "SELECT * FROM page")) == 2
            assert list(platform.registry[slug].state.glob("draft-*")) == []
    assert killed > 2


def test_first_content_that_fails_leaves_nothing_and_is_tried_again(
    tmp_path: Path, write: Callable[[str, str], Path], package: str
) -> None:
    write(
        f"{package}/seed/__init__.py",
        """
        from flask import Blueprint
        from sqlalchemy import text
        from tenantry import db, on_provision

        bp = Blueprint("seed", __name__)
        fail = [True]

        @on_provision(bp)
        def first():
            db.session.execute(text("CREATE TABLE seeded (n INTEGER)"))
            if fail:
                raise RuntimeError("not yet")

        @bp.get("/")
        def index():
            return "seeded"
        """,
    )
    platform = make_platform(
        tmp_path, TWO_TENANTS.replace("[defaults]", f'[platform]\nblueprints = "{package}"\n[defaults]')
    )
    with pytest.raises(TenantUnavailable, match="RuntimeError: not yet"):
        platform.tenant_app("acme")
    assert rows(platform, "acme", "SELECT name FROM sqlite_master WHERE name = 'seeded'") == []
    sys.modules[f"{package}.seed"].fail.clear()
    platform = Platform(platform.registry)
    assert client_of(platform, "acme").get("/").text == "seeded"
    assert platform.databases.lent == 0


def test_manual_provisioning_waits_for_the_command(tmp_path: Path) -> None:
    platform = make_platform(tmp_path, '[platform]\nprovision = "manual"\n' + TWO_TENANTS)
    with pytest.raises(TenantUnavailable, match=r"Run: tenantry provision acme"):
        platform.tenant_app("acme")
    assert client_of(platform, "acme").get("/").status_code == 503
    assert not platform.registry["acme"].database_file.exists()
    assert provision(platform, platform.registry["acme"]) == "created"
    assert client_of(Platform(platform.registry), "acme").get("/").status_code == 200


def test_older_tables_answer_503_until_they_are_brought_up_to_date(
    tmp_path: Path, write: Callable[[str, str], Path], package: str
) -> None:
    revision = """
        import sqlalchemy as sa
        from alembic import op
        revision, down_revision, branch_labels, depends_on = "{0}", {1}, None, None
        def upgrade():
            op.create_table("{0}", sa.Column("id", sa.Integer(), primary_key=True))
        """
    write(f"{package}/shop/__init__.py", "from flask import Blueprint\nbp = Blueprint('shop', __name__)\n")
    write(f"{package}/shop/migrations/one.py", revision.format("shop_1", None))
    toml = TWO_TENANTS.replace("[defaults]", f'[platform]\nblueprints = "{package}"\n[defaults]')
    platform = make_platform(tmp_path, toml)
    tenant = platform.registry["acme"]
    assert provision(platform, tenant) == "created"
    assert provision(platform, tenant) == "ready"
    write(f"{package}/shop/migrations/two.py", revision.format("shop_2", "'shop_1'"))
    later = make_platform(tmp_path, toml)
    with pytest.raises(TenantUnavailable, match="tables are older than the blueprints"):
        later.tenant_app("acme")
    assert provision(later, later.registry["acme"]) == "updated"
    assert rows(later, "acme", "SELECT name FROM sqlite_master WHERE name = 'shop_2'") == [("shop_2",)]


@pytest.mark.parametrize("damage", [b"", b"not a database at all" * 300], ids=["empty", "garbage"])
def test_a_damaged_database_takes_its_tenant_down_and_nobody_else(tmp_path: Path, damage: bytes) -> None:
    platform = make_platform(tmp_path)
    with platform.tenant("acme"):
        db.session.execute(select(1))
    platform.databases.close_idle()
    file = platform.registry["acme"].database_file
    for extra in file.parent.glob("tenant.db-*"):
        extra.unlink()
    file.write_bytes(damage)
    platform = Platform(platform.registry)
    answer = client_of(platform, "acme").get("/")
    assert answer.status_code == 503
    assert str(tmp_path) not in answer.text
    assert client_of(platform, "globex").get("/").status_code == 200
    assert file.read_bytes() == damage
    assert platform.databases.lent == 0


def test_a_database_that_is_gone_is_not_silently_begun_anew(tmp_path: Path) -> None:
    """An empty site where a customer's was would look like all is well."""
    platform = make_platform(tmp_path)
    platform.tenant_app("acme")
    file = platform.registry["acme"].database_file
    away = file.rename(tmp_path / "away.db")
    later = make_platform(tmp_path)
    assert client_of(later, "acme").get("/").status_code == 503
    with pytest.raises(
        TenantUnavailable, match=r"tenant.db is gone, and the tenant had one. Bring it back from a backup"
    ):
        later.tenant_app("acme")
    with pytest.raises(StateError, match="is gone"):
        provision(later, later.registry["acme"])
    assert not file.exists()
    away.rename(file)
    assert client_of(make_platform(tmp_path), "acme").get("/").status_code == 200


def test_a_blueprint_that_comes_later_brings_its_first_content_too(
    tmp_path: Path, write: Callable[[str, str], Path], package: str
) -> None:
    source = """
        from flask import Blueprint
        from sqlalchemy import text
        from tenantry import db, on_provision

        bp = Blueprint("{0}", __name__, url_prefix="/{0}")

        @on_provision(bp)
        def first():
            db.session.execute(text("CREATE TABLE {0}_seeded (n INTEGER)"))
        """
    count = "SELECT count(*) FROM sqlite_master WHERE name LIKE '%seeded'"
    write(f"{package}/one/__init__.py", source.format("one"))
    toml = TWO_TENANTS.replace("[defaults]", f'[platform]\nblueprints = "{package}"\n[defaults]')
    platform = make_platform(tmp_path, toml)
    platform.tenant_app("acme")
    assert rows(platform, "acme", count) == [(1,)]
    write(f"{package}/two/__init__.py", source.format("two"))
    for _ in range(2):
        make_platform(tmp_path, toml).tenant_app("acme")
        assert rows(platform, "acme", count) == [(2,)]


def test_row_35_another_tenants_database_is_not_taken(tmp_path: Path) -> None:
    platform = make_platform(tmp_path)
    acme, globex = (platform.tenant_app(slug).tenant for slug in ("acme", "globex"))
    platform.databases.close_idle()
    shutil.copy(globex.database_file, acme.database_file)
    with pytest.raises(TenantUnavailable, match="is the database of another tenant, or of an earlier one"):
        make_platform(tmp_path).tenant_app("acme")


def test_row_35_a_copy_of_another_tenants_database_needs_a_deed_of_its_own(tmp_path: Path) -> None:
    platform = make_platform(tmp_path)
    globex = platform.tenant_app("globex")
    platform.databases.close_idle()
    target = platform.registry["acme"].database_file
    target.parent.mkdir(parents=True)
    shutil.copy(globex.tenant.database_file, target)
    with pytest.raises(
        TenantUnavailable, match=r"is a copy of the database of tenant 'globex'.* provision acme --new-deed"
    ):
        platform.tenant_app("acme")
    result = CliRunner().invoke(main, ["--config", str(tmp_path / "tenants.toml"), "provision", "acme", "--new-deed"])
    assert result.exit_code == 0, result.output
    acme = make_platform(tmp_path).tenant_app("acme")
    assert acme.tenant.deed != globex.tenant.deed
    with pytest.raises(BadToken):
        acme.signer.verify("session", globex.signer.sign("session", 1, 60))


def test_row_35_a_folder_that_was_copied_whole_is_refused(tmp_path: Path) -> None:
    platform = make_platform(tmp_path)
    acme = platform.tenant_app("acme").tenant
    platform.databases.close_idle()
    shutil.copytree(acme.state, platform.registry["globex"].state)
    with pytest.raises(TenantUnavailable, match=r"is a copy of the database of tenant 'acme'"):
        make_platform(tmp_path).tenant_app("globex")
    assert make_platform(tmp_path).tenant_app("acme")
    shutil.rmtree(acme.state)  # moved rather than copied: the deed is nobody else's any more
    assert make_platform(tmp_path).tenant_app("globex").tenant.deed == acme.deed


def test_a_state_folder_that_is_gone_is_not_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a disk is not there any more: an empty site in its place would take writes that vanish with it."""
    monkeypatch.setattr("tenantry.app._SURE", 0.0)
    platform = make_platform(tmp_path)
    platform.tenant_app("acme")
    platform.databases.close_idle()
    (tmp_path / "var").rename(tmp_path / "away")
    assert client_of(platform, "acme").get("/").status_code == 503
    assert client_of(platform, "globex").get("/").status_code == 503
    assert not list((tmp_path / "var").glob("tenants/*/tenant.db"))


def test_a_key_ring_that_is_gone_is_not_made_anew_by_itself(tmp_path: Path) -> None:
    make_platform(tmp_path).tenant_app("acme")
    (tmp_path / "var" / "keys.json").unlink()
    with pytest.raises(StateError, match=r"it is gone, while tenants are there.*tenantry keys create"):
        make_platform(tmp_path)
    command = ["--config", str(tmp_path / "tenants.toml"), "keys", "create"]
    assert CliRunner().invoke(main, command).exit_code == 0
    assert make_platform(tmp_path).tenant_app("acme")
    assert CliRunner().invoke(main, command).exit_code == 1


def test_first_content_sees_nothing_of_the_request_that_happened_to_come_first(
    tmp_path: Path, write: Callable[[str, str], Path], package: str
) -> None:
    write(
        f"{package}/seed/__init__.py",
        """
        from flask import Blueprint, has_request_context, session
        from tenantry import on_provision

        bp = Blueprint("seed", __name__)
        seen = []

        @on_provision(bp)
        def first():
            seen.append(has_request_context())

        @bp.get("/")
        def index():
            session["user"] = "of acme"
            return "ok"
        """,
    )
    toml = TWO_TENANTS.replace("[defaults]", f'[platform]\nblueprints = "{package}"\n[defaults]')
    platform = make_platform(tmp_path, toml)
    app = platform.tenant_app("acme")

    def enter_the_other() -> str:
        with platform.tenant("globex"):
            return "ok"

    app.view_functions["seed.index"] = enter_the_other
    assert client_of(platform, "acme").get("/").text == "ok"
    assert sys.modules[f"{package}.seed"].seen == [False, False]


def test_files_that_root_makes_belong_to_whom_the_folder_belongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda descriptor, user, group: given.append((user, group)))
    monkeypatch.setattr(shutil, "chown", lambda path, user, group: given.append((user, group)))
    make_platform(tmp_path).tenant_app("acme")
    owner = tmp_path.stat()
    assert len(given) >= 4
    assert set(given) == {(owner.st_uid, owner.st_gid)}


def test_row_26_a_tenant_made_again_while_the_worker_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenantry.app._SURE", 0.0)
    platform = make_platform(tmp_path)
    with platform.tenant("acme"):
        db.session.execute(text("UPDATE page SET title = 'of the old tenant'"))
    before = platform.tenant_app("acme")
    kept = before.signer.sign("session", {"user": 1}, 60)
    shutil.rmtree(before.tenant.state)
    answer = client_of(platform, "acme").get("/help/")
    assert answer.status_code == 200
    assert "of the old tenant" not in answer.text
    after = platform.tenant_app("acme")
    assert after is not before
    assert after.tenant.deed != before.tenant.deed
    with pytest.raises(BadToken):
        after.signer.verify("session", kept)
    assert platform.databases.lent == 0


def test_an_app_whose_database_was_replaced_reads_neither_the_old_nor_the_new(tmp_path: Path) -> None:
    platform = make_platform(tmp_path)
    app = platform.tenant_app("acme")
    platform.databases.close_idle()
    shutil.rmtree(app.tenant.state)
    make_platform(tmp_path).tenant_app("acme")
    answer = app.test_client().get("/help/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert app.test_client().get("/demo/").status_code == 200


def test_many_new_tenants_at_once_each_get_their_own_tables(tmp_path: Path) -> None:
    """Alembic keeps its connection in variables of the process; tenants of one worker must not meet there."""
    toml = "".join(f'[tenants.t{n}]\ntitle = "T{n}"\npath = "/t{n}"\nsections = ["help"]\n' for n in range(12))
    platform = make_platform(tmp_path, toml)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: client_of(platform, f"t{n}").get("/help/welcome/"), range(12)))
    for n, answer in enumerate(answers):
        assert answer.status_code == 200
        assert f"<strong>T{n}</strong>" in answer.text
    assert len({rows(platform, f"t{n}", "SELECT id FROM tenantry_deed")[0] for n in range(12)}) == 12


def test_a_migration_that_makes_a_parent_anew_keeps_its_children(
    tmp_path: Path, write: Callable[[str, str], Path], package: str
) -> None:
    """SQLite alters a table by making it anew; with foreign keys enforced, its children would be deleted meanwhile."""
    first = """
        import sqlalchemy as sa
        from alembic import op
        revision, down_revision, branch_labels, depends_on = "tree_1", None, None, None
        def upgrade():
            op.create_table("parent", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("n", sa.Integer()))
            parent = sa.ForeignKey("parent.id", ondelete="CASCADE")
            op.create_table("child", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("p", sa.Integer(), parent))
        """
    second = """
        import sqlalchemy as sa
        from alembic import op
        revision, down_revision, branch_labels, depends_on = "tree_2", "tree_1", None, None
        def upgrade():
            with op.batch_alter_table("parent") as batch:
                batch.alter_column("n", type_=sa.String(9))
        """
    write(f"{package}/tree/__init__.py", "from flask import Blueprint\nbp = Blueprint('tree', __name__)\n")
    write(f"{package}/tree/migrations/one.py", first)
    toml = TWO_TENANTS.replace("[defaults]", f'[platform]\nblueprints = "{package}"\n[defaults]')
    platform = make_platform(tmp_path, toml)
    with platform.tenant("acme"):
        db.session.execute(text("INSERT INTO parent VALUES (1, 1)"))
        db.session.execute(text("INSERT INTO child VALUES (1, 1)"))
    platform.databases.close_idle()
    write(f"{package}/tree/migrations/two.py", second)
    later = make_platform(tmp_path, toml)
    assert provision(later, later.registry["acme"]) == "updated"
    assert rows(later, "acme", "SELECT * FROM child") == [(1, 1)]
    assert rows(later, "acme", "SELECT * FROM parent") == [(1, "1")]


def test_a_migration_that_fails_leaves_the_tables_as_they_were(
    tmp_path: Path, write: Callable[[str, str], Path], package: str
) -> None:
    write(f"{package}/shop/__init__.py", "from flask import Blueprint\nbp = Blueprint('shop', __name__)\n")
    toml = TWO_TENANTS.replace("[defaults]", f'[platform]\nblueprints = "{package}"\n[defaults]')
    platform = make_platform(tmp_path, toml)
    provision(platform, platform.registry["acme"])
    head = "import sqlalchemy as sa\nfrom alembic import op\nbranch_labels = depends_on = None\n"
    made = "    op.create_table('made', sa.Column('id', sa.Integer(), primary_key=True))\n"
    write(f"{package}/shop/migrations/a.py", f"{head}revision, down_revision = 'a', None\ndef upgrade():\n{made}")
    write(f"{package}/shop/migrations/b.py", f"{head}revision, down_revision = 'b', 'a'\ndef upgrade():\n    1 / 0\n")
    later = make_platform(tmp_path, toml)
    with pytest.raises(ZeroDivisionError):
        provision(later, later.registry["acme"])
    assert rows(later, "acme", "SELECT name FROM sqlite_master WHERE name = 'made'") == []
    assert rows(later, "acme", "SELECT version_num FROM alembic_version") == [("tenantry_0004",)]


def test_a_log_of_an_old_database_is_not_played_into_a_new_one(tmp_path: Path) -> None:
    platform = make_platform(tmp_path)
    file = platform.registry["acme"].database_file
    file.parent.mkdir(parents=True)
    file.with_name("tenant.db-wal").write_bytes(b"old" * 1000)
    assert client_of(platform, "acme").get("/help/").status_code == 200
    assert rows(platform, "acme", "PRAGMA integrity_check") == [("ok",)]


def test_provisioning_what_is_ready_builds_no_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = make_platform(tmp_path)
    provision(platform, platform.registry["acme"])
    monkeypatch.setattr(Platform, "build", lambda self, tenant: 1 / 0)
    assert provision(platform, platform.registry["acme"]) == "ready"


def test_creating_is_told_apart_from_being_there(tmp_path: Path) -> None:
    platform = make_platform(tmp_path)
    tenant = platform.registry["acme"]
    results: list[bool] = []
    threads = [threading.Thread(target=lambda: results.append(create_database(platform, tenant))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False] * 7 + [True]
