"""Edits of tenants.toml while real gunicorns serve: rows 1, 2, 4, 5, 6 and 21 of the fault matrix, and every editor's way.

Errors are counted at the client.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from conftest import ROOT, Answer, Load, Server, environ_without_tenantry, wait_until
from tenantry.generations import Generations
from tenantry.presence import reports
from tenantry.registry import Settings

Serve = Callable[..., Server]

#: A page that tells which app has made it, and one that is answered once there is a file for that.
VIEWS = """
import itertools, os, time
from pathlib import Path
from flask import Blueprint, current_app
from tenantry import current_tenant

bp = Blueprint("site", __name__)
NUMBERS = itertools.count()


@bp.get("/")
def index():
    number = current_app.extensions.setdefault("number", None)
    if number is None:
        number = current_app.extensions["number"] = next(NUMBERS)
    return f"{current_tenant.title} {os.getpid()}.{number}"


@bp.get("/held")
def held():
    before = current_tenant.title
    Path(f"inside-{time.monotonic_ns()}").touch()
    while not Path("go-on").exists():
        time.sleep(0.01)
    return f"{before} {current_tenant.title}"
"""
HEAD = '[platform]\nblueprints = "set_of_one"\n\n'


def table(slug: str, title: str = "", more: str = "") -> str:
    return f'[tenants.{slug}]\ntitle = "{title or slug}"\npath = "/{slug}"\n{more}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    package = tmp_path / "set_of_one" / "site"
    package.mkdir(parents=True)
    (tmp_path / "set_of_one" / "__init__.py").touch()
    (package / "__init__.py").write_text(VIEWS)
    (tmp_path / "tenants.toml").write_text(HEAD + table("acme") + table("globex") + table("initech"))
    return tmp_path


@pytest.fixture
def server(folder: Path, serve: Serve) -> Server:
    started = serve(folder)
    started.agree()
    return started


@contextmanager
def inside(server: Server) -> Iterator[list[Future[Answer]]]:
    """Have four requests inside the app of acme, for as long as the block lasts."""
    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(server.get, "/acme/held") for _ in range(4)]
        try:
            wait_until(lambda: len(list(server.folder.glob("inside-*"))) == 4)
            yield asking
            assert not any(each.done() for each in asking), "they are still inside"
        finally:
            (server.folder / "go-on").touch()


def tenantry(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tenantry.cli", *arguments],
        cwd=folder,
        env={**environ_without_tenantry(), "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(folder)])},
        capture_output=True,
        text=True,
        timeout=60,
    )


def status(folder: Path) -> dict[str, Any]:
    """What ``tenantry status --json`` prints, without the time that it takes to start."""
    file = folder / "tenants.toml"
    found = Generations(folder / "var", file)
    current, refused = found.current(), found.rejection()
    return {
        "generation": asdict(current) if current else None,
        "refused": asdict(refused) if refused else None,
        "processes": [asdict(report) for report in reports(Settings(file=file, state_dir=folder / "var"))],
    }


def generations(folder: Path) -> tuple[int, set[int]]:
    """Return the generation in force, and those that the processes have."""
    found = status(folder)
    return found["generation"]["number"], {process["generation"] for process in found["processes"]}


def titles(server: Server, path: str) -> set[str]:
    return {server.get(path).text.split(" ")[0] for _ in range(12)}


def test_an_edit_is_live_in_every_worker_and_touches_nobody_else(server: Server, folder: Path) -> None:
    file = folder / "tenants.toml"
    apps: set[str] = set()
    wait_until(lambda: not apps.add(server.get("/globex/").text) and len(apps) == 2)  # both workers have built one
    with Load(server, "/globex/", "/initech/") as load:
        file.write_text(file.read_text().replace('"acme"', '"Acme"'))
        wait_until(lambda: titles(server, "/acme/") == {"Acme"})
        file.write_text(file.read_text() + table("umbrella"))
        wait_until(lambda: {server.get("/umbrella/").status for _ in range(12)} == {200})
        server.agree()
    assert set(load.answers) == {200}
    assert {server.get("/globex/").text for _ in range(40)} <= apps, "the same apps"
    assert generations(folder) == (3, {3})
    wait_until(lambda: "Generation 2 is in force: changed: acme." in server.output())
    wait_until(lambda: "Generation 3 is in force: new: umbrella." in server.output())


def test_a_request_inside_the_old_app_ends_there(server: Server, folder: Path) -> None:
    with inside(server) as answers:
        file = folder / "tenants.toml"
        file.write_text(file.read_text().replace('"acme"', '"Acme"'))
        wait_until(lambda: titles(server, "/acme/") == {"Acme"})
        server.agree()
    assert [(each.result().status, each.result().text) for each in answers] == [(200, "acme acme")] * 4


def test_row_1_a_broken_file_harms_nobody_and_is_seen(server: Server, folder: Path) -> None:
    file = folder / "tenants.toml"
    good = file.read_text()
    with Load(server, "/acme/", "/globex/") as load:
        for broken in (
            good.replace("path", "pathh", 1),
            good[: len(good) // 2] + "\n[[[",
            "",
            good.replace('"/acme"', '"/globex"'),
            good.replace("title", "overrides = { 'site.indx' = 'json:loads' }\ntitle", 1),
        ):
            file.write_text(broken)
            wait_until(lambda: (status(folder)["refused"] or {"mended": 1})["mended"] is None)
            file.write_text(good)
            wait_until(lambda: status(folder)["refused"]["mended"] is not None)
        file.unlink()
        wait_until(lambda: status(folder)["refused"]["mended"] is None)
        seen = tenantry(folder, "status")
        assert seen.returncode == 1
        assert "not mended yet. The configuration has 1 problem" in seen.stdout
        file.write_text(good)
        wait_until(lambda: status(folder)["refused"]["mended"] is not None)
    assert set(load.answers) == {200}
    assert sum(load.answers.values()) > 200
    assert generations(folder) == (1, {1})
    as_data = json.loads(tenantry(folder, "status", "--json").stdout)
    assert [process["generation"] for process in as_data["processes"]] == [1, 1]
    assert as_data["refused"]["mended"]
    wait_until(lambda: "did you mean 'path'?" in server.output())
    wait_until(lambda: "did you mean 'site.index'?" in server.output())
    assert "Traceback" not in server.output()


def test_row_2_a_worker_that_starts_while_the_file_is_cut_has_every_tenant(server: Server, folder: Path) -> None:
    file = folder / "tenants.toml"
    good = file.read_text()
    for end in range(5, len(good), len(good) // 6):
        file.write_text(good[:end])
        wait_until(lambda: (status(folder)["refused"] or {"mended": 0})["mended"] is None)
        server.kill_worker()
        wait_until(lambda: len(status(folder)["processes"]) == 2)
        for slug in ("acme", "globex", "initech"):
            assert {server.get(f"/{slug}/").status for _ in range(8)} == {200}
        file.write_text(good)
        wait_until(lambda: status(folder)["refused"]["mended"] is not None)


def test_row_2_gunicorn_starts_from_the_last_good_one(folder: Path, serve: Serve) -> None:
    first = serve(folder)
    assert first.get("/acme/").status == 200
    first.stop()
    file = folder / "tenants.toml"
    good = file.read_text()
    file.write_text(good + "[tenants.umbrella\n")
    second = serve(folder)
    assert second.get("/globex/").status == 200
    assert "not valid TOML" in second.output()
    assert "Generation 1, the last good configuration, is served instead" in second.output()
    file.write_text(good + table("umbrella"))
    wait_until(lambda: {second.get("/umbrella/").status for _ in range(8)} == {200})


def test_row_4_a_hundred_edits_under_load(server: Server, folder: Path) -> None:
    file = folder / "tenants.toml"
    good = file.read_text()
    seconds = []
    with Load(server, "/acme/", "/globex/", "/initech/") as load:
        for number in range(100):
            slug = ("acme", "globex", "initech")[number % 3]
            file.write_text(good.replace(f'title = "{slug}"', f'title = "{slug}-{number}"'))
            time.sleep(0.05)
            if number % 10 == 0:
                began = time.monotonic()
                wait_until(lambda: titles(server, f"/{slug}/") == {f"{slug}-{number}"})  # noqa: B023  # called now
                seconds.append(time.monotonic() - began)
        wait_until(lambda: titles(server, "/acme/") == {"acme-99"})
        server.agree()
    assert set(load.answers) == {200}
    assert 10 <= generations(folder)[0] <= 101
    assert median(seconds) < 5, "how long exactly is measured by 'bench edits'"
    assert "Traceback" not in server.output()


def test_row_5_ten_reloads_under_load(server: Server, folder: Path) -> None:
    file = folder / "tenants.toml"
    good = file.read_text()
    with Load(server, "/acme/", "/globex/") as load:
        for number in range(10):
            file.write_text(good.replace('title = "acme"', f'title = "acme-{number}"'))
            server.reload()
    assert set(load.answers) == {200}, load.wrong[:5]
    wait_until(lambda: titles(server, "/acme/") == {"acme-9"})
    wait_until(lambda: len(status(folder)["processes"]) == 2)
    wait_until(lambda: generations(folder)[1] == {generations(folder)[0]})


def test_row_6_a_worker_that_is_killed_costs_what_was_inside_it(server: Server, folder: Path) -> None:
    """Four visitors: no more than four requests are inside at any moment. An edit comes right after."""
    with Load(server, "/acme/", "/globex/", visitors=4) as load:
        time.sleep(0.5)
        victim = server.all_workers()[0]
        os.kill(victim, signal.SIGKILL)
        file = folder / "tenants.toml"
        file.write_text(file.read_text().replace('"acme"', '"Acme"'))
        wait_until(lambda: victim not in server.all_workers())
        wait_until(lambda: titles(server, "/acme/") == {"Acme"})
    assert load.answers[0] <= 4
    assert set(load.answers) <= {200, 0}
    server.agree()
    assert generations(folder) == (2, {2})


def test_whoever_watches_is_replaced_when_it_is_gone(server: Server, folder: Path) -> None:
    for number in range(3):
        (watcher,) = [process["pid"] for process in status(folder)["processes"] if process["watches"]]
        os.kill(watcher, signal.SIGKILL)
        with (folder / "tenants.toml").open("a") as file:
            file.write(table(f"t{number}"))
        wait_until(lambda: server.get(f"/t{number}/").status == 200)  # noqa: B023  # called now
        wait_until(lambda: sum(process["watches"] for process in status(folder)["processes"]) == 1)


def test_what_is_being_written_is_not_taken_before_it_is_whole(folder: Path, serve: Serve) -> None:
    """Written piece by piece, each of them valid, and each without the tenants of the next."""
    server = serve(folder, prelude="from tenantry import following\nfollowing.SETTLED = 2.0")
    server.agree()
    file = folder / "tenants.toml"
    pieces = [HEAD + table("acme"), table("globex", "Globex"), table("initech"), table("umbrella"), table("vandelay")]
    with Load(server, "/acme/", "/globex/", "/initech/") as load, file.open("w") as written:
        for piece in pieces:
            written.write(piece)
            written.flush()
            time.sleep(0.6)
    wait_until(lambda: server.get("/vandelay/").status == 200)
    assert set(load.answers) == {200}
    assert generations(folder)[0] == 2


def test_files_that_are_included_and_editors_that_rename(server: Server, folder: Path) -> None:
    file = folder / "tenants.toml"
    draft = folder / ".tenants.toml.swp"
    draft.write_text(file.read_text().replace("[platform]", '[platform]\ninclude = ["tenants.d/*.toml"]'))
    os.utime(draft, (1, 1))  # as a file that was made long ago
    draft.replace(file)
    (folder / "tenants.d").mkdir()
    wait_until(lambda: generations(folder) == (2, {2}))
    (folder / "tenants.d" / "more.toml").write_text(table("umbrella"))
    wait_until(lambda: titles(server, "/umbrella/") == {"umbrella"})
    (folder / "tenants.d" / "more.toml").write_text(table("umbrella", "Umbrella"))
    wait_until(lambda: titles(server, "/umbrella/") == {"Umbrella"})
    (folder / "tenants.d" / "more.toml").unlink()
    wait_until(lambda: status(folder)["generation"]["kept"] == ("umbrella",))
    assert server.get("/umbrella/").status == 200


def test_files_that_are_mounted_by_links_that_are_swapped(folder: Path, serve: Serve) -> None:
    """As a cluster mounts a ConfigMap: a link to a link to a folder, of which the second is replaced in one step."""

    def mount(name: str, text: str) -> None:
        (folder / name).mkdir()
        (folder / name / "tenants.toml").write_text(text)
        (folder / "..new").symlink_to(name)
        (folder / "..new").replace(folder / "..data")

    file = folder / "tenants.toml"
    good = file.read_text()
    file.unlink()
    mount("..one", good)
    file.symlink_to("..data/tenants.toml")
    server = serve(folder)
    assert server.get("/acme/").status == 200
    mount("..two", good + table("umbrella"))
    wait_until(lambda: {server.get("/umbrella/").status for _ in range(8)} == {200})
    mount("..three", good)
    wait_until(lambda: status(folder)["generation"]["kept"] == ("umbrella",))


def test_a_tenant_is_kept_until_it_is_archived(server: Server, folder: Path) -> None:
    file = folder / "tenants.toml"
    good = file.read_text()
    without = HEAD + table("acme") + table("initech") + "# end\n"
    file.write_text(without)
    wait_until(lambda: status(folder)["generation"]["kept"] == ("globex",))
    wait_until(lambda: "served as before: globex." in server.output())
    assert "served as before: globex" in tenantry(folder, "status").stdout
    assert "1 kept though not in the file" in tenantry(folder, "plan").stdout
    assert server.get("/globex/").status == 200
    file.write_text(good.replace('path = "/globex"', 'path = "/globex"\nstatus = "archived"'))
    wait_until(lambda: {server.get("/globex/").status for _ in range(8)} == {404})
    server.agree()
    file.write_text(without)
    wait_until(lambda: generations(folder)[0] == 4)
    assert status(folder)["generation"]["kept"] == ()


def test_what_only_a_new_process_takes_up_waits_for_a_reload(server: Server, folder: Path) -> None:
    file = folder / "tenants.toml"
    file.write_text(
        file.read_text().replace("[platform]", "[platform]\ntrusted_proxies = 1").replace('"acme"', '"Acme"')
    )
    wait_until(lambda: titles(server, "/acme/") == {"Acme"})
    wait_until(lambda: all(process["pending"] == ("trusted_proxies",) for process in status(folder)["processes"]))
    wait_until(lambda: "[platform] trusted_proxies has changed" in server.output())
    assert "[platform] trusted_proxies has changed, which only new processes" in tenantry(folder, "status").stdout
    server.reload()
    wait_until(lambda: [process["pending"] for process in status(folder)["processes"]] == [(), ()])


def test_a_generation_that_is_damaged_keeps_no_edit_from_being_served(server: Server, folder: Path) -> None:
    file = folder / "tenants.toml"
    file.write_text(file.read_text() + "# two\n")
    wait_until(lambda: generations(folder) == (2, {2}))
    registry = folder / "var" / "registry"
    pointer = registry / "current.json"
    (registry / "00000003.gen").write_bytes(b"damaged")
    pointer.write_text(pointer.read_text().replace('"number": 2', '"number": 3'))
    wait_until(lambda: "There is no generation 3 to be read: it is damaged" in server.output())
    file.write_text(file.read_text().replace('"acme"', '"Acme"') + table("umbrella"))
    wait_until(lambda: {server.get("/umbrella/").status for _ in range(12)} == {200})
    server.agree()
    assert titles(server, "/acme/") == {"Acme"}
    assert generations(folder) == (4, {4})


ENDS_BADLY = {
    "import os; os._exit(3)": "ended the process, as if something in it exits",
    "import ctypes; ctypes.string_at(0)": "something in it crashes (VIEWS, line 1)",
    "import sys; sys.exit(1)": "SystemExit: 1 (VIEWS, line 1)",
}


def test_an_import_that_does_not_end_well_harms_nobody(server: Server, folder: Path) -> None:
    before, file = set(server.all_workers()), folder / "tenants.toml"
    good, own = file.read_text(), folder / "tenants" / "acme"
    own.mkdir(parents=True)
    with Load(server, "/acme/", "/globex/") as load:
        for number, (code, told) in enumerate(ENDS_BADLY.items()):
            (own / f"views{number}.py").write_text(code)
            overrides = f"overrides = {{ 'site.index' = 'tenants.acme.views{number}:index' }}"
            file.write_text(good.replace('title = "acme"', overrides))
            words = told.replace("VIEWS", str(own / f"views{number}.py"))
            wait_until(lambda: words in server.output())  # noqa: B023  # called now
    assert set(load.answers) == {200}
    assert set(server.workers()) == before
    assert generations(folder) == (1, {1})


def test_an_edit_is_not_held_up_by_one_before_it_that_hangs(server: Server, folder: Path) -> None:
    file, views = folder / "tenants.toml", folder / "tenants" / "acme" / "views.py"
    good = file.read_text()
    views.parent.mkdir(parents=True)
    views.write_text(f"import time; open({str(folder / 'imported')!r}, 'w').close(); time.sleep(99)")
    overrides = "title = \"Acme\"\noverrides = { 'site.index' = 'tenants.acme.views:index' }"
    file.write_text(good.replace('title = "acme"', overrides))
    wait_until((folder / "imported").exists)
    wait_until(lambda: [process["tries"] for process in status(folder)["processes"] if process["watches"]] == ["acme"])
    assert "is trying an edit: what the file newly names for acme is imported" in tenantry(folder, "status").stdout
    file.write_text(good.replace('title = "acme"', 'title = "Mended"'))
    wait_until(lambda: titles(server, "/acme/") == {"Mended"}, 15)
    assert generations(folder)[0] == 2
    wait_until(lambda: {process["tries"] for process in status(folder)["processes"]} == {""})


OVERRIDES = "overrides = {{ 'site.index' = 'tenants.acme.{0}:index' }}"


def leave(folder: Path, name: str, code: str) -> None:
    """Leave an edit in the file by which acme names a module of its own."""
    own = folder / "tenants" / "acme"
    own.mkdir(parents=True, exist_ok=True)
    (own / f"{name}.py").write_text(code)
    file = folder / "tenants.toml"
    file.write_text(file.read_text().replace('title = "acme"', OVERRIDES.format(name)))


def test_commands_and_starts_put_into_force_what_an_edit_would(server: Server, folder: Path, serve: Serve) -> None:
    """As somebody's edit that was refused, or is being tried, is left in the file."""
    good = (folder / "tenants.toml").read_text()
    leave(folder, "exits", "import os; os._exit(3)")
    wait_until(lambda: "what it names for acme was imported, and that ended the process" in server.output())
    for command in (("suspend", "globex"), ("add", "new", "--path", "/new"), ("rename", "globex", "other"), ("check",)):
        done = tenantry(folder, *command)
        assert (done.returncode, "that ended the process" in done.stderr) == (1, True), (command, done)
    assert {server.get(f"/{slug}/").status for slug in ("acme", "globex", "initech")} == {200}
    assert generations(folder) == (1, {1})
    assert not (folder / "var" / "tenants" / "new").exists()
    server.stop()
    again = serve(folder)
    assert "that ended the process" in again.output()
    assert {again.get(f"/{slug}/").status for slug in ("acme", "globex", "initech")} == {200}
    assert generations(folder)[0] == 1
    (folder / "tenants.toml").write_text(good)
    assert tenantry(folder, "suspend", "globex").returncode == 0
    assert {again.get(f"/{slug}/").status for slug in ("acme", "initech")} == {200}


