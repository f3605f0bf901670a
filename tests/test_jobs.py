"""Jobs: what may be put on the queue and when it is there, how it is run, and what becomes of it otherwise."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import has_app_context
from huey.utils import utcnow

from conftest import require_redis
from tenantry import Platform, db, jobs
from tenantry.errors import BadArguments, BadSetup, NoTenantContext, UnknownJob
from tenantry.jobs import marking, storages
from tenantry.jobs import queue as queue_module
from tenantry.jobs.calls import Call
from tenantry.jobs.queue import JobQueue
from tenantry.jobs.running import MOST_MISSING
from tenantry.jobs.storages import LEASE, MARK
from tenantry.mail.delivery import deliver
from tenantry.registry import Registry
from tenantry.testing import client_of, make_platform, run_jobs

Write = Callable[[str, str], Path]
REDIS = "redis://127.0.0.1:6379/15"

SOURCE = """
import os
from flask import Blueprint, request
from sqlalchemy import text
from tenantry import current_tenant, db, jobs

bp = Blueprint("shop", __name__)
ran = []

@jobs.job
def note(*args, **kwargs):
    ran.append((current_tenant.slug, args, kwargs))

@jobs.job(retries=2, backoff=5)
def fail(secret, kind="error"):
    ran.append(("failed", secret, kind))
    db.session.execute(text("CREATE TABLE IF NOT EXISTS left_by_a_job (x)"))
    raise SystemExit(3) if kind == "exit" else ValueError("it went wrong")

@jobs.job(retries=0)
def leak():
    from flask import current_app
    current_app.app_context().push()

@bp.post("/order")
def order():
    db.session.execute(text("CREATE TABLE IF NOT EXISTS orders (x)"))
    note.enqueue(request.form.get("what", "order"))
    if "fail" in request.form:
        raise RuntimeError("undone")
    return "ordered"

@bp.get("/look")
def look():
    note.enqueue("look")
    return "looked"
"""
TOML = """
[platform]
blueprints = "{package}"
{more}

[tenants.acme]
path = "/acme"

[tenants.globex]
path = "/globex"
"""


@pytest.fixture
def tenants_toml(write: Write, package: str) -> str:
    write(f"{package}/shop/__init__.py", SOURCE)
    return TOML.format(package=package, more="")


@pytest.fixture
def shop(tenants_toml: str, package: str) -> Any:
    """The module with the jobs."""
    __import__(f"{package}.shop")
    return sys.modules[f"{package}.shop"]


@pytest.fixture(params=["file", "redis"])
def kept(
    request: pytest.FixtureRequest, tmp_path: Path, tenants_toml: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Platform]:
    """A platform whose queue is a real one: in a file, or in Redis."""
    monkeypatch.setattr(queue_module, "NAME", f"test{os.getpid()}")
    if request.param == "redis":
        require_redis()
        tenants_toml = tenants_toml.replace("[platform]", f'[platform]\nredis = "{REDIS}"')
    platform = make_platform(tmp_path, tenants_toml)
    platform.queue.flush()
    yield platform
    platform.queue.flush()
    platform.queue.storage.close()
    platform.databases.close_idle()
    if platform.redis:
        platform.redis.client.close()


def work_off(queue: JobQueue, later: float = 0) -> int:
    """Do what a worker's threads do, until nothing is due within so many seconds."""
    count = 0
    queue.read_schedule(utcnow() + timedelta(seconds=later))
    while (task := queue.dequeue()) is not None:
        queue.execute(task)
        count += 1
    return count


def enqueue(platform: Platform, slug: str, job: Any, *args: Any, **kwargs: Any) -> None:
    with platform.tenant(slug):
        job.enqueue(*args, **kwargs)


def edit(file: Path, text: str, ago: float = 60) -> None:
    """Write a file, and let that have been some seconds ago."""
    file.write_text(text)
    moment = time.time_ns() - int(ago * 1e9)
    os.utime(file, ns=(moment, moment))


def replace_in_toml(platform: Platform, old: str, new: str) -> None:
    file = platform.registry.settings.file
    text = file.read_text()
    assert old in text
    edit(file, text.replace(old, new))


def take_up(platform: Platform) -> None:
    """Let a platform have what its file says now, as a follower does."""
    platform.take_up(Registry.from_file(platform.registry.settings.file))


