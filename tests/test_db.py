"""The tenant-bound database: units of work, modes, contexts, and what holds when things go wrong."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
from flask import Blueprint, Flask, Response, abort, request, session, stream_with_context, url_for
from sqlalchemy import Integer, String, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from tenantry import Platform, current_tenant, db
from tenantry.errors import BegunTooLate, DatabaseBusy, DatabaseFull, DatabaseReplaced, NoTenantContext, ReadOnlyUnit
from tenantry.sqlite import DatabaseFile, SqliteDatabases
from tenantry.testing import client_of


class Note(db.Model):
    __tablename__ = "test_note"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    word: Mapped[str] = mapped_column(String(40), unique=True)


MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "notes_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "test_note",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("word", sa.String(40), nullable=False, unique=True),
    )
"""

bp = Blueprint("notes", __name__)


def add(word: str) -> None:
    db.session.add(Note(word=word))


def words() -> list[str]:
    return list(db.session.scalars(select(Note.word).order_by(Note.word)))


@bp.get("/")
def index() -> dict[str, Any]:
    return {"tenant": current_tenant.slug, "words": words()}


@bp.post("/add/<word>")
def add_one(word: str) -> str:
    add(word)
    return "added"


@bp.post("/fail/<word>")
def fail(word: str) -> str:
    add(word)
    db.session.flush()
    raise RuntimeError("after the write")


@bp.post("/abort/<word>")
def abort_after(word: str) -> str:
    add(word)
    abort(409)


@bp.post("/refuse/<word>")
def refuse(word: str) -> tuple[str, int]:
    add(word)
    return "refused, but noted", 422


@bp.get("/sneak/<word>")
def sneak(word: str) -> str:
    add(word)
    return "sneaked"


@bp.get("/read-then-write/<word>")
def read_then_write(word: str) -> str:
    before = len(words())
    db.begin(write=True)
    add(word)
    return str(before)


@bp.get("/stream")
def stream() -> Response:
    def lines() -> Iterator[str]:
        for word in db.session.scalars(select(Note.word).order_by(Note.word)):
            yield word + "\n"

    return Response(stream_with_context(lines()))


@bp.post("/count")
def count() -> str:
    note = db.session.scalars(select(Note).where(Note.word.like("count-%"))).one()
    note.word = f"count-{int(note.word.removeprefix('count-')) + 1}"
    return note.word


def new_database(path: Path) -> DatabaseFile:
    sqlite3.connect(path).close()
    path.touch()
    return DatabaseFile.at(path, 1)


@pytest.fixture
def tenants_toml(write: Callable[[str, str], Path], package: str) -> str:
    write(f"{package}/notes/__init__.py", "from test_db import bp\n")
    write(f"{package}/notes/migrations/notes_0001.py", MIGRATION)
    return f"""
        [platform]
        blueprints = "{package}"
        [tenants.acme]
        path = "/acme"
        [tenants.globex]
        hosts = ["globex.localhost"]
        config = {{ PROPAGATE_EXCEPTIONS = false }}
    """


def test_each_tenant_has_its_own(acme: Any, globex: Any) -> None:
    acme.post("/add/a")
    globex.post("/add/b")
    assert acme.get("/").json == {"tenant": "acme", "words": ["a"]}
    assert globex.get("/").json == {"tenant": "globex", "words": ["b"]}


def test_the_unit_is_committed_before_the_response_leaves(platform: Platform, acme: Any) -> None:
    file = platform.registry["acme"].database_file
    seen: list[int] = []

    @platform.tenant_app("acme").teardown_request
    def look(error: BaseException | None) -> None:
        with sqlite3.connect(file) as other:
            seen.append(other.execute("SELECT count(*) FROM test_note").fetchone()[0])
        other.close()

    acme.post("/add/a")
    assert seen == [1]