def test_a_suspension_need_not_import_what_the_tenant_names(server: Server, folder: Path) -> None:
    """Whose code has turned bad since it was taken up."""
    leave(folder, "views", "def index(): return 'own'")
    wait_until(lambda: titles(server, "/acme/") == {"own"})
    (folder / "tenants" / "acme" / "views.py").write_text("import time; time.sleep(99)")
    assert tenantry(folder, "suspend", "acme").returncode == 0
    assert server.get("/acme/").status == 403


def test_a_process_that_a_view_forks_holds_no_lock(folder: Path, serve: Serve) -> None:
    """As a pool does, which lives on when its worker is killed."""
    views = folder / "set_of_one" / "site" / "__init__.py"
    pid = folder / "pid"
    views.write_text(
        f"{VIEWS}\n\n@bp.get('/fork')\ndef fork():\n    child = os.fork()\n    if not child:\n        time.sleep(60)\n"
        f"        os._exit(0)\n    open({str(pid)!r}, 'w').write(str(child))\n    return 'forked'\n"
    )
    server = serve(folder, workers=1)
    wait_until(lambda: any(process["watches"] for process in status(folder)["processes"]))
    assert server.get("/acme/fork").text == "forked"
    (worker,) = server.all_workers()
    os.kill(worker, signal.SIGKILL)
    try:
        wait_until(lambda: [process["pid"] for process in status(folder)["processes"]] not in ([], [worker]))
        assert worker not in [process["pid"] for process in status(folder)["processes"]]
        (folder / "tenants.toml").write_text((folder / "tenants.toml").read_text().replace('"acme"', '"Acme"'))
        wait_until(lambda: titles(server, "/acme/") == {"Acme"})
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


