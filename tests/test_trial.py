"""What an edit newly names is imported by another process first, whatever it does there."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import wait_until
from tenantry import Platform, novelty
from tenantry.accepting import Candidate
from tenantry.checking import problems_of
from tenantry.novelty import BeingTried, Novelty
from tenantry.registry import Registry
from tenantry.sources import Sources
from tenantry.testing import client_of, make_platform
from tenantry.trial import Trial

Write = Callable[[str, str], Path]

BLUEPRINT = """
    from flask import Blueprint
    bp = Blueprint("{name}", __name__)
    bp.add_url_rule("/{name}", "index", lambda: "{name}")
"""
TOML = """
[platform]
blueprints = "{package}"
{platform}
[defaults]
features = ["one"]
[tenants.acme]
path = "/acme"
{acme}
[tenants.globex]
path = "/globex"
"""


class Site:
    """A folder with two blueprints, and a tenants.toml that names one of them."""

    def __init__(self, folder: Path, package: str, write: Write) -> None:
        self.folder, self.package, self.write = folder, package, write
        for name in ("one", "two"):
            write(f"{package}/{name}/__init__.py", BLUEPRINT.format(name=name))
        write(f"{package}_ext.py", "def init_app(app): pass")

    def text(self, acme: str = "", platform: str = "") -> str:
        return TOML.format(package=self.package, acme=acme, platform=platform)

    def serve(self, acme: str = "", platform: str = "") -> Platform:
        return make_platform(self.folder, self.text(acme, platform))

    def edit(self, acme: str = "", platform: str = "", more: str = "") -> Candidate:
        (self.folder / "tenants.toml").write_text(self.text(acme, platform) + more)
        sources = Sources(self.folder / "tenants.toml")
        return Candidate(Registry.load(sources), sources)

    def view(self, code: str) -> str:
        """Write a module of acme's own; return what names it."""
        module = f"{self.package}_views"
        self.write(f"{module}.py", code)
        return f'overrides = {{ "one.index" = "{module}:view" }}'


@pytest.fixture
def site(tmp_path: Path, package: str, write: Write) -> Site:
    return Site(tmp_path, package, write)


def tried(found: Novelty, candidate: Candidate) -> list[str] | None:
    """Look at an edit; return the tenants that are tried first, which then are."""
    names = found._new_ones(candidate.registry)
    if names != []:
        with pytest.raises(BeingTried):
            found.problems(candidate)
        wait_until(lambda: not found.is_tried())
    assert found.problems(candidate) == []
    found.forget()
    return names


def test_only_what_is_new_is_tried_and_only_once(site: Site) -> None:
    platform = site.serve()
    client_of(platform, "globex").get("/one")
    found = Novelty(platform)
    view = site.view("def view(): return 'own'")
    assert tried(found, site.edit('title = "Acme"')) == [], "its features are globex's too"
    assert tried(found, site.edit('features = ["one", "two"]')) == ["acme"]
    assert tried(found, site.edit('features = ["two"]')) == []
    assert tried(found, site.edit(view)) == ["acme"]
    assert tried(found, site.edit(view + '\ntitle = "Acme"')) == []
    assert tried(found, site.edit(more='[tenants.new]\npath = "/new"')) == []
    assert tried(found, site.edit("features = []")) == []


def test_what_was_named_and_never_imported_is_new(site: Site) -> None:
    """As apps are built when they are visited, nobody may have imported what acme has had all along."""
    view = site.view("def view(): return 'own'")
    platform = site.serve(view)
    found = Novelty(platform)
    assert tried(found, site.edit(view + '\ntitle = "Acme"')) == ["acme"]
    platform = site.serve(view)
    assert client_of(platform, "acme").get("/one").text == "own"
    assert tried(Novelty(platform), site.edit(view + '\ntitle = "Acme"')) == []


def test_all_features_are_known_where_an_app_has_all(site: Site) -> None:
    site.write(f"{site.package}/three/__init__.py", BLUEPRINT.format(name="three"))
    text = site.text().replace('features = ["one"]', "")
    platform = make_platform(site.folder, text)
    client_of(platform, "globex").get("/one")
    assert tried(Novelty(platform), site.edit('features = ["three"]')) == []


def test_another_configuration_is_new(site: Site) -> None:
    extension = f'extensions = ["{site.package}_ext:init_app"]'
    platform = site.serve("config = { A = 1 }", extension)
    for slug in ("acme", "globex"):
        client_of(platform, slug).get("/one")
    assert tried(Novelty(platform), site.edit("config = { A = 2 }", extension)) == ["acme"]
    assert tried(Novelty(platform), site.edit("config = { A = 1 }\ntitle = 'Acme'", extension)) == []


def test_a_process_that_builds_no_apps_knows_what_it_has_accepted(site: Site) -> None:
    """As the worker of jobs, where that is the one that watches: no edit waits longer than the first."""
    found = Novelty(site.serve())
    assert tried(found, site.edit('title = "Acme"')) == ["acme"]
    assert tried(found, site.edit('title = "Acme & Sons"')) == []
    assert tried(found, site.edit("config = { KEY = 1 }")) == ["acme"]
    assert tried(found, site.edit("title = 'A'\nconfig = { KEY = 1 }")) == []


def test_other_code_of_the_platform_is_tried_whole_and_once(site: Site) -> None:
    platform = site.serve()
    client_of(platform, "globex").get("/one")
    found = Novelty(platform)
    extension = f'extensions = ["{site.package}_ext:init_app"]'
    assert tried(found, site.edit(platform=extension)) is None
    assert tried(found, site.edit('title = "Acme"', extension)) == [], "it waits for a reload, and is good"
    with pytest.raises(BeingTried):
        found.problems(site.edit(platform=f'extensions = ["{site.package}_ext:nothing"]'))
    wait_until(lambda: not found.is_tried())
    (problem,) = found.problems(site.edit(platform=f'extensions = ["{site.package}_ext:nothing"]'))
    assert (problem.key, "has no 'nothing'" in problem.message) == ("platform.extensions", True)
    found.forget()