def test_a_failed_commit_is_an_error_page_and_never_a_2xx(globex: Any) -> None:
    assert globex.post("/add/a").status_code == 200
    again = globex.post("/add/a")
    assert again.status_code == 500
    assert "IntegrityError" not in again.text
    assert globex.get("/").json["words"] == ["a"]


@pytest.mark.parametrize(("path", "status"), [("/fail/a", 500), ("/abort/a", 409)])
def test_an_exception_undoes_the_unit(globex: Any, path: str, status: int) -> None:
    assert globex.post(path).status_code == status
    assert globex.get("/").json["words"] == []


def test_a_returned_response_commits_whatever_its_status(globex: Any) -> None:
    assert globex.post("/refuse/a").status_code == 422
    assert globex.get("/").json["words"] == ["a"]


def test_a_get_cannot_write_and_the_error_says_what_to_do(acme: Any, globex: Any) -> None:
    with pytest.raises(ReadOnlyUnit, match=r"Do it in a POST; .* db.begin\(write=True\)"):
        acme.get("/sneak/a")
    assert globex.get("/sneak/a").status_code == 500
    assert globex.get("/").json["words"] == []


def test_a_get_may_write_where_it_says_so(acme: Any) -> None:
    assert acme.get("/read-then-write/a").text == "0"
    assert acme.get("/").json["words"] == ["a"]


def test_the_connection_is_read_only_again_for_the_next_reader(acme: Any) -> None:
    acme.get("/read-then-write/a")
    with pytest.raises(ReadOnlyUnit):
        acme.get("/sneak/b")


def test_a_stream_reads_in_its_own_context(acme: Any, platform: Platform) -> None:
    for word in "abc":
        acme.post(f"/add/{word}")
    assert acme.get("/stream").text == "a\nb\nc\n"
    assert platform.databases.lent == 0


def test_outside_a_tenant_everything_fails_closed(platform: Platform) -> None:
    for use in (lambda: db.session.execute(select(1)), lambda: current_tenant.slug, words):
        with pytest.raises(NoTenantContext, match=r'with platform.tenant\("acme"\)'):
            use()
    with Flask(__name__).app_context(), pytest.raises(NoTenantContext):
        words()


def test_a_context_commits_when_it_ends_and_undoes_when_it_raises(platform: Platform) -> None:
    with platform.tenant("acme"):
        add("a")
    with pytest.raises(ZeroDivisionError), platform.tenant("acme"):
        add("b")
        db.session.flush()
        raise ZeroDivisionError
    with platform.tenant("acme"):
        assert words() == ["a"]
    assert platform.databases.lent == 0


def test_a_commit_that_fails_at_the_end_of_a_context_is_raised_and_leaves_nothing(platform: Platform) -> None:
    with platform.tenant("acme"):
        add("a")
    with pytest.raises(IntegrityError), platform.tenant("acme"):
        add("a")
    assert platform.databases.lent == 0
    with platform.tenant("acme"):
        assert words() == ["a"]


def test_contexts_nest_and_the_outer_one_is_back_afterwards(platform: Platform) -> None:
    with platform.tenant("acme"):
        add("outer")
        outer = db.session._get_current_object()  # type: ignore[attr-defined]
        with platform.tenant("globex") as inner:
            assert inner.slug == current_tenant.slug == "globex"
            assert words() == []
            add("inner")
            assert db.session._get_current_object() is not outer  # type: ignore[attr-defined]
        assert current_tenant.slug == "acme"
        assert db.session._get_current_object() is outer  # type: ignore[attr-defined]
        assert words() == ["outer"]
    with platform.tenant("globex"):
        assert words() == ["inner"]


def test_the_same_tenant_inside_itself_joins_the_outer_unit_instead_of_waiting_for_itself(platform: Platform) -> None:
    with platform.tenant("acme"):
        add("a")
        with platform.tenant("globex"), platform.tenant("acme"):
            add("b")
            assert words() == ["a", "b"]
        assert words() == ["a", "b"]
    with platform.tenant("acme"):
        assert words() == ["a", "b"]


