"""The life of a tenant by command, against real gunicorn: added, closed, copied, renamed, removed, while others serve."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import dying
import pytest
from click.testing import CliRunner

from conftest import ROOT, Answer, Server, environ_without_tenantry
from tenantry.cli import main
from tenantry.registry import Registry

Serve = Callable[..., Server]


@pytest.fixture
def site(site: Path) -> Path:
    tenantry(site, "provision", "--all")
    return site


@pytest.fixture(autouse=True, scope="module")
def imported() -> None:
    dying.import_all()


def tenantry(folder: Path, *args: str, status: int = 0) -> str:
    """Run a command in a process of its own, and return what it says."""
    code, said = dying.said(folder, *args)
    assert code == status, said
    return said


@contextmanager
def visited(server: Server, *paths: str) -> Iterator[list[tuple[str, int]]]:
    """Visit pages over and over, and return what was not answered as it should be."""
    wrong: list[tuple[str, int]] = []
    over = threading.Event()

    def visit(path: str) -> None:
        while not over.wait(0.02):
            try:
                status = server.get(path).status
            except OSError:
                status = -1
            if status != 200:
                wrong.append((path, status))

    threads = [threading.Thread(target=visit, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        over.set()
        for thread in threads:
            thread.join()


def rows(folder: Path, slug: str, query: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "var" / "tenants" / slug / "tenant.db")) as connection:
        return connection.execute(query).fetchall()


def state_of(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not {"registry", "__pycache__"} & set(path.parts)
    }


def test_add_serves_at_once_and_disturbs_nobody(site: Path, serve: Serve) -> None:
    server = serve(site)
    server.agree()
    assert server.get("/umbrella/en/").status == 404
    with visited(server, "/acme/en/", "/globex/de/") as wrong:
        said = tenantry(site, "add", "umbrella", "--title", "Umbrella & Co", "--color", "#c62828", "--language", "de")
        answer = server.get("/umbrella/de/")
    assert wrong == []
    assert (answer.status, "Umbrella &amp; Co" in answer.text) == (200, True)
    assert "'umbrella' (Umbrella & Co) is at http://localhost/umbrella/" in said
    assert "is in force in 2 processes." in said
    text = (site / "tenants.toml").read_text()
    assert text.startswith((ROOT / "tenants.toml").read_text())
    assert text.endswith(
        '\n\n[tenants.umbrella]\ntitle = "Umbrella & Co"\npath = "/umbrella"\nlanguages = ["de"]\ncolor = "#c62828"\n'
    )
    assert list((site / "var" / "closed").iterdir()) == []


def test_add_with_an_administrator_prints_a_link_that_works(site: Path, serve: Serve) -> None:
    server = serve(site, TENANTRY_ENV="production")
    said = tenantry(site, "add", "umbrella", "--admin", "Ada@Example.com")
    assert rows(site, "umbrella", "SELECT username, email, role FROM tenantry_user") == [
        ("ada", "ada@example.com", "admin")
    ]
    link = re.search(r"http://localhost(/umbrella/\S+)", said.partition("password")[2])
    assert link
    assert server.get(link[1]).status in (200, 302, 303)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["acme"], "There is a tenant 'acme' already; its status is active"),
        (["Umbrella"], "'Umbrella' is not a slug"),
        (["all"], "'all' is reserved"),
        (["../x"], "'../x' is not a slug"),
        (["umbrella", "--path", "/acme"], "'/acme' is the door of tenant 'acme' already"),
        (["umbrella", "--path", "umbrella"], "is not a path prefix"),
        (["umbrella", "--host", "http://x.example"], "expected the host name alone"),
        (["umbrella", "--color", "red"], "tenants.toml: tenants.umbrella.color"),
        (["umbrella", "--language", "xx-yy-zz-1"], "tenants.toml: tenants.umbrella.languages"),
        (["umbrella", "--language", "xx"], "tenants.toml: tenants.umbrella.languages: there is no catalogue"),
        (["umbrella", "--title", "two\nlines"], "tenants.toml: tenants.umbrella.title: 'two\\nlines' is no title"),
        (["umbrella", "--title", ""], "tenants.umbrella.title"),
        (["umbrella", "--feature", "shop"], "shop"),
        (["umbrella", "--file", "other.toml"], "'other.toml' is no file of this configuration"),
    ],
)
def test_what_cannot_be_added_is_told_and_leaves_nothing(site: Path, args: list[str], told: str) -> None:
    before, text = state_of(site), (site / "tenants.toml").read_text()
    assert told in tenantry(site, "add", *args, status=1)
    assert (site / "tenants.toml").read_text() == text
    assert {path for path in state_of(site) - before if not path.startswith("var/locks/")} == set()
    assert not (site / "var" / "tenants" / "umbrella").exists()


def test_an_address_that_is_none_is_a_wrong_command_line(site: Path) -> None:
    assert "is not a mail address" in tenantry(site, "add", "umbrella", "--admin", "ada", status=2)
    assert list(Registry.from_file(site / "tenants.toml")) == ["acme", "globex", "initech"]


def test_first_content_that_fails_takes_all_of_it_back(site: Path) -> None:
    (site / "tenants" / "umbrella" / "templates").mkdir(parents=True)
    (site / "tenants" / "umbrella" / "templates" / "x.html").write_text("{% if %}")
    before = state_of(site)
    assert "x.html, line 1, is not valid" in tenantry(site, "add", "umbrella", "--admin", "ada@example.com", status=1)
    assert {path for path in state_of(site) - before if not path.startswith("var/locks/")} == set()
    (site / "tenants" / "umbrella" / "templates" / "x.html").write_text("")
    tenantry(site, "add", "umbrella")
    assert "umbrella" in Registry.from_file(site / "tenants.toml")


def test_what_fails_takes_back_nothing_that_was_there_before(site: Path) -> None:
    """As an operator's, or an earlier tenant's."""
    for place in ("var/mail/umbrella/a.eml", "var/replaced/umbrella-20260101T000000.000000Z/tenant.db"):
        (site / place).parent.mkdir(parents=True)
        (site / place).write_text("theirs")
    (site / "tenants" / "umbrella" / "templates").mkdir(parents=True)
    (site / "tenants" / "umbrella" / "templates" / "x.html").write_text("{% if %}")
    before = state_of(site)
    tenantry(site, "add", "umbrella", status=1)
    tenantry(site, "add", "umbrella", "--path", "/acme", status=1)
    assert before <= state_of(site)


def test_on_a_terminal_it_asks_for_what_is_missing(site: Path) -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tenantry.cli", "add", "umbrella-inc", "--color", "#c62828"],
        cwd=site,
        env={**environ_without_tenantry(), "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(ROOT)])},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, b"\n/brolly\n")
    with open(ours, "rb", buffering=0) as terminal:
        said = b""
        with suppress(OSError):  # as Linux ends it, once nobody is at the other end
            while chunk := terminal.read(4096):
                said += chunk
    assert process.wait(60) == 0, said
    assert b"Title [Umbrella Inc]:" in said
    assert b"Path [/umbrella-inc]:" in said
    tenant = Registry.from_file(site / "tenants.toml")["umbrella-inc"]
    assert (tenant.title, tenant.path, tenant.color) == ("Umbrella Inc", "/brolly", "#c62828")


def test_add_into_an_included_file_that_is_there_or_not(site: Path) -> None:
    text = (site / "tenants.toml").read_text().replace("include    = []", 'include    = ["tenants.d/*.toml"]')
    (site / "tenants.toml").write_text(text)
    (site / "tenants.d").mkdir()
    tenantry(site, "add", "one", "--file", "tenants.d/one.toml")
    tenantry(site, "add", "two", "--file", "tenants.d/one.toml", "--host", "two.example", "--host", "zwei.example")
    assert (site / "tenants.toml").read_text() == text
    registry = Registry.from_file(site / "tenants.toml")
    one = site / "tenants.d" / "one.toml"
    assert one.read_text().startswith("[tenants.one]\n")
    assert one.stat().st_mode == (site / "tenants.toml").stat().st_mode
    assert (registry["one"].path, registry["two"].path, registry["two"].hosts) == (
        "/one",
        None,
        ("two.example", "zwei.example"),
    )
    assert "is no file of this configuration" in tenantry(site, "add", "x", "--file", "a/tenants.d/x.toml", status=1)


def test_add_where_operators_provision_by_command(site: Path, serve: Serve) -> None:
    text = (site / "tenants.toml").read_text().replace("[platform]\n", '[platform]\nprovision = "manual"\n')
    (site / "tenants.toml").write_text(text)
    server = serve(site)
    tenantry(site, "add", "umbrella")
    assert server.get("/umbrella/en/").status == 200


@pytest.mark.parametrize(
    ("address", "username"),
    [
        ("k@example.com", "k-admin"),
        ("a.b+c--d@example.com", "a.b-c-d"),
        ("_@example.com", "admin"),
        (f"{'x' * 31}.y@example.com", "x" * 31),
    ],
)
def test_an_administrator_gets_a_user_name_in_any_case(site: Path, address: str, username: str) -> None:
    assert f"'{username}' is admin" in tenantry(site, "add", "umbrella", "--admin", address)


def test_an_administrator_of_what_is_adopted(site: Path) -> None:
    """Somebody has the name already, or the address."""
    tenantry(site, "users", "add", "initech", "ada@one.example")
    tenantry(site, "archive", "initech")
    said = tenantry(site, "remove", "initech", "--yes", "initech")
    tenantry(site, "restore", backup_in(said))
    tenantry(site, "add", "initech", "--adopt", "--admin", "ada@two.example")
    tenantry(site, "add", "initech", "--adopt", "--admin", "ada@one.example")
    assert rows(site, "initech", "SELECT username, email, role FROM tenantry_user ORDER BY id") == [
        ("ada", "ada@one.example", "admin"),
        ("ada-2", "ada@two.example", "admin"),
    ]


def backup_in(said: str) -> str:
    found = re.search(r"Its last backup is (\S+\.tar\.gz)\.", said)
    assert found
    return found[1]


def test_a_run_that_was_killed_at_its_very_end_is_finished_by_the_same_command(site: Path) -> None:
    args = ("add", "umbrella", "--title", "Umbrella", "--admin", "ada@example.com")
    tenantry(site, *args)
    before = (site / "tenants.toml").read_text()
    said = tenantry(site, *args)
    assert "It was there already, as asked for." in said
    assert "'ada' is admin of 'umbrella' now." in said
    assert "By this link its owner sets the password" in said
    assert (site / "tenants.toml").read_text() == before
    assert "There is a tenant 'umbrella' already" in tenantry(site, "add", "umbrella", "--title", "Other", status=1)
    tenantry(site, "archive", "umbrella")
    assert "its status is archived" in tenantry(site, *args, status=1)


@pytest.mark.parametrize("command", [("add", "par2"), ("clone", "acme", "par2")])
def test_of_two_commands_at_once_one_is_told_of_the_other(site: Path, command: tuple[str, ...]) -> None:
    """The one that is at work has stopped before it writes the table."""
    stop = "import os, signal\nimport tenantry.life.making as m\n"
    stop += "m._put_into_force = lambda *args: os.kill(os.getpid(), signal.SIGSTOP)\n"
    code = f"{stop}from tenantry.cli import main\nmain({list(command)!r})"
    environment = {**environ_without_tenantry(), "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(ROOT)])}
    first = subprocess.Popen([sys.executable, "-c", code], cwd=site, env=environment)
    try:
        assert os.WIFSTOPPED(os.waitpid(first.pid, os.WUNTRACED)[1])
        for other in (("add", "par2"), ("clone", "acme", "par2")):
            assert f"'tenantry {command[0]}' is at work on 'par2' just now" in tenantry(site, *other, status=1)
        assert (site / "var" / "tenants" / "par2" / "tenant.db").exists()
    finally:
        first.kill()
        first.wait()
    tenantry(site, *command)
    assert "par2" in Registry.from_file(site / "tenants.toml")


def test_state_of_an_earlier_tenant_is_told_and_adopted_only_by_word(site: Path, serve: Serve) -> None:
    server = serve(site)
    tenantry(site, "add", "umbrella", "--admin", "ada@example.com")
    tenantry(site, "archive", "umbrella")
    text = (site / "tenants.toml").read_text()
    (site / "tenants.toml").write_text(text[: text.index("\n[tenants.umbrella]")])  # removed by hand
    tenantry(site, "suspend", "initech")
    assert "There is the state of an earlier tenant 'umbrella'" in tenantry(site, "add", "umbrella", status=1)
    assert server.get("/umbrella/en/").status == 404
    tenantry(site, "add", "umbrella", "--adopt")
    assert server.get("/umbrella/en/").status == 200
    assert rows(site, "umbrella", "SELECT username FROM tenantry_user") == [("ada",)]


def test_a_status_is_not_changed_where_a_command_was_cut_short(site: Path) -> None:
    """It goes by the status when it is finished, and would not find its way back."""
    tenantry(site, "archive", "acme")
    assert dying.command(site, "remove", "acme", "--yes", "acme", killed_at=25) == -1
    assert (site / "var" / "closed" / "acme").exists()
    for command in (("resume",), ("suspend",), ("maintenance", "on"), ("read-only", "on")):
        assert "closed, as 'tenantry remove' is at work on it or was cut short" in tenantry(
            site, *command, "acme", status=1
        )
    tenantry(site, "remove", "acme", "--yes", "acme")
    assert "acme" not in Registry.from_file(site / "tenants.toml")


def test_going_back_tells_what_it_changes_and_who_comes_back_empty(site: Path) -> None:
    tenantry(site, "read-only", "on", "initech")
    number = str(json.loads(tenantry(site, "diff", "--json"))[-1]["generation"])
    tenantry(site, "rename", "acme", "brand", "--path", "/brand")
    assert re.search(r"acme +gone +was renamed, or archived since", tenantry(site, "diff", number))
    said = tenantry(site, "rollback", number)
    assert re.search(r"acme +new +/acme", said)
    assert "Back without a database, and empty: acme. What was removed or renamed since is not undone" in said
    tenantry(site, "archive", "globex")
    number = str(json.loads(tenantry(site, "diff", "--json"))[-1]["generation"])
    tenantry(site, "remove", "globex", "--yes", "globex")
    assert re.search(r"globex +gone +was archived", tenantry(site, "diff", number))


def test_renaming_twice_at_once_does_it_once_and_says_so(site: Path) -> None:
    command = [sys.executable, "-m", "tenantry.cli", "rename", "initech", "brand"]
    paths = os.pathsep.join([str(ROOT / "platform"), str(site), str(ROOT)])
    both = [
        subprocess.Popen(
            command,
            cwd=site,
            env={**environ_without_tenantry(), "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], said
    assert not any("move it away" in each or "cut short" in each for each in said), said
    assert "brand" in Registry.from_file(site / "tenants.toml")


def test_a_tenant_whose_database_is_broken_is_suspended_and_told(site: Path) -> None:
    tenantry(site, "provision", "acme")
    for name in ("tenant.db-wal", "tenant.db-shm"):
        (site / "var" / "tenants" / "acme" / name).unlink(missing_ok=True)
    (site / "var" / "tenants" / "acme" / "tenant.db").write_bytes(b"no database" * 999)
    said = tenantry(site, "suspend", "acme", "globex", status=1)
    assert "The status is in force, but log-ins could not be ended of 'acme' (" in said
    assert "Traceback" not in said
    registry = Registry.from_file(site / "tenants.toml")
    assert [registry[slug].status for slug in ("acme", "globex")] == ["suspended", "suspended"]


def test_states_come_and_go_in_every_worker(site: Path, serve: Serve) -> None:
    server = serve(site)
    server.agree()
    original = (site / "tenants.toml").read_text()

    def everywhere(path: str) -> set[int]:
        return {server.get(path).status for _ in range(20)}

    with visited(server, "/globex/de/") as wrong:
        for command, during in (
            (("suspend",), 403),
            (("maintenance", "on"), 503),
            (("archive",), 404),
        ):
            assert "is in force in 2 processes" in tenantry(site, *command, "acme", "initech")
            assert (everywhere("/acme/en/"), everywhere("/initech/en/")) == ({during}, {during})
            tenantry(site, "resume", "acme", "initech")
            assert everywhere("/acme/en/") == {200}
            assert (site / "tenants.toml").read_text() == original
        tenantry(site, "read-only", "on", "acme")
        assert everywhere("/acme/en/") == {200}
        assert server.get("/acme/accounts/login", method="POST").status == 503
        tenantry(site, "read-only", "off", "acme")
        tenantry(site, "maintenance", "on", "acme")
        tenantry(site, "maintenance", "off", "acme")
    assert wrong == []
    assert (site / "tenants.toml").read_text() == original


def test_what_states_say(site: Path) -> None:
    assert "'acme' was active, and is suspended now." in tenantry(site, "suspend", "acme")
    assert "No process serves just now." in tenantry(site, "suspend", "acme")
    assert "'acme' is suspended already." in tenantry(site, "suspend", "acme")
    assert "did you mean 'acme'?" in tenantry(site, "suspend", "globex", "acmee", status=1)
    assert Registry.from_file(site / "tenants.toml")["globex"].status == "active"
    assert "'acme' is not in maintenance, but suspended." in tenantry(
        site, "maintenance", "off", "acme", "globex", status=1
    )
    assert "'acme' was suspended, and is in maintenance now." in tenantry(site, "maintenance", "on", "acme")
    assert "'acme' was in maintenance, and can only be read now." in tenantry(site, "read-only", "on", "acme")
    assert "'acme' can only be read already." in tenantry(site, "read-only", "on", "acme")
    assert "'acme' was read-only, and is active now." in tenantry(site, "resume", "acme")
    assert "Missing argument 'SLUG…'" in tenantry(site, "resume", status=2)
    (site / "tenants.toml").write_text((site / "tenants.toml").read_text() + "[[[")
    assert "not valid TOML" in tenantry(site, "resume", "acme", status=1)


def test_a_process_that_does_not_take_it_up_is_named(site: Path, serve: Serve) -> None:
    """As one that is stopped by a debugger."""
    import signal

    server = serve(site, workers=1)
    assert server.get("/acme/en/").status == 200
    (worker,) = [each["pid"] for each in json.loads(tenantry(site, "status", "--json"))["processes"]]
    os.kill(worker, signal.SIGSTOP)
    try:
        said = tenantry(site, "suspend", "acme", status=1)
    finally:
        os.kill(worker, signal.SIGCONT)
    assert f"is not in force in the processes {worker} (web, with generation 1)" in said


def test_a_clone_is_made_while_the_source_is_written_to_and_can_do_no_harm(site: Path, serve: Serve) -> None:
    text = (
        (site / "tenants.toml")
        .read_text()
        .replace(
            "[tenants.initech.config]",
            '[tenants.initech.config]\nMAIL_SERVER = "127.0.0.1"\nSHOP_API_KEY = "live"\nSHOP_NAME = "x"\n'
            'WEBHOOK_URL = "https://hook.example/x"\nSMTP_AUTH = "x:y"\nDATABASE_URI = "sqlite://"\n'
            'PAYMENT = { api_key = "live", currency = "EUR", hooks = [{ url = "https://a.example", on = "paid" }] }',
        )
    )
    (site / "tenants.toml").write_text(
        text.replace('color  = "#5e35b1"', 'color  = "#5e35b1"  # violet\npartners = ["acme"]')
    )
    server = serve(site)
    tenantry(site, "users", "add", "initech", "peter@example.com", "--role", "admin")
    uploads = site / "var" / "tenants" / "initech" / "uploads"
    uploads.mkdir(exist_ok=True)
    (uploads / ("a" * 32)).write_text("picture")
    with closing(sqlite3.connect(site / "var" / "tenants" / "initech" / "tenant.db")) as connection:
        columns = "id, name, alt, media_type, size, width, height, created_at"
        values = (("a" * 32), "a.png", "", "image/png", 7, 1, 1, "2026-01-01 00:00:00")
        connection.execute(f"INSERT INTO tenantry_upload ({columns}) VALUES (?,?,?,?,?,?,?,?)", values)
        connection.commit()
    for path in ("/initech/en/", "/acme/en/") * 8:  # each worker builds their apps
        server.get(path)
    with visited(server, "/initech/en/", "/acme/en/", "/initech/static/tenantry/logo.svg") as wrong:
        said = tenantry(site, "clone", "initech", "copy", "--anonymise")
        answer = server.get("/copy/en/")
    assert wrong == []
    assert (answer.status, "Copy of Initech" in answer.text) == (200, True)
    registry = Registry.from_file(site / "tenants.toml")
    copy = registry["copy"]
    assert (copy.path, copy.hosts, copy.partners) == ("/copy", (), ())
    assert dict(copy.overrides) == {"front.index": "tenants.copy.views:index"}
    assert dict(copy.config) == {
        "MAIL_SERVER": "",
        "SHOP_NAME": "x",
        "MAIL_SUBJECT_PREFIX": "[Initech]",
        "PAYMENT": {"currency": "EUR", "hooks": ({"on": "paid"},)},
    }
    left_out = "SHOP_API_KEY, WEBHOOK_URL, SMTP_AUTH, DATABASE_URI, PAYMENT.api_key, PAYMENT.hooks.url"
    assert f"Left out of its config, as they may be secrets: {left_out}." in said
    shown = tenantry(site, "show", "initech")
    assert "hook.example" not in shown, "what is not copied is not shown either"
    assert "a.example" not in shown
    assert "live" not in shown
    assert "# violet" in (site / "tenants.toml").read_text().partition("[tenants.copy]")[2]
    ((name, email, password),) = rows(site, "copy", "SELECT username, email, password_hash FROM tenantry_user")
    assert "peter" not in f"{name}{email}"
    assert password is None
    assert rows(site, "copy", "SELECT id FROM tenantry_deed") != rows(site, "initech", "SELECT id FROM tenantry_deed")
    own, theirs = site / "var" / "tenants" / "copy" / "uploads" / ("a" * 32), uploads / ("a" * 32)
    assert own.read_text() == "picture"
    assert not own.samefile(theirs)
    assert (site / "tenants" / "copy" / "views.py").exists()


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["acmee", "copy"], "did you mean 'acme'?"),
        (["acme", "globex"], "There is a tenant 'globex' already"),
        (["acme", "copy", "--path", "/globex"], "'/globex' is the door of tenant 'globex' already"),
        (["acme", "taken"], "already. Choose another slug, or move it away."),
    ],
)
def test_what_cannot_be_cloned_is_told_and_leaves_nothing(site: Path, args: list[str], told: str) -> None:
    (site / "tenants" / "taken").mkdir()
    (site / "tenants" / "taken" / "keep.txt").write_text("mine")
    before, text = state_of(site), (site / "tenants.toml").read_text()
    assert told in tenantry(site, "clone", *args, status=1)
    assert (site / "tenants.toml").read_text() == text
    assert {path for path in state_of(site) ^ before if not path.startswith("var/locks/")} == set()


def test_renaming_keeps_log_ins_and_the_others_undisturbed(site: Path, serve: Serve) -> None:
    (site / "tenants.toml").write_text(
        (site / "tenants.toml").read_text().replace('partners  = ["acme"]', 'partners  = ["acme", "initech"]  # two')
    )
    server = serve(site, TENANTRY_ENV="production")
    server.agree()
    said = tenantry(site, "users", "add", "initech", "peter@example.com", "--role", "admin")
    cookie = log_in(server, said)
    profile = server.get("/initech/accounts/", "localhost", f"Cookie: {cookie}")
    assert (profile.status, "peter" in profile.text) == (200, True)
    deed = rows(site, "initech", "SELECT id FROM tenantry_deed")
    with visited(server, "/acme/en/", "/globex/de/") as wrong:
        said = tenantry(site, "rename", "initech", "brand")
    assert wrong == []
    assert "'initech' is 'brand' now." in said
    assert "is in force in 2 processes" in said
    after = server.get("/initech/accounts/", "localhost", f"Cookie: {cookie}")
    assert (after.status, "peter" in after.text) == (200, True)
    assert rows(site, "brand", "SELECT id FROM tenantry_deed") == deed
    assert not (site / "var" / "tenants" / "initech" / "tenant.db").exists()
    text = (site / "tenants.toml").read_text()
    assert 'partners  = ["acme", "brand"]  # two' in text
    assert "[tenants.brand.config]         # plain Flask configuration, upper case" in text
    assert '"tenants.brand.views:index" }   # everything shared but one view' in text
    assert list(Registry.from_file(site / "tenants.toml")) == ["acme", "globex", "brand"]
    # Whoever is made under the old name afterwards has nothing to do with it.
    tenantry(site, "add", "initech", "--path", "/other")
    old = server.get("/other/accounts/", "localhost", f"Cookie: {cookie}")
    assert old.status in (302, 303, 401)


def log_in(server: Server, said: str) -> str:
    """Set a password by the link that a command has printed, log in with it, and return the cookies."""
    link = re.search(r"http://[^/]+(/\S*)", said.partition("password")[2])
    assert link
    jar: dict[str, str] = {}

    def submit(path: str, **form: str) -> None:
        page = send("GET", path)
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
        assert token, page.text
        answer = send("POST", path, urlencode({"csrf_token": token[1], **form}))
        assert answer.status in (302, 303), answer.text

    def send(method: str, path: str, body: str = "") -> Answer:
        cookies = "; ".join(f"{name}={value}" for name, value in jar.items())
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Origin: http://localhost", f"Cookie: {cookies}"]
        lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
        answer = Answer(server.raw("\r\n".join([*lines, "Connection: close", "", body]).encode()))
        for cookie in answer.header("Set-Cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            jar[name] = value
        return answer

    word = "correct horse battery staple"
    path = link[1] if link[1].startswith("/initech") else f"/initech{link[1]}"
    submit(path, password=word)
    submit("/initech/accounts/log-in", login="peter", password=word)
    return "; ".join(f"{name}={value}" for name, value in jar.items())


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["acmee", "brand"], "did you mean 'acme'?"),
        (["acme", "globex"], "There is a tenant 'globex' already"),
        (["acme", "Brand"], "'Brand' is not a slug"),
        (["acme", "brand", "--path", "/globex"], "'/globex' is the door of tenant 'brand' already"),
        (["acme", "taken"], "already. Choose another slug, or move it away."),
    ],
)
def test_what_cannot_be_renamed_is_told_and_left_as_it_was(site: Path, args: list[str], told: str) -> None:
    (site / "tenants" / "taken").mkdir()
    (site / "tenants" / "taken" / "keep.txt").write_text("mine")
    before, text = state_of(site), (site / "tenants.toml").read_text()
    assert told in tenantry(site, "rename", *args, status=1)
    assert (site / "tenants.toml").read_text() == text
    assert {path for path in state_of(site) ^ before if not path.startswith("var/locks/")} == set()


def test_a_tenant_whose_database_somebody_has_open_is_not_renamed(site: Path) -> None:
    before = state_of(site)
    prelude = "import tenantry.closing as c; c.alone_with.__wrapped__.__defaults__ = (0.3,)"
    with closing(sqlite3.connect(site / "var" / "tenants" / "acme" / "tenant.db")) as connection:
        connection.execute("SELECT * FROM tenantry_deed").fetchall()
        code = f"{prelude}\nfrom tenantry.cli import main\nmain(['rename', 'acme', 'brand'])"
        done = subprocess.run([sys.executable, "-c", code], cwd=site, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "has the database of 'acme' open" in done.stderr) == (1, True), done.stderr
    assert {
        path for path in state_of(site) ^ before if not path.startswith(("var/locks/", "var/tenants/acme/"))
    } == set()
    assert "acme" in Registry.from_file(site / "tenants.toml")


def test_removing_takes_a_backup_and_leaves_nothing_that_another_could_use(site: Path, serve: Serve) -> None:
    server = serve(site, TENANTRY_ENV="production")
    said = tenantry(site, "users", "add", "initech", "peter@example.com", "--role", "admin")
    cookie = log_in(server, said)
    assert "expected one that is archived" in tenantry(site, "remove", "initech", "--yes", "initech", status=1)
    tenantry(site, "archive", "initech")
    assert "say: --yes initech" in tenantry(site, "remove", "initech", status=2)
    assert "nothing was removed" in tenantry(site, "remove", "initech", "--yes", "initec", status=1)
    assert (site / "var" / "tenants" / "initech" / "tenant.db").exists()
    with visited(server, "/acme/en/", "/globex/de/") as wrong:
        said = tenantry(site, "remove", "initech", "--yes", "initech")
    assert wrong == []
    tenantry(site, "backup", "verify", backup_in(said))
    left = [path for path in site.rglob("*initech*") if not {"registry", "backups", "locks"} & set(path.parts)]
    assert left == []
    assert "initech" not in (site / "tenants.toml").read_text()
    assert "There is no tenant 'initech'" in tenantry(site, "remove", "initech", "--yes", "initech", status=1)
    tenantry(site, "add", "initech")
    assert server.get("/initech/en/").status == 200
    assert server.get("/initech/accounts/", "localhost", f"Cookie: {cookie}").status in (302, 303, 401)


def test_the_last_backup_brings_a_removed_tenant_back_as_it_was(site: Path) -> None:
    tenantry(site, "users", "add", "initech", "peter@example.com")
    before = Registry.from_file(site / "tenants.toml")["initech"]
    tenantry(site, "archive", "initech")
    backup = backup_in(tenantry(site, "remove", "initech", "--yes", "initech"))
    said = tenantry(site, "restore", backup)
    assert "To serve it again: tenantry add initech --adopt\n" in said
    assert "archived" not in said
    kept = site / "var" / "tenants" / "initech" / "table.toml"
    assert kept.stat().st_mode & 0o777 == 0o600
    tenantry(site, "add", "initech", "--adopt")
    assert Registry.from_file(site / "tenants.toml")["initech"] == before
    assert before.hosts
    assert not kept.exists()
    assert rows(site, "initech", "SELECT username FROM tenantry_user") == [("peter",)]
    assert (site / "tenants" / "initech" / "views.py").exists()
    assert "It was there already" in tenantry(site, "add", "initech", "--adopt")


def test_what_is_said_overrules_the_table_of_what_is_adopted(site: Path) -> None:
    tenantry(site, "archive", "initech")
    backup = backup_in(tenantry(site, "remove", "initech", "--yes", "initech"))
    tenantry(site, "restore", backup)
    tenantry(site, "add", "other", "--host", "initech.localhost")
    taken = "'initech.localhost' is the door of tenant 'other' already"
    assert taken in tenantry(site, "add", "initech", "--adopt", status=1)
    tenantry(site, "add", "initech", "--adopt", "--path", "/back", "--title", "Back")
    tenant = Registry.from_file(site / "tenants.toml")["initech"]
    assert (tenant.title, tenant.path, tenant.hosts, tenant.color) == ("Back", "/back", (), "#5e35b1")


def test_jobs_that_wait_follow_a_tenant_that_is_renamed(site: Path) -> None:
    (site / "tenants" / "acme").mkdir(exist_ok=True)
    code = """