def test_a_worker_that_only_ends_what_it_has_begun_watches_no_more(server: Server, folder: Path) -> None:
    """The code of now decides, which an edit may need."""
    before = server.all_workers()
    with inside(server) as answers:
        server.process.send_signal(signal.SIGHUP)
        wait_until(
            lambda: [each["pid"] not in before for each in status(folder)["processes"] if each["watches"]] == [True]
        )
    assert {each.result().status for each in answers} == {200}


def test_an_edit_that_names_other_blueprints_is_tried_with_all_tenants(server: Server, folder: Path) -> None:
    """Which no process takes up before a reload, and each would after one."""
    file = folder / "tenants.toml"
    other = folder / "other" / "pages"
    other.mkdir(parents=True)
    (folder / "other" / "__init__.py").touch()
    (other / "__init__.py").write_text(VIEWS.replace('"site"', '"pages"'))
    good = file.read_text().replace("[tenants.acme]", '[defaults]\nfeatures = ["site"]\n[tenants.acme]')
    file.write_text(good)
    wait_until(lambda: generations(folder) == (2, {2}))
    file.write_text(good.replace("set_of_one", "other"))
    wait_until(lambda: "no blueprint for the feature 'site'; expected one of pages" in server.output())
    whole = good.replace("set_of_one", "other").replace('["site"]', '["pages"]')
    file.write_text(whole)
    wait_until(lambda: "what tenants want of it comes with them: reload gunicorn" in server.output())
    assert generations(folder) == (2, {2})
    server.reload()
    wait_until(lambda: generations(folder) == (3, {3}))
    assert titles(server, "/acme/") == {"acme"}