def test_a_session_that_was_kept_from_an_outer_context_stays_with_its_own_tenant(platform: Platform) -> None:
    with platform.tenant("acme"):
        add("a")
        kept = db.session._get_current_object()  # type: ignore[attr-defined]
        with platform.tenant("globex"):
            assert list(kept.scalars(select(Note.word))) == ["a"]


def test_the_inner_part_of_the_same_tenant_is_undone_by_itself(platform: Platform) -> None:
    with platform.tenant("acme"):
        add("outer")
        with pytest.raises(ZeroDivisionError), platform.tenant("acme"):
            add("inner")
            raise ZeroDivisionError
        assert words() == ["outer"]
    with platform.tenant("acme"):
        assert words() == ["outer"]


@pytest.mark.parametrize("flushed", [True, False])
def test_choosing_a_mode_after_a_write_raises_and_loses_nothing(platform: Platform, flushed: bool) -> None:
    with platform.tenant("acme"):
        add("a")
        if flushed:
            db.session.flush()
        with pytest.raises(BegunTooLate, match="Call it before the first query"):
            db.begin(write=False)
        with pytest.raises(BegunTooLate), platform.tenant("acme"):
            db.begin(write=False)
    with platform.tenant("acme"):
        assert words() == ["a"]


def test_inside_anothers_request_that_request_is_out_of_sight(platform: Platform) -> None:
    """Its session, its links and its way of using the database are the other tenant's."""
    seen: dict[str, Any] = {}

    def outer() -> str:
        session["user"] = "of acme"
        with platform.tenant("globex"):
            seen["link"] = url_for("notes.index", _external=True)
            seen["session"] = dict(session)
            seen["path"] = request.path
            add("written inside a GET of another")
        seen["after"] = (session["user"], url_for("notes.index"), request.path)
        return ""

    platform.tenant_app("acme").view_functions["notes.index"] = outer
    assert client_of(platform, "acme").get("/").status_code == 200
    assert seen == {
        "link": "http://globex.localhost/",
        "session": {},
        "path": "/",
        "after": ("of acme", "/acme/", "/"),
    }
    with platform.tenant("globex"):
        assert words() == ["written inside a GET of another"]


def test_a_post_inside_which_another_tenant_is_entered_takes_no_context_with_it(platform: Platform) -> None:
    def outer(word: str) -> str:
        with pytest.raises(ZeroDivisionError), platform.tenant("globex"):
            add("undone")
            raise ZeroDivisionError
        add(word)
        return current_tenant.slug

    platform.tenant_app("acme").view_functions["notes.add_one"] = outer
    assert client_of(platform, "acme").post("/add/kept").text == "acme"
    for slug, expected in (("acme", ["kept"]), ("globex", [])):
        with platform.tenant(slug):
            assert words() == expected


def test_a_writer_does_not_write_into_a_file_that_was_taken_away(platform: Platform, globex: Any) -> None:
    globex.get("/")
    file = platform.registry["globex"].database_file
    app = platform.tenant_app("globex")
    file.rename(file.with_suffix(".away"))
    assert app.test_client().post("/add/a").status_code == 503
    assert app.test_client().get("/read-then-write/a").status_code == 503
    file.with_suffix(".away").rename(file)
    assert globex.get("/").json["words"] == []


def test_a_block_in_the_tenants_own_request_is_a_part_of_it_even_if_it_comes_first(
    platform: Platform, globex: Any
) -> None:
    def view(word: str) -> str:
        with platform.tenant("globex"):
            add(word)
        raise RuntimeError("after the block")

    platform.tenant_app("globex").view_functions["notes.add_one"] = view
    assert globex.post("/add/a").status_code == 500
    assert globex.get("/").json["words"] == []