def set_status(platform: Platform, slug: str, status: str) -> None:
    replace_in_toml(platform, f'path = "/{slug}"\n', f'path = "/{slug}"\nstatus = "{status}"\n')


# What authors do


def test_calling_a_job_runs_it_here_and_now(platform: Platform, shop: Any) -> None:
    with platform.tenant("acme"):
        shop.note(1, b=2)
    assert shop.ran == [("acme", (1,), {"b": 2})]
    assert shop.note.__name__ == "note"
    assert run_jobs(platform) == 0


def test_an_enqueued_job_runs_in_its_tenant_once_the_work_is_kept(platform: Platform, shop: Any) -> None:
    with platform.tenant("acme"):
        shop.note.enqueue(1, b="x")
        assert platform.queue.pending_count() == 0
    assert run_jobs(platform) == 1
    assert shop.ran == [("acme", (1,), {"b": "x"})]
    assert run_jobs(platform) == 0


def test_a_request_enqueues_and_one_that_fails_does_not(platform: Platform, acme: Any, shop: Any) -> None:
    assert acme.post("/order").text == "ordered"
    with pytest.raises(RuntimeError):
        acme.post("/order", data={"fail": "1"})
    assert acme.get("/look").text == "looked"
    assert run_jobs(platform) == 2
    assert [args for _, args, _ in shop.ran] == [("order",), ("look",)]


def test_what_a_part_of_the_work_has_enqueued_is_undone_with_it(platform: Platform, shop: Any) -> None:
    with platform.tenant("acme"):
        shop.note.enqueue("outer")
        with pytest.raises(ZeroDivisionError):
            with platform.tenant("acme"):
                shop.note.enqueue("inner")
                raise ZeroDivisionError
        with platform.tenant("acme"):
            shop.note.enqueue("second")
    run_jobs(platform)
    assert [args for _, args, _ in shop.ran] == [("outer",), ("second",)]


def test_a_rollback_takes_jobs_back(platform: Platform, shop: Any) -> None:
    with platform.tenant("acme"):
        shop.note.enqueue("before")
        db.rollback()
    assert run_jobs(platform) == 0


def test_arguments_come_as_they_went(platform: Platform, shop: Any) -> None:
    values = {
        "text": "ü\u2028\0",
        "number": 10**30,
        "fraction": Decimal("1.10"),
        "day": date(2026, 1, 2),
        "moment": datetime(2026, 1, 2, 3, 4, 5, 678901),
        "zoned": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "id": UUID(int=5),
        "bytes": b"\x00\xff",
        "nested": {"a": [1, (2.5, None, True)], " d": "a tag"},
    }
    enqueue(platform, "acme", shop.note, [1], (2,), **values)
    run_jobs(platform)
    assert shop.ran == [("acme", ([1], (2,)), values)]


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((object(),), {}, "its argument 'secret' cannot be put on the queue. 'object' is not a plain value"),
        (("a",), {"kind": {1: 2}}, "its argument 'kind' cannot be put on the queue"),
        ((), {}, "missing a required argument: 'secret'; expected fail(secret, kind='error')"),
        (("a", "b", "c"), {}, "too many positional arguments"),
        (("a",), {"kin": 1}, "unexpected keyword argument 'kin'"),
        (("a",), {"delay": -1}, "delay is -1; expected a number of seconds from 0 on"),
        (("a",), {"delay": 10**12}, "delay is 1000000000000"),
        (("a",), {"delay": float("nan")}, "delay is nan"),
    ],
    ids=["object", "key", "missing", "many", "unknown", "negative", "endless", "nan"],
)
def test_what_cannot_be_enqueued_is_told_at_once(
    platform: Platform, shop: Any, args: tuple[Any, ...], kwargs: dict[str, Any], says: str
) -> None:
    with platform.tenant("acme"):
        with pytest.raises(BadArguments) as told:
            shop.fail.enqueue(*args, **kwargs)
    assert says in str(told.value)
    assert isinstance(told.value, TypeError)
    assert run_jobs(platform) == 0


def test_outside_a_tenant_nothing_is_enqueued(shop: Any) -> None:
    with pytest.raises(NoTenantContext, match=r"'note\.enqueue' was used outside a tenant's context"):
        shop.note.enqueue()


class Holder:
    def method(self) -> None: ...


async def asynchronous() -> None: ...