def test_a_trial_is_of_what_was_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files may change while it runs, also such as nobody watches yet; its answer does not count for those."""
    found = Novelty(site.serve())
    first = site.edit(site.view("import time; time.sleep(60)"))
    with pytest.raises(BeingTried):
        found.problems(first)
    hanging = found._trial
    assert hanging is not None
    second = site.edit('features = ["two"]')
    with pytest.raises(BeingTried):
        found.problems(second)
    assert found._trial is not hanging
    assert hanging.poll()
    wait_until(lambda: not found.is_tried())
    (site.folder / "tenants.toml").write_text("rubbish")
    assert found.problems(second) == []
    found.forget()
    assert novelty.TRIAL_SECONDS >= 10


ENDS = {
    "import os; os._exit(3)": "ended the process, as if something in it exits",
    "import ctypes; ctypes.string_at(0)": "ended the process, as if something in it crashes (VIEWS, line 1)",
    "import os; os.kill(os.getpid(), 9)": "was ended by the system (SIGKILL), as where memory is short",
    "import sys; sys.exit(1)": "SystemExit: 1 (VIEWS, line 1)",
    "raise KeyboardInterrupt": "ended the process, as if something in it exits",
    "import time\nwhile True: time.sleep(9)": "did not come to an end within 4 seconds (VIEWS, line 2)",
    "import threading, time\nthreading.Thread(target=time.sleep, args=[99]).start()\n"
    "while True: time.sleep(9)": "did not come to an end within 4 seconds (VIEWS, line 3)",
    "1 +": "SyntaxError: invalid syntax",
    "nothing": "NameError: name 'nothing' is not defined (VIEWS, line 1)",
    "import os; os.write(1, b'[]'); os.write(2, b'[]'); os._exit(0)": "ended the process, as if something in it exits",
}


@pytest.mark.parametrize("code", ENDS)
def test_however_it_ends_it_is_told(site: Site, code: str) -> None:
    told = ENDS[code].replace("VIEWS", str(site.folder / f"{site.package}_views.py"))
    (problem,) = Trial(site.edit(site.view(code)).sources, 4.0, ["acme"]).problems()
    assert told in problem.message


@pytest.mark.parametrize(
    "code",
    [
        "print('{')",
        "import os; os.write(1, b'garbled \\xff')",
        "import threading, time; threading.Thread(target=time.sleep, args=[99]).start()",
        "import os; os.chdir('/'); os.environ.clear()",
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "import sys; sys.stdout = sys.stderr = None",
    ],
)
def test_what_an_import_does_besides_does_not_matter(site: Site, code: str) -> None:
    trial = Trial(site.edit(site.view(f"{code}\ndef view(): return 'own'")).sources, 30.0, ["acme"])
    assert trial.problems() == []


def test_what_an_import_has_started_ends_with_it(site: Site) -> None:
    noted = site.folder / "pid"
    code = f"import subprocess; open({str(noted)!r}, 'w').write(str(subprocess.Popen(['sleep', '99']).pid))"
    for ends in ("def view(): return 'own'", "import os; os._exit(0)", "import time; time.sleep(99)"):
        trial = Trial(site.edit(site.view(f"{code}\n{ends}")).sources, 4.0, ["acme"])
        trial.problems()
        wait_until(lambda: not is_running(int(noted.read_text())))
        noted.unlink()


def test_one_that_is_stopped_is_gone(site: Site) -> None:
    noted = site.folder / "pid"
    code = f"import os, time; open({str(noted)!r}, 'w').write(str(os.getpid())); time.sleep(99)"
    before = len(os.listdir("/proc/self/fd"))
    trial = Trial(site.edit(site.view(code)).sources, 60.0, ["acme"])
    wait_until(lambda: noted.exists() and noted.read_text() != "")
    assert not trial.poll()
    trial.stop()
    assert not is_running(int(noted.read_text()))
    assert len(os.listdir("/proc/self/fd")) == before


def test_one_whose_clock_was_stopped_is_killed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenantry.trial._GRACE", 0.5)
    code = "import faulthandler, time; faulthandler.cancel_dump_traceback_later(); time.sleep(99)"
    began = time.monotonic()
    (problem,) = Trial(site.edit(site.view(code)).sources, 2.0, ["acme"]).problems()
    assert "did not come to an end within 2 seconds" in problem.message
    assert time.monotonic() < began + 20


def test_what_is_wrong_with_the_platform_is_no_exit(site: Site) -> None:
    candidate = site.edit(platform='redis = "redis://127.0.0.1:1/0"\nextensions = ["missing:init_app"]')
    problems = Trial(candidate.sources, 30.0, ["acme"]).problems()
    assert problems == problems_of(candidate.registry, candidate.sources, ["acme"])
    assert "there is no module 'missing'" in problems[0].message


def test_a_mistake_is_told_where_it_stands_also_in_a_file_that_is_included(site: Site) -> None:
    site.write(f"{site.package}_views.py", "1 +")
    more = f'[tenants.new]\npath = "/new"\noverrides = {{ "one.index" = "{site.package}_views:view" }}\n'
    (site.folder / "more.toml").write_text(more)
    candidate = site.edit(platform='include = ["more.toml"]')
    (problem,) = Trial(candidate.sources, 30.0, ["new"]).problems()
    assert (problem.file, problem.line, problem.key) == ("more.toml", 3, "tenants.new.overrides")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIG_DFL)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