def test_a_write_is_not_kept_in_a_file_that_was_replaced_meanwhile(platform: Platform, globex: Any) -> None:
    globex.get("/")
    file = platform.registry["globex"].database_file

    def view(word: str) -> str:
        add(word)
        db.session.flush()
        shutil.copy(file, file.with_suffix(".backup"))
        file.with_suffix(".backup").replace(file)
        return "done"

    platform.tenant_app("globex").view_functions["notes.add_one"] = view
    assert globex.post("/add/a").status_code == 503
    assert platform.databases.lent == 0


def test_a_request_of_one_tenant_inside_anothers_context(platform: Platform, globex: Any) -> None:
    with platform.tenant("acme"):
        add("a")
        globex.post("/add/b")
        assert words() == ["a"]


def test_no_increment_is_lost(platform: Platform, acme: Any) -> None:
    with platform.tenant("acme"):
        add("count-0")
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: client_of(platform, "acme").post("/count").status_code, range(160)))
    assert set(statuses) <= {200, 503}  # 503 where a busy machine let one wait too long; it is then not counted
    assert statuses.count(200) > 80
    with platform.tenant("acme"):
        assert words() == [f"count-{statuses.count(200)}"]


def test_writers_of_one_process_take_turns(platform: Platform) -> None:
    """Each holds the lock for 30 ms; if they slept and asked again, some would not get it within a second."""
    with platform.tenant("acme"):
        add("count-0")

    def write(number: int) -> bool:
        with platform.tenant("acme"):
            add(f"x{number}")
            db.session.flush()
            time.sleep(0.03)
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write, range(80)))
    with platform.tenant("acme"):
        assert len(words()) == 81


def test_a_turn_is_given_up_even_if_the_connection_breaks(platform: Platform) -> None:
    with pytest.raises(Exception, match="closed database"):
        with platform.tenant("acme"):
            add("lost")
            db.session.flush()
            cast(Any, db.session.connection().connection.dbapi_connection).close()
    with platform.tenant("acme"):
        add("kept")
    with platform.tenant("acme"):
        assert words() == ["kept"]
    assert platform.databases.lent == 0