def with_a_delay(delay: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda: None, "is not a function of a module"),
        (Holder.method, "is not a function of a module"),
        (asynchronous, "is asynchronous"),
        (with_a_delay, "has a parameter 'delay'"),
    ],
    ids=["lambda", "method", "async", "delay"],
)
def test_what_cannot_be_a_job_is_told(function: Any, says: str) -> None:
    with pytest.raises(BadSetup, match=says):
        jobs.job(function)


def test_delayed_jobs_run_when_a_test_lets_their_time_come(platform: Platform, shop: Any) -> None:
    enqueue(platform, "acme", shop.note, "later", delay=3600)
    enqueue(platform, "acme", shop.note, "now")
    assert run_jobs(platform) == 1
    assert run_jobs(platform) == 0
    assert run_jobs(platform, delayed=True) == 1
    assert [args for _, args, _ in shop.ran] == [("now",), ("later",)]


def test_an_error_in_a_job_reaches_the_test(platform: Platform, shop: Any) -> None:
    enqueue(platform, "acme", shop.fail, "x")
    with pytest.raises(ValueError, match="it went wrong"):
        run_jobs(platform)


def test_jobs_need_neither_huey_nor_smtplib_until_there_is_one() -> None:
    code = (
        "import sys; from tenantry import Platform, jobs, mail; print({'huey', 'smtplib', 'redis'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# How a worker runs them


def test_each_job_runs_once_in_its_own_tenant(kept: Platform, shop: Any) -> None:
    for slug in ("acme", "globex", "acme"):
        enqueue(kept, slug, shop.note, slug)
    assert work_off(kept.queue) == 3
    assert shop.ran == [(slug, (slug,), {}) for slug in ("acme", "globex", "acme")]
    assert work_off(kept.queue, later=10**6) == 0
    assert (kept.queue.pending_count(), kept.queue.scheduled_count()) == (0, 0)


def test_a_delayed_job_runs_when_it_is_due(kept: Platform, shop: Any) -> None:
    enqueue(kept, "acme", shop.note, delay=30)
    assert work_off(kept.queue) == 0
    assert work_off(kept.queue, later=29) == 0
    assert kept.queue.scheduled_count() == 1
    kept.queue.read_schedule(utcnow() + timedelta(seconds=31))
    assert kept.queue.pending_count() == 1


def test_a_failing_job_is_undone_and_tried_again_with_growing_pauses(
    kept: Platform, shop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    enqueue(kept, "acme", shop.fail, "hunter2")
    queue = kept.queue
    for pause in (timedelta(seconds=5), timedelta(seconds=10)):
        task = queue.dequeue() or pytest.fail("it is not there")
        before = utcnow()
        queue.execute(task)
        (found,) = queue.scheduled()
        assert before + pause <= found.eta <= utcnow() + pause, "from when it failed, however long it took"
        found.eta = None
        queue.storage.flush_schedule()
        queue.storage.enqueue(queue.serialize_task(found))
    queue.execute(queue.dequeue() or pytest.fail("it is not there"))
    assert queue.scheduled() == []
    assert len(shop.ran) == 3
    with kept.tenant("acme"):
        assert (
            "left_by_a_job" not in db.session.connection().exec_driver_sql("SELECT name FROM sqlite_master").scalars()
        )
    (error,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "failed for good, after 3 attempts (arguments: secret). ValueError: it went wrong" in error.getMessage()
    assert error.exc_info is not None
    assert "'acme'" in error.getMessage()
    assert "hunter2" not in caplog.text
    assert (queue.pending_count(), queue.scheduled_count()) == (0, 0)


def test_a_job_that_exits_fails_like_any_other(kept: Platform, shop: Any, caplog: pytest.LogCaptureFixture) -> None:
    enqueue(kept, "acme", shop.fail, "x", kind="exit")
    assert work_off(kept.queue) == 1
    assert "failed, and runs again in 5 s. SystemExit: 3" in caplog.text


@pytest.mark.parametrize("name", ["note", "fail", "leak"])
def test_no_context_is_left_behind(kept: Platform, shop: Any, name: str) -> None:
    enqueue(kept, "acme", getattr(shop, name), *(["x"] if name == "fail" else []))
    assert work_off(kept.queue) == 1
    assert not has_app_context()
    assert kept.databases.lent == 0
    enqueue(kept, "globex", shop.note)
    work_off(kept.queue)
    assert shop.ran[-1] == ("globex", (), {})


def test_a_tenant_that_is_not_active_is_waited_for(kept: Platform, shop: Any, caplog: pytest.LogCaptureFixture) -> None:
    enqueue(kept, "acme", shop.note, "waiting")
    good = kept.registry.settings.file.read_text()
    for status in ("suspended", "maintenance", "read-only"):
        set_status(kept, "acme", status)
        take_up(kept)
        assert work_off(kept.queue, later=61) == 1
        edit(kept.registry.settings.file, good)
    assert shop.ran == []
    assert work_off(kept.queue) == 0
    take_up(kept)
    assert work_off(kept.queue, later=61) == 1
    assert shop.ran == [("acme", ("waiting",), {})]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("how", ["archived", "removed", "made anew"])
def test_a_job_of_a_tenant_that_is_gone_is_dropped_and_told(
    kept: Platform, shop: Any, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    enqueue(kept, "acme", shop.note, "secret order")
    if how == "archived":
        set_status(kept, "acme", "archived")
        take_up(kept)
    else:
        kept.databases.close_idle()
        shutil.rmtree(kept.registry["acme"].state)
        assert work_off(kept.queue) == 1  # put back, as the app of before is still at hand
        kept.tenant_app("acme").sure_until = 0
        if how == "made anew":
            assert client_of(kept, "acme").get("/-/theme.css").status_code == 200
    assert work_off(kept.queue, later=2) == 1
    assert shop.ran == []
    assert f"The job '{shop.note.name}' of tenant 'acme' was dropped" in caplog.text
    assert "secret order" not in caplog.text
    assert work_off(kept.queue, later=10**6) == 0


ACME = '[tenants.acme]\npath = "/acme"\n'


def wait_for_missing(queue: JobQueue, most: int = 5000) -> list[float]:
    """Look at the one call, after each of its pauses, until it is gone. Return the pauses."""
    pauses: list[float] = []
    while len(pauses) < most:
        task = queue.dequeue() or pytest.fail("it is not there")
        before = utcnow()
        queue.execute(task)
        if not (found := queue.scheduled()):
            break
        pauses.append(round((found[0].eta - before).total_seconds()))
        queue.read_schedule(utcnow() + timedelta(seconds=3600))
    return pauses


def test_a_job_of_a_tenant_that_is_taken_out_waits_for_a_day_and_is_dropped(
    kept: Platform, shop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    enqueue(kept, "acme", shop.note, "secret order")
    kept.take_up(Registry(kept.registry.settings, {}))
    pauses = wait_for_missing(kept.queue)
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert 23 * 3600 < sum(pauses) < 25 * 3600
    assert shop.ran == []
    first, *_, last = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert first == f"The job '{shop.note.name}' of tenant 'acme' waits, for a day at most: there is no such tenant."
    assert last.endswith("was dropped after it waited for a day: there is no such tenant.")
    assert "secret order" not in caplog.text
    assert (kept.queue.pending_count(), kept.queue.scheduled_count()) == (0, 0)


def test_a_tenant_that_is_missing_for_a_moment_loses_no_job(
    kept: Platform, shop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    whole = kept.registry
    enqueue(kept, "globex", shop.note, "globex's")
    kept.take_up(Registry(whole.settings, {"acme": whole["acme"]}))
    assert work_off(kept.queue) == 1
    assert shop.ran == []
    kept.take_up(whole)
    assert work_off(kept.queue, later=2) == 1
    assert shop.ran == [("globex", ("globex's",), {})]
    assert "was dropped" not in caplog.text


def test_a_wait_for_a_tenant_that_is_not_active_is_no_wait_for_one_that_is_gone(kept: Platform, shop: Any) -> None:
    enqueue(kept, "acme", shop.note)
    set_status(kept, "acme", "suspended")
    take_up(kept)
    task = kept.queue.dequeue() or pytest.fail("it is not there")
    task.args[0]["missing"] = MOST_MISSING - 1
    kept.queue.execute(task)
    (call,) = (task.args[0] for task in kept.queue.scheduled())
    assert (call["missing"], call["waits"]) == (0, 1)


def test_a_job_that_only_newer_code_has_waits_for_it(
    kept: Platform, shop: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(kept, "acme", shop.note, "new")
    with monkeypatch.context() as older:
        older.delitem(marking._marked, shop.note.name)
        assert len(wait_for_missing(kept.queue, most=20)) == 20
    assert work_off(kept.queue) == 1
    assert shop.ran == [("acme", ("new",), {})]
    (told,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert f"waits, for a day at most: There is no job '{shop.note.name}'" in told
    assert "restart the worker" in told


def test_what_is_swept_does_not_wait_for_a_tenant_that_is_gone(kept: Platform, shop: Any) -> None:
    enqueue(kept, "acme", deliver)
    replace_in_toml(kept, ACME, "")
    assert work_off(kept.queue) == 1
    assert (kept.queue.pending_count(), kept.queue.scheduled_count()) == (0, 0)


def test_a_tenant_that_cannot_be_served_is_waited_for_without_counting(
    kept: Platform, shop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    enqueue(kept, "acme", shop.note, "patient")
    database = kept.registry["acme"].database_file
    kept.databases.close_idle()
    database.rename(database.with_name("hidden.db"))
    pauses = []
    for _ in range(5):
        before = utcnow()
        kept.queue.execute(kept.queue.dequeue())
        (task,) = kept.queue.scheduled()
        pauses.append(round((task.eta - before).total_seconds()))
        assert task.args[0]["attempt"] == 0
        kept.queue.read_schedule(utcnow() + timedelta(seconds=1000))
        assert kept.queue.pending_count() == 1
        data = kept.queue.storage.enqueued_items()[0]
        kept.queue.storage.flush_queue()
        message = json.loads(data)
        kept.queue.storage.enqueue(json.dumps({**message, "eta": None}).encode())
    assert pauses == [1, 2, 4, 8, 16]
    database.with_name("hidden.db").rename(database)
    kept.live._failures.clear()
    assert work_off(kept.queue) == 1
    assert shop.ran == [("acme", ("patient",), {})]
    assert "was dropped" not in caplog.text


# In time


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "Europe/Berlin")
        time.tzset()
        assert time.localtime(1_780_000_000).tm_gmtoff == 7200, "there is no such zone here; install tzdata"
        yield
    time.tzset()


@pytest.mark.usefixtures("in_berlin")
@pytest.mark.parametrize("change", [datetime(2026, 3, 29), datetime(2026, 10, 25)], ids=["spring", "autumn"])
def test_where_there_is_summer_time_a_minute_is_a_minute(
    kept: Platform, change: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = kept.queue.storage

    def after(seconds: float) -> list[bytes]:
        storage.read_schedule(moment + timedelta(seconds=seconds))
        return list(storage.enqueued_items())

    for minutes in range(0, 240, 20):
        moment = change + timedelta(minutes=minutes, seconds=-10)  # so that an hour ends within its minute
        monkeypatch.setattr(storages, "utcnow", lambda moment=moment: moment)
        storage.enqueue(b"taken")
        assert storage.dequeue() == b"taken"
        storage.add_to_schedule(b"later", moment + timedelta(seconds=30))
        assert (after(29), after(31)) == ([], [b"later"])
        storage.flush_queue()
        monkeypatch.setattr(storages, "utcnow", lambda moment=moment: moment + timedelta(seconds=5))
        storage.renew()
        assert (after(LEASE + 4), after(LEASE + 6)) == ([], [MARK + b"taken"])
        storage.flush_queue()
        storage.done(b"taken")


# Nothing is lost, and nobody runs code


def test_a_job_whose_worker_is_gone_comes_back(kept: Platform, shop: Any, caplog: pytest.LogCaptureFixture) -> None:
    enqueue(kept, "acme", shop.note)
    assert kept.queue.dequeue() is not None  # and here its worker is killed
    assert work_off(kept.queue, later=LEASE - 2) == 0
    assert work_off(kept.queue, later=LEASE + 1) == 1
    assert len(shop.ran) == 1
    assert "A job whose worker ended while it ran runs again" in caplog.text
    assert work_off(kept.queue, later=10**6) == 0


def test_a_job_that_goes_on_does_not_come_back(kept: Platform, shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    enqueue(kept, "acme", shop.note)
    task = kept.queue.dequeue()
    monkeypatch.setattr(storages, "utcnow", lambda: utcnow() + timedelta(seconds=50))
    kept.queue.renew()
    assert work_off(kept.queue, later=LEASE + 1) == 0
    assert task is not None
    kept.queue.execute(task)
    assert work_off(kept.queue, later=10**6) == 0
    assert len(shop.ran) == 1


def test_a_job_that_ends_each_worker_is_given_up(kept: Platform, shop: Any, caplog: pytest.LogCaptureFixture) -> None:
    enqueue(kept, "acme", shop.leak)  # which is not tried again
    kept.queue.dequeue()
    assert work_off(kept.queue, later=LEASE + 1) == 1
    assert "failed for good" in caplog.text
    assert "Its worker ended while it ran" in caplog.text
    assert (kept.queue.pending_count(), kept.queue.scheduled_count()) == (0, 0)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(Bomb()),
        b"",
        b"{}",
        b"[" * 100_000,
        b'{"id": "1", "name": "os.system", "eta": null, "call": {}}',
        b'{"id": "1", "name": "tenantry.jobs.queue.call", "eta": null, "call": {"job": 5}}',
        MARK * 3,
    ],
    ids=["pickle", "empty", "object", "deep", "task", "call", "marks"],
)
def test_what_is_none_of_ours_is_dropped_and_runs_nothing(
    kept: Platform, data: bytes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    kept.queue.storage.enqueue(data)
    assert kept.queue.dequeue() is None
    assert "The queue had an entry that is none of ours" in caplog.text
    assert not (tmp_path / "exploded").exists()
    assert (kept.queue.pending_count(), kept.queue.scheduled_count()) == (0, 0)


@pytest.mark.parametrize("name", ["os:system", "shutil:rmtree", "tenantry.jobs.marking:push", "antigravity:geohash"])
def test_an_entry_cannot_name_a_function_that_is_no_job(
    kept: Platform, shop: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with kept.tenant("acme") as tenant:
        kept.queue.push(Call(name, "acme", tenant.deed.hex, '[["x"],{}]', missing=MOST_MISSING))  # type: ignore[union-attr]
    assert work_off(kept.queue) == 1
    assert work_off(kept.queue, later=10**6) == 0
    assert f"There is no job '{name}'" in caplog.text
    assert "antigravity" not in sys.modules
    with pytest.raises(UnknownJob):
        marking.find(name)


def test_messages_are_json(kept: Platform, shop: Any) -> None:
    enqueue(kept, "acme", shop.note, "x")
    (data,) = kept.queue.storage.enqueued_items()
    call = json.loads(data)["call"]
    with kept.tenant("acme") as tenant:
        assert call == {
            "job": shop.note.name,
            "tenant": "acme",
            "deed": tenant.deed.hex,  # type: ignore[union-attr]
            "arguments": '[["x"],{}]',
            "attempt": 0,
            "waits": 0,
            "missing": 0,
        }


def test_the_file_of_the_queue_is_private(tmp_path: Path, tenants_toml: str, shop: Any) -> None:
    before = os.umask(0)
    try:
        platform = make_platform(tmp_path, tenants_toml)
        enqueue(platform, "acme", shop.note)
        for file in (tmp_path / "var").glob("jobs.db*"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        assert len(list((tmp_path / "var").glob("jobs.db*"))) == 3
    finally:
        os.umask(before)
        platform.queue.storage.close()
        platform.databases.close_idle()


def test_the_connection_to_the_file_does_not_cross_a_fork(tmp_path: Path, tenants_toml: str, shop: Any) -> None:
    platform = make_platform(tmp_path, tenants_toml)
    enqueue(platform, "acme", shop.note)
    assert platform.queue.storage._conn is not None
    subprocess.run(["true"], check=True, preexec_fn=lambda: None)  # which forks, as Python code is to run in between
    assert platform.queue.storage._conn is None
    assert work_off(platform.queue) == 1
    platform.queue.storage.close()
    platform.databases.close_idle()


# Where the queue does not answer


@pytest.mark.parametrize("how", ["refused", "no package", "locked", "damaged"])
def test_a_queue_that_does_not_answer_is_told_and_harms_no_request(
    tmp_path: Path,
    tenants_toml: str,
    shop: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    if how == "refused":
        pytest.importorskip("redis")
        tenants_toml = tenants_toml.replace("[platform]", '[platform]\nredis = "redis://127.0.0.1:9/0"')
    platform = make_platform(tmp_path, tenants_toml)
    if how == "damaged":
        (tmp_path / "var" / "jobs.db").write_bytes(b"no database" * 1000)
    elif how in ("locked", "no package"):

        def break_down(data: bytes, priority: float | None = None) -> None:
            raise OSError(how)

        monkeypatch.setattr(platform.queue.storage, "enqueue", break_down)
    assert client_of(platform, "acme").post("/order").text == "ordered"
    (error,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert f"The job '{shop.note.name}' of tenant 'acme' could not be put on the queue" in error
    assert "It will not run. See whether" in error
    if how != "damaged":
        platform.queue.storage.close()
    platform.databases.close_idle()


def test_an_outage_of_the_queue_is_told_once_and_its_end_too(
    kept: Platform, shop: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(kept, "acme", shop.note)

    def locked(*args: Any) -> Any:
        raise OSError("database is locked")

    with monkeypatch.context() as broken:
        for name in ("dequeue", "read_schedule", "renew"):
            broken.setattr(kept.queue.storage, name, locked)
        for _ in range(5):
            assert kept.queue.dequeue() is None
            assert kept.queue.read_schedule() == []
            kept.queue.renew()
    assert work_off(kept.queue) == 1
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 2
    assert "The queue of jobs does not answer (OSError: database is locked" in told[0]
    assert told[1] == "The queue of jobs answers again."


def test_a_job_that_could_not_be_noted_as_done_is_so_later(
    kept: Platform, shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(kept, "acme", shop.note)
    task = kept.queue.dequeue()
    assert task is not None

    def gone(*args: Any, **kwargs: Any) -> Any:
        raise OSError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(kept.queue.storage, "done", gone)
        kept.queue.execute(task)
        kept.queue.renew()
    kept.queue.renew()
    assert work_off(kept.queue, later=10**6) == 0
    assert len(shop.ran) == 1


def test_a_job_that_could_not_be_put_back_is_not_lost(
    kept: Platform, shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(kept, "acme", shop.fail, "x")
    task = kept.queue.dequeue()
    assert task is not None

    def gone(*args: Any, **kwargs: Any) -> Any:
        raise OSError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(kept.queue, "push", gone)
        kept.queue.execute(task)  # it fails, and cannot be put back
    assert work_off(kept.queue, later=LEASE + 1) == 1


# The configuration while it runs


def test_a_tenant_that_was_added_a_moment_ago_has_its_jobs_run(kept: Platform, shop: Any) -> None:
    file = kept.registry.settings.file
    edit(file, file.read_text() + '\n[tenants.umbrella]\npath = "/umbrella"\n')
    kept.queue.look = lambda: take_up(kept)
    other = Platform.from_file(file)
    other.queue = kept.queue
    enqueue(other, "umbrella", shop.note, "new")
    assert work_off(kept.queue) == 1
    assert shop.ran == [("umbrella", ("new",), {})]
    other.databases.close_idle()


def test_jobs_go_on_with_the_apps_that_an_edit_has_left_alone(kept: Platform, shop: Any) -> None:
    for slug in ("acme", "globex"):
        enqueue(kept, slug, shop.note, slug)
    acme, globex = kept.tenant_app("acme"), kept.tenant_app("globex")
    replace_in_toml(kept, 'path = "/globex"', 'path = "/globex"\ntitle = "New"\n')
    take_up(kept)
    assert kept.tenant_app("acme") is acme
    assert kept.tenant_app("globex") is not globex
    assert kept.tenant_app("globex").url_map_class is globex.url_map_class
    assert work_off(kept.queue) == 2
    assert shop.ran == [("acme", ("acme",), {}), ("globex", ("globex",), {})]


GOOD_CALL = {
    "job": "a:b",
    "tenant": "acme",
    "deed": "0" * 32,
    "arguments": "[[],{}]",
    "attempt": 0,
    "waits": 0,
    "missing": 0,
}


@pytest.mark.parametrize(
    "wrong",
    [{"tenant": "acme\nERROR forged"}, {"job": "a:b\x1b[31m"}, {"attempt": -(10**30)}, {"waits": "0"}, {"more": 1}],
    ids=str,
)
def test_what_is_no_call_of_a_job(wrong: dict[str, Any]) -> None:
    assert Call.from_json(GOOD_CALL).to_json() == GOOD_CALL
    with pytest.raises(ValueError, match="not a call of a job"):
        Call.from_json({**GOOD_CALL, **wrong})
