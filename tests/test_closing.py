"""A tenant that is closed while its files are moved: it answers 503, nobody has its database open, and the rest go on."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT, Load, Server, Worker, environ_without_tenantry, wait_until
from tenantry import Platform
from tenantry.closing import alone_with, check_open, closed_slugs, closing, nobody_in, note_of
from tenantry.errors import StateError, TenantClosed, TenantUnavailable
from tenantry.files import locked
from tenantry.holding import database_of, held
from tenantry.provisioning import create_database, give_new_deed, take_possession
from tenantry.registry import Registry

Serve = Callable[..., Server]
TOML = '[platform]\nblueprints = "blueprints"\n[defaults]\nfeatures = ["front", "accounts"]\n' + "".join(
    f'[tenants.{slug}]\npath = "/{slug}"\n' for slug in ("acme", "globex")
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tenants.toml").write_text(TOML)
    return tmp_path


@pytest.fixture
def registry(folder: Path) -> Registry:
    return Registry.from_file(folder / "tenants.toml")


def test_a_tenant_is_closed_for_as_long_as_the_work_lasts(folder: Path, registry: Registry, serve: Serve) -> None:
    server = serve(folder)
    assert {server.get("/acme/en/").status for _ in range(10)} == {200}
    file = registry["acme"].database_file
    with Load(server, "/globex/en/") as others, Load(server, "/acme/en/", visitors=2) as own:
        with closing(registry.settings, "acme", "restore"), alone_with(file, "acme") as connection:
            assert connection.execute("SELECT count(*) FROM tenantry_deed").fetchone() == (1,)
            assert not file.with_name("tenant.db-wal").exists(), "the whole is in one file"
            answer = server.get("/acme/en/")
            assert (answer.status, answer.header("Retry-After")) == (503, ["1"])
            time.sleep(1.5)
            assert server.get("/acme/en/").status == 503
        wait_until(lambda: {server.get("/acme/en/").status for _ in range(6)} == {200})
    assert set(others.answers) == {200}
    assert set(own.answers) == {200, 503}
    assert "Traceback" not in server.output()
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_worker_of_jobs_gives_a_database_up_too(
    folder: Path, registry: Registry, work: Callable[..., Worker]
) -> None:
    platform = Platform(registry)
    platform.tenant_app("acme")
    platform.databases.close_idle()
    worker = work(folder)
    wait_until(lambda: "runs jobs" in worker.output())
    wait_until(lambda: bool(list((folder / "var" / "processes").glob(f"{worker.process.pid}-*.json"))))
    with closing(registry.settings, "acme", "restore"), alone_with(registry["acme"].database_file, "acme", 10):
        pass


def test_whoever_does_not_give_it_up_is_told_of(registry: Registry) -> None:
    platform = Platform(registry)
    platform.tenant_app("acme")
    platform.databases.close_idle()
    file = registry["acme"].database_file
    other = sqlite3.connect(file)
    other.execute("SELECT * FROM tenantry_deed").fetchall()
    with (
        pytest.raises(StateError, match="Another process has the database of 'acme' open"),
        alone_with(file, "acme", 0.2),
    ):
        pass
    other.close()
    with alone_with(file, "acme", 2):
        pass


def test_an_error_before_anything_was_done_opens_it_again(registry: Registry) -> None:
    with pytest.raises(ZeroDivisionError), closing(registry.settings, "acme", "restore"):
        raise ZeroDivisionError
    assert closed_slugs(registry.settings) == frozenset()


def test_an_error_after_that_leaves_it_closed_until_the_same_command_finishes(registry: Registry) -> None:
    platform = Platform(registry)
    with (
        pytest.raises(ZeroDivisionError),
        closing(registry.settings, "acme", "restore", archive="a.tar.gz") as task,
    ):
        assert platform.tenant_app("acme"), "this process may use what it has closed"
        platform.live.drop(platform.tenant_app("acme"))
        task.reach(step="swapped")
        raise ZeroDivisionError
    assert closed_slugs(registry.settings) == {"acme"}
    with pytest.raises(TenantUnavailable, match="'tenantry restore' is at work on it or was cut short"):
        platform.tenant_app("acme")
    with pytest.raises(TenantClosed, match="tenantry restore"), closing(registry.settings, "acme", "rename"):
        pass
    with closing(registry.settings, "acme", "restore", archive="other.tar.gz") as task:
        assert task.resumed
        assert task.details == {"archive": "a.tar.gz", "step": "swapped"}
    assert closed_slugs(registry.settings) == frozenset()
    check_open(registry.settings, "acme")
    platform.live.forgive("acme")
    assert platform.tenant_app("acme")


def test_one_command_at_a_time_and_a_killed_one_leaves_its_note(folder: Path, registry: Registry) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom tenantry.closing import closing\n"
        "from tenantry.registry import Registry\n"
        "with closing(Registry.from_file('tenants.toml').settings, 'acme', 'restore', n=1):\n"
        "    print('closed', flush=True); time.sleep(60)\n"
    )
    environment = {**environ_without_tenantry(), "PYTHONPATH": str(ROOT / "platform")}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=folder, env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"closed\n"
    told = "'tenantry restore' is at work on 'acme' just now"
    with pytest.raises(StateError, match=told), closing(registry.settings, "acme", "restore"):
        pass
    with closing(registry.settings, "globex", "restore"):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    note = note_of(registry.settings, "acme")
    assert note is not None
    assert (note.task, note.details) == ("restore", {"n": 1})
    with pytest.raises(TenantClosed):
        check_open(registry.settings, "acme")
    with closing(registry.settings, "acme", "restore") as task:
        assert task.resumed


def test_a_note_that_is_damaged_is_told(registry: Registry) -> None:
    folder = registry.settings.state_dir / "closed"
    folder.mkdir(parents=True)
    (folder / "acme").write_text("{")
    with pytest.raises(StateError, match="cannot be read"):
        note_of(registry.settings, "acme")
    (folder / ".acme.draft").write_text("")
    assert closed_slugs(registry.settings) == {"acme"}


def test_the_tenant_is_held_before_its_database(registry: Registry) -> None:
    """As by who migrates or provisions: in another order each would wait for what the other has."""
    platform, tenant = Platform(registry), registry["acme"]
    platform.tenant_app("acme")
    platform.databases.close_idle()
    holds, go_on, errors = threading.Event(), threading.Event(), []

    def migrate() -> None:
        with held(tenant):
            holds.set()
            go_on.wait(10)
            try:
                with platform.databases.direct(database_of(tenant), "write") as connection:
                    connection.exec_driver_sql("UPDATE tenantry_deed SET id = id")
                    connection.rollback()
            except Exception as error:
                errors.append(error)

    def move() -> None:
        with closing(registry.settings, "acme", "restore"), nobody_in(tenant):
            moved.set()

    moved = threading.Event()
    threads = [threading.Thread(target=migrate), threading.Thread(target=move)]
    threads[0].start()
    assert holds.wait(10)
    threads[1].start()
    assert not moved.wait(0.5), "it waits, and has nothing that the other one needs"
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert (errors, moved.is_set()) == ([], True)


def test_one_without_a_database_is_held_too(registry: Registry) -> None:
    tenant = registry["acme"]
    with (
        closing(registry.settings, "acme", "rename"),
        nobody_in(tenant),
        pytest.raises(StateError, match="Another process holds"),
        held(tenant, 0.1),
    ):
        pass


def test_nothing_is_made_of_one_that_was_closed_while_we_waited(registry: Registry) -> None:
    platform, tenant = Platform(registry), registry["acme"]
    (registry.settings.state_dir / "closed").mkdir(parents=True)
    for use in (create_database, give_new_deed, take_possession):
        errors: list[BaseException] = []

        def wait(use: Callable[[Platform, object], object] = use, errors: list[BaseException] = errors) -> None:
            try:
                use(platform, tenant)
            except BaseException as error:
                errors.append(error)

        with held(tenant):
            thread = threading.Thread(target=wait)
            thread.start()
            time.sleep(0.2)
            note = registry.settings.state_dir / "closed" / "acme"
            note.write_text('{"task": "rename"}')
        thread.join()
        assert list(map(type, errors)) == [TenantClosed]
        assert not tenant.database_file.exists()
        note.unlink()


def test_a_lock_whose_folder_was_moved_is_not_taken_for_the_one_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    got: list[bool] = []

    def wait() -> None:
        with locked(tmp_path / "a" / "lock"):
            got.append((tmp_path / "a" / "lock").exists())

    with locked(tmp_path / "a" / "lock"):
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.2)
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "a").mkdir()
    thread.join()
    assert got == [True]