def test_writers_that_wait_for_each_others_tenants_do_not_wait_for_ever(platform: Platform) -> None:
    start = threading.Barrier(2)
    ended: list[str] = []

    def write(outer: str, inner: str) -> None:
        try:
            with platform.tenant(outer):
                add(outer)
                db.session.flush()
                start.wait()
                with platform.tenant(inner):
                    add(inner)
            ended.append("kept")
        except DatabaseBusy:
            ended.append("busy")

    platform.tenant_app("acme"), platform.tenant_app("globex")
    threads = [threading.Thread(target=write, args=pair) for pair in (("acme", "globex"), ("globex", "acme"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(ended) in (["busy", "busy"], ["busy", "kept"])
    for slug in ("acme", "globex"):
        with platform.tenant(slug):
            add("after")


def test_a_writer_that_waits_too_long_is_told_503_with_retry_after(platform: Platform, globex: Any) -> None:
    globex.get("/")
    other = sqlite3.connect(platform.registry["globex"].database_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        answer = globex.post("/add/a")
        assert globex.get("/").status_code == 200
    finally:
        other.rollback()
        other.close()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert globex.post("/add/a").status_code == 200


def test_outside_a_request_a_busy_database_raises(platform: Platform) -> None:
    with platform.tenant("acme"):
        words()
    other = sqlite3.connect(platform.registry["acme"].database_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(DatabaseBusy, match="send it again"), platform.tenant("acme"):
            add("a")
            db.session.flush()
    finally:
        other.rollback()
        other.close()


def test_connections_are_used_again_and_bounded(platform: Platform, acme: Any, globex: Any) -> None:
    for _ in range(20):
        acme.get("/")
        globex.get("/")
    assert len(platform.databases._idle) == 2


def test_the_table_of_connections_keeps_to_its_limit_and_counts_right(tmp_path: Path) -> None:
    databases = SqliteDatabases(idle=3)
    files = [new_database(tmp_path / f"{n}.db") for n in range(6)]
    lent = [(file, databases.lend(file)) for file in files for _ in range(2)]
    assert databases.lent == 12
    for file, connection in lent:
        databases.take_back(file, connection)
    assert databases.lent == 0
    assert len(databases._idle) == 3 == sum(map(len, databases._by_file.values()))
    assert set(databases._by_file) == {files[4], files[5]}
    databases.close_idle()
    assert len(databases._idle) == 0


def test_a_get_that_writes_in_a_hook_after_the_view_is_told_too(platform: Platform, acme: Any) -> None:
    app = platform.tenant_app("acme")

    @app.teardown_request
    def write(error: BaseException | None) -> None:
        add("late")

    with pytest.raises(ReadOnlyUnit):
        acme.get("/")


def test_many_threads_never_get_one_connection_twice_and_leave_none_behind(tmp_path: Path) -> None:
    databases = SqliteDatabases(idle=4)
    files = [new_database(tmp_path / f"{n}.db") for n in range(6)]
    in_use: set[int] = set()
    before = len(os.listdir("/proc/self/fd"))

    def work(seed: int) -> int:
        choose, done = random.Random(seed), 0
        for _ in range(300):
            file = choose.choice(files)
            connection = databases.lend(file)
            assert id(connection) not in in_use, "it was lent twice"
            in_use.add(id(connection))
            found = connection.exec_driver_sql("SELECT file FROM pragma_database_list").scalar()
            connection.rollback()
            in_use.discard(id(connection))
            databases.take_back(file, connection)
            done += found == file.path
            if choose.random() < 0.02:
                databases.close_idle(choose.choice([None, *files]))
        return done

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [300] * 8
    assert databases.lent == 0
    assert len(databases._idle) <= 4
    databases.close_idle()
    assert not databases._idle
    assert len(os.listdir("/proc/self/fd")) == before


def test_descriptors_stay_bounded_over_many_tenants(tmp_path: Path) -> None:
    databases = SqliteDatabases(idle=8)
    before = len(os.listdir("/proc/self/fd"))
    for n in range(200):
        file = new_database(tmp_path / f"{n}.db")
        connection = databases.lend(file)
        connection.execute(text("SELECT 1"))
        connection.rollback()
        databases.take_back(file, connection)
    assert len(os.listdir("/proc/self/fd")) - before <= 8 * 3
    databases.close_idle()


def test_a_connection_with_an_open_transaction_is_not_kept(tmp_path: Path) -> None:
    file = new_database(tmp_path / "a.db")
    databases = SqliteDatabases(idle=3)
    connection = databases.lend(file)
    connection.execute(text("SELECT 1"))
    databases.take_back(file, connection)
    assert len(databases._idle) == 0


def test_a_file_that_is_gone_is_not_made_and_one_that_was_replaced_is_not_used(tmp_path: Path) -> None:
    databases = SqliteDatabases(idle=3)
    file = new_database(tmp_path / "a.db")
    (tmp_path / "a.db").rename(tmp_path / "b.db")
    with pytest.raises(DatabaseReplaced):
        databases.lend(file)
    assert not (tmp_path / "a.db").exists()
    new_database(tmp_path / "a.db")
    with pytest.raises(DatabaseReplaced):
        databases.lend(file)
    assert databases.lent == 0
    assert len(databases._idle) == 0


def test_a_path_with_odd_characters_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=memory#%41 b.db"
    databases = SqliteDatabases(idle=1)
    with databases.direct(new_database(path), "write") as connection:
        connection.execute(text("CREATE TABLE t (x)"))
        connection.commit()
    with sqlite3.connect(path) as check:
        assert check.execute("SELECT name FROM sqlite_master").fetchall() == [("t",)]
    check.close()


def test_the_size_of_a_database_is_limited(platform: Platform, write: Callable[[str, str], Path], package: str) -> None:
    databases = platform.databases
    with platform.tenant("acme"):
        pass
    file = platform.registry["acme"].database_file
    with (
        databases.direct(DatabaseFile.at(file, 1), "write") as connection,
        pytest.raises(DatabaseFull, match="no room left"),
    ):
        connection.execute(text("CREATE TABLE big (x BLOB)"))
        for _ in range(40):
            connection.execute(text("INSERT INTO big VALUES (zeroblob(65536))"))


def test_foreign_keys_are_on_and_the_journal_is_wal(platform: Platform) -> None:
    with platform.tenant("acme"):
        assert db.session.scalar(text("PRAGMA foreign_keys")) == 1
        assert db.session.scalar(text("PRAGMA journal_mode")) == "wal"


def test_sql_is_compiled_once_for_all_tenants(platform: Platform, acme: Any, globex: Any) -> None:
    platform.tenant_app("globex")  # its database is made now
    acme.get("/")
    compiled = len(platform.databases.engine._compiled_cache or ())
    globex.get("/")
    assert len(platform.databases.engine._compiled_cache or ()) == compiled > 0


def test_connections_do_not_cross_a_fork(platform: Platform, acme: Any) -> None:
    acme.get("/")
    assert len(platform.databases._idle) == 1
    child = os.fork()
    if child == 0:
        os._exit(0 if len(platform.databases._idle) == 0 else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_shell_reads_without_a_lock_and_writes_when_it_writes(platform: Platform, acme: Any) -> None:
    with platform.tenant("acme"):
        db.begin_deferred()
        words()
        assert acme.post("/add/from-a-request").status_code == 200
        db.session.rollback()
        add("from-the-shell")
    assert acme.get("/").json["words"] == ["from-a-request", "from-the-shell"]


def test_a_thread_of_its_own_has_no_tenant(platform: Platform) -> None:
    seen: list[BaseException] = []

    def work() -> None:
        try:
            words()
        except NoTenantContext as error:
            seen.append(error)

    with platform.tenant("acme"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(seen) == 1


def test_teardown_does_not_assume_that_setup_succeeded(platform: Platform) -> None:
    file = platform.registry["acme"].database_file
    with platform.tenant("acme"):
        pass
    platform.databases.close_idle()
    file.rename(file.with_suffix(".away"))
    with pytest.raises(DatabaseReplaced), platform.tenant("acme"):
        words()
    assert platform.databases.lent == 0


def test_rows_are_counted_in_their_own_tenant(platform: Platform) -> None:
    for slug, number in (("acme", 3), ("globex", 5)):
        with platform.tenant(slug):
            for n in range(number):
                add(f"{slug}-{n}")
    for slug, number in (("acme", 3), ("globex", 5)):
        with platform.tenant(slug):
            assert db.session.scalar(select(func.count()).select_from(Note)) == number


# What follows from what was written.


def test_what_follows_comes_once_the_work_is_kept(platform: Platform) -> None:
    done: list[str] = []
    with platform.tenant("acme"):
        db.after_commit(lambda: done.append("kept"))
        db.after_rollback(lambda: done.append("undone"))
        assert done == []
    assert done == ["kept"]


def test_what_is_undone_has_its_own_consequences(platform: Platform) -> None:
    done: list[str] = []
    with pytest.raises(ZeroDivisionError):
        with platform.tenant("acme"):
            db.after_commit(lambda: done.append("kept"))
            db.after_rollback(lambda: done.append("undone"))
            raise ZeroDivisionError
    assert done == ["undone"]


@pytest.mark.parametrize("how", ["db.rollback", "session.rollback", "savepoint", "inner context"])
def test_a_part_that_is_undone_takes_what_follows_from_it_along(platform: Platform, how: str) -> None:
    done: list[str] = []

    def ask(name: str) -> None:
        db.after_commit(lambda: done.append(f"{name} kept"))
        db.after_rollback(lambda: done.append(f"{name} undone"))

    with platform.tenant("acme"):
        if how == "savepoint":
            ask("before")
            with pytest.raises(ZeroDivisionError), db.session.begin_nested():
                ask("part")
                raise ZeroDivisionError
        elif how == "inner context":
            ask("before")
            with pytest.raises(ZeroDivisionError), platform.tenant("acme"):
                ask("part")
                raise ZeroDivisionError
        else:
            ask("part")
            (db.rollback if how == "db.rollback" else db.session.rollback)()
            ask("before")
        assert done == ["part undone"]
        ask("after")
    assert sorted(done) == ["after kept", "before kept", "part undone"]


def test_what_follows_from_a_savepoint_waits_for_what_is_around_it(platform: Platform) -> None:
    done: list[str] = []
    for fails in (False, True):
        with suppress(ZeroDivisionError), platform.tenant("acme"):
            with db.session.begin_nested(), db.session.begin_nested():
                db.after_commit(lambda: done.append("kept"))
                db.after_rollback(lambda: done.append("undone"))
            assert done == ([] if not fails else ["kept"])
            if fails:
                raise ZeroDivisionError
    assert done == ["kept", "undone"]


def test_what_was_kept_by_hand_has_its_consequences_though_the_rest_fails(platform: Platform) -> None:
    done: list[str] = []
    with pytest.raises(ZeroDivisionError):
        with platform.tenant("acme"):
            db.after_commit(lambda: done.append("kept"))
            db.session.commit()
            db.after_commit(lambda: done.append("never"))
            raise ZeroDivisionError
    assert done == ["kept"]


def test_a_consequence_that_fails_is_logged_and_keeps_no_other_from_its_turn(
    platform: Platform, acme: Any, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    def view() -> str:
        db.after_commit(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
        db.after_commit(lambda: done.append("the other"))
        return "kept"

    platform.tenant_app("acme").add_url_rule("/asks", "asks", view, methods=["GET", "POST"])
    for answer in (acme.get("/asks"), acme.post("/asks")):
        assert (answer.status_code, answer.text) == (200, "kept")
    assert done == ["the other"] * 2
    assert "The change itself is kept" in caplog.text


def test_a_consequence_may_use_the_database_and_leaves_nothing_open(platform: Platform) -> None:
    def write() -> None:
        db.session.execute(text("INSERT INTO tenantry_attempts VALUES ('x', 1, 1.0)"))

    with platform.tenant("acme"):
        db.after_commit(write)
    assert platform.databases.lent == 0
    with platform.tenant("acme"):
        assert db.session.scalar(text("SELECT count(*) FROM tenantry_attempts")) == 1


def test_what_was_asked_for_is_not_lost_by_beginning_anew(platform: Platform) -> None:
    with platform.tenant("acme"):
        db.begin(write=False)
        db.after_commit(lambda: None)
        with pytest.raises(BegunTooLate):
            db.begin(write=True)


def test_after_a_commit_by_hand_one_may_begin_anew(platform: Platform) -> None:
    with platform.tenant("acme"):
        db.session.execute(text("INSERT INTO tenantry_attempts VALUES ('x', 1, 1.0)"))
        with pytest.raises(BegunTooLate):
            db.begin(write=False)
        db.commit_now()
        db.session.execute(text("SELECT 1"))
        db.begin(write=False)
        with pytest.raises(ReadOnlyUnit):
            db.session.execute(text("DELETE FROM tenantry_attempts"))
        db.rollback()


def test_a_part_that_is_to_be_undone_as_a_whole_is_not_kept_in_the_middle(platform: Platform) -> None:
    with platform.tenant("acme"), platform.tenant("acme"):
        db.session.execute(text("INSERT INTO tenantry_attempts VALUES ('x', 1, 1.0)"))
        with pytest.raises(BegunTooLate):
            db.commit_now()