from tenantry import Platform, db, jobs
from tenantry.mail.delivery import deliver
platform = Platform.from_file("tenants.toml")
with platform.tenant("acme"):
    deliver.enqueue()
"""
    environment = {
        **environ_without_tenantry(),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(site), str(ROOT)]),
    }
    subprocess.run([sys.executable, "-c", code], cwd=site, env=environment, check=True, timeout=60)
    tenantry(site, "rename", "acme", "brand")
    look = """
import logging
logging.basicConfig(level=logging.DEBUG)
from tenantry import Platform
from tenantry.jobs import running
from tenantry.context import current_tenant
platform = Platform.from_file("tenants.toml")
call = platform.queue.take()
print(call.tenant, running.run(platform, lambda: None, call))
"""
    done = subprocess.run([sys.executable, "-c", look], cwd=site, env=environment, capture_output=True, text=True)
    assert done.stdout == "acme None\n", done.stderr
    assert "waits" not in done.stderr
    assert "dropped" not in done.stderr


def test_addresses_have_the_port_that_visitors_use(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = site / "tenants.toml"
    monkeypatch.setenv("TENANTRY_PORT", "8777")
    found = CliRunner().invoke(main, ["--config", str(file), "add", "umbrella", "--host", "umbrella.example"])
    assert found.exit_code == 0, found.output
    assert "is at http://umbrella.example:8777/\n" in found.output
    found = CliRunner().invoke(main, ["--config", str(file), "maintenance", "pass", "umbrella"])
    assert "http://umbrella.example:8777/?maintenance-pass=" in found.output