def test_an_edit_may_name_code_that_prints_and_begins_threads(server: Server, folder: Path) -> None:
    file, views = folder / "tenants.toml", folder / "tenants" / "acme" / "views.py"
    views.parent.mkdir(parents=True)
    views.write_text(
        "import threading, time\nprint('{')\nthreading.Thread(target=time.sleep, args=[3]).start()\n"
        "def index(): return 'overridden'"
    )
    overrides = "overrides = { 'site.index' = 'tenants.acme.views:index' }"
    file.write_text(file.read_text().replace('title = "acme"', overrides))
    wait_until(lambda: titles(server, "/acme/") == {"overridden"})
    server.agree()
    assert generations(folder) == (2, {2})


def test_row_21_a_thousand_reloads_leave_nothing_behind(folder: Path, serve: Serve) -> None:
    """With less patience than anybody has: what an edit leaves behind shows after many."""
    server = serve(
        folder, workers=1, prelude="from tenantry import following\nfollowing.SETTLED, following.EVERY = 0.0, 0.004"
    )
    (pid,) = server.all_workers()
    file = folder / "tenants.toml"
    good, pointer = file.read_text(), folder / "var" / "registry" / "current.json"

    def reload(times: int) -> None:
        for number in range(times):
            before = pointer.read_text()
            draft = folder / "draft"
            draft.write_text(good.replace('title = "acme"', f'title = "acme {times} {number}"'))
            draft.replace(file)
            wait_until(lambda: pointer.read_text() != before)  # noqa: B023  # called now
            server.get("/acme/")

    def open_files() -> int:
        return len(os.listdir(f"/proc/{pid}/fd"))

    def resident() -> int:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])

    reload(100)
    time.sleep(0.3)
    warm = open_files(), resident()
    reload(900)
    wait_until(lambda: open_files() <= warm[0])
    assert resident() <= warm[1] * 1.05
    assert len(list((folder / "var" / "registry").glob("*.gen"))) == 50
    assert "Traceback" not in server.output()
