"""The command line, as its operator types it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from conftest import ROOT, environ_without_tenantry, free_port
from tenantry.cli import COMMANDS, main

Run = Callable[..., Result]
Write = Callable[[str, str], Path]


@pytest.fixture
def run(site: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(site)
    return lambda *args, **options: CliRunner().invoke(main, [str(arg) for arg in args], **options)


def as_json(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_check_says_that_all_is_well(run: Run) -> None:
    result = run("check")
    assert (result.exit_code, result.output) == (0, "tenants.toml: 3 tenants, no problems.\n")
    assert as_json(run("check", "--json")) == {"ok": True, "problems": []}


@pytest.mark.parametrize("arguments", [["check"], ["list"], ["show", "acme"], ["routes", "acme"]], ids=" ".join)
def test_commands_that_look_write_nothing(run: Run, site: Path, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 0
    assert not (site / "var").exists()


def test_check_says_that_the_state_folder_cannot_be_used(run: Run, site: Path) -> None:
    (site / "var").write_text("a file")
    result = run("check")
    assert result.exit_code == 1
    assert f"platform.state_dir: '{site / 'var'}' cannot be used, as {site / 'var'} is not a folder." in result.stderr


def test_check_tells_every_mistake_and_exits_with_1(run: Run, site: Path) -> None:
    (site / "tenants.toml").write_text('[tenants.a]\npth = "/a"\n[tenants.b]\npath = "b"\n')
    result = run("check")
    assert result.exit_code == 1
    assert "The configuration has 2 problems:" in result.stderr
    assert "tenants.toml:2: tenants.a.pth: unknown key; did you mean 'path'?" in result.stderr
    parsed = json.loads(run("check", "--json").stdout)
    assert parsed["ok"] is False
    assert parsed["problems"][0] == {
        "file": "tenants.toml",
        "line": 2,
        "key": "tenants.a.pth",
        "message": "unknown key; did you mean 'path'?",
    }


def test_check_looks_beyond_the_file(run: Run, site: Path) -> None:
    """Imports, features, overrides, overlays and languages: each a paragraph, each once."""
    text = (site / "tenants.toml").read_text()
    text = text.replace('"front.index" = "tenants.initech.views:index"', '"front.indx" = "tenants.initech.views:index"')
    text += (
        '\n[tenants.late]\npath = "/late"\nlanguages = ["fr"]\n[tenants.later]\npath = "/later"\nfeatures = ["frnt"]\n'
    )
    (site / "tenants.toml").write_text(text)
    overlay = site / "tenants" / "acme" / "templates" / "x.html"
    overlay.parent.mkdir(parents=True)
    overlay.write_text("{{ ")
    result = run("check")
    assert result.exit_code == 1
    last = len(text.splitlines())
    assert (
        f"tenants.toml:{last - 3}: tenants.late.languages: there is no catalogue for the language 'fr'; there are de, en"
        in result.stderr
    )
    assert (
        f"tenants.toml:{last}: tenants.later.features: There is no blueprint for the feature 'frnt'; did you mean 'front'?"
        in result.stderr
    )
    assert (
        "tenants.initech.overrides: overrides names the endpoint 'front.indx', which there is not; did you mean"
        in result.stderr
    )
    assert f"tenants.acme: The template {overlay}, line 1, is not valid" in result.stderr
    assert "4 problems" in result.stderr


def test_a_fault_of_all_tenants_is_told_once(run: Run, site: Path) -> None:
    text = (site / "tenants.toml").read_text().replace("extensions = []", 'extensions = ["no.such:thing"]')
    (site / "tenants.toml").write_text(text)
    result = run("check")
    assert result.exit_code == 1
    assert result.stderr.count("'no.such' cannot be imported: there is no module 'no'") == 1
    assert re.search(r"tenants.toml:5: platform.extensions: 'no.such' cannot", result.stderr)


def test_a_fault_in_the_defaults_is_told_where_it_stands(run: Run, site: Path) -> None:
    text = (site / "tenants.toml").read_text().replace('"api", "demo"]', '"api", "dmeo"]')
    (site / "tenants.toml").write_text(text)
    line = next(n for n, found in enumerate(text.splitlines(), 1) if "dmeo" in found)
    result = run("check")
    assert f"tenants.toml:{line}: defaults.features: There is no blueprint for the feature 'dmeo'" in result.stderr


def test_a_section_that_is_called_like_a_blueprint(run: Run, site: Path) -> None:
    text = (site / "tenants.toml").read_text().replace('sections  = ["help", "faq"]', 'sections  = ["help", "demo"]')
    (site / "tenants.toml").write_text(text)
    result = run("check")
    assert "defaults.sections: Two things would be called 'demo'" in result.stderr
    assert "Rename one of them." in result.stderr


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("templates/own/x.html", "{% if %}", "own/x.html, line 1, is not valid"),
        ("translations/de/LC_MESSAGES/messages.po", "mgsid 'a'\n", "messages.po is not valid"),
        ("migrations/a.py", "def (", "SyntaxError"),
        ("migrations/b.py", "revision, down_revision = 'b', 'nobody'\n", "The migrations do not fit together"),
    ],
)
def test_check_reads_what_the_blueprints_bring(
    run: Run, site: Path, package: str, write: Write, name: str, content: str, says: str
) -> None:
    write(
        f"{package}/own/__init__.py",
        "from flask import Blueprint\nbp = Blueprint('own', __name__, template_folder='templates')\n",
    )
    write(f"{package}/own/{name}", content)
    (site / "tenants.toml").write_text(f'[platform]\nblueprints = "{package}"\n[tenants.a]\npath = "/a"\n')
    result = run("check")
    assert result.exit_code == 1, result.output
    assert says in result.stderr
    assert "Traceback" not in result.output


def test_check_reads_registrations_and_navigation(run: Run, site: Path, package: str, write: Write) -> None:
    head = "from flask import Blueprint\nfrom tenantry import add_to_navigation\nbp = Blueprint('own', __name__)\n"
    toml = f'[platform]\nblueprints = "{package}"\n[tenants.a]\npath = "/a"\n'
    (site / "tenants.toml").write_text(toml)
    write(f"{package}/own/__init__.py", head + "def registrations(tenant):\n    yield {'url_prefx': '/x'}\n")
    assert "give the option 'url_prefx'; did you mean 'url_prefix'?" in run("check").stderr
    write(f"{package}/own/__init__.py", head + "add_to_navigation(bp, 'Notes', 'notes.index')\n")
    assert "links 'notes.index' to the endpoint 'own.Notes', which there is not" in run("check").stderr


def test_list(run: Run) -> None:
    result = run("list")
    assert result.exit_code == 0
    assert re.search(r"initech +Initech +active +missing +en de +initech.localhost /initech", result.output)
    parsed = as_json(run("list", "--json"))
    assert [tenant["slug"] for tenant in parsed] == ["acme", "globex", "initech"]
    assert parsed[2]["hosts"] == ["initech.localhost"]


def test_show(run: Run, site: Path) -> None:
    result = run("show", "initech")
    assert re.search(r"overrides.front.index +tenants.initech.views:index", result.output)
    assert re.search(r"limits.upload_mb +10", result.output)
    parsed = as_json(run("show", "initech", "--json"))
    assert parsed["addresses"] == ["http://initech.localhost/", "http://localhost/initech/"]
    assert parsed["config.MAIL_SUBJECT_PREFIX"] == "[Initech]"


def test_show_hides_secrets(run: Run, site: Path) -> None:
    secret = "0123456789abcdefghijklmnopqrstuvwxyz"
    with (site / "tenants.toml").open("a") as file:
        file.write(f'SECRET_KEY = "{secret}"\nMAIL_PASSWORD = "hunter22"\n')
    for arguments in (("show", "initech"), ("show", "initech", "--json")):
        output = run(*arguments).output
        assert "(hidden)" in output
        assert secret not in output
        assert "hunter22" not in output


@pytest.mark.parametrize("command", ["show", "routes", "provision", "shell"])
def test_an_unknown_tenant(run: Run, command: str) -> None:
    result = run(command, "acne")
    assert result.exit_code == 1
    assert "Error: There is no tenant 'acne'; did you mean 'acme'? Configured: acme, globex, initech." in result.output
    assert "Traceback" not in result.output


def test_an_unknown_command_and_a_missing_argument(run: Run) -> None:
    result = run("chek")
    assert result.exit_code == 2
    assert "No such command 'chek'" in result.output
    assert "did you mean 'check'?" in result.output.lower()
    assert run("show").exit_code == 2
    assert run("provision").exit_code == 2
    assert run("provision", "acme", "--all").exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [["list"], ["show", "a"], ["routes", "a"], ["provision", "--all"], ["keys", "rotate"], ["shell", "a"]],
    ids=" ".join,
)
def test_every_command_refuses_a_broken_file_in_words(run: Run, site: Path, arguments: list[str]) -> None:
    (site / "tenants.toml").write_text("[tenants")
    result = run(*arguments)
    assert result.exit_code == 1
    assert "tenants.toml:1: not valid TOML" in result.output
    assert "Traceback" not in result.output
    assert not (site / "var").exists()


def test_another_file(run: Run, tmp_path: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "other.toml").write_text('[tenants.other]\npath = "/other"\n')
    assert [tenant["slug"] for tenant in as_json(run("--config", "other.toml", "list", "--json"))] == ["other"]
    monkeypatch.setenv("TENANTRY_CONFIG", str(site / "other.toml"))
    assert [tenant["slug"] for tenant in as_json(run("list", "--json"))] == ["other"]


def test_routes(run: Run) -> None:
    result = run("routes", "initech")
    assert re.search(r"/help/<slug>/ +GET HEAD OPTIONS +help.page", result.output)
    assert re.search(r"/ +GET HEAD OPTIONS +front.index +-> tenants.initech.views:index", result.output)
    assert {"rule", "methods", "endpoint", "override"} == set(as_json(run("routes", "acme", "--json"))[0])


def test_provision_one_some_and_all(run: Run, site: Path) -> None:
    assert re.search(r"acme +created", run("provision", "acme").output)
    assert (site / "var" / "tenants" / "acme" / "tenant.db").is_file()
    assert not (site / "var" / "tenants" / "globex").exists()
    assert run("provision", "globex", "acne").exit_code == 1
    assert not (site / "var" / "tenants" / "globex").exists(), "all names are looked at first"
    parsed = as_json(run("provision", "globex", "acme", "globex", "--json"))
    assert [(row["slug"], row["result"]) for row in parsed] == [("globex", "created"), ("acme", "ready")]
    parsed = as_json(run("provision", "--all", "--json"))
    assert [(row["slug"], row["result"]) for row in parsed] == [
        ("acme", "ready"),
        ("globex", "ready"),
        ("initech", "created"),
    ]
    refused = run("provision", "globex", "acme", "--new-deed")
    assert (refused.exit_code, "--new-deed is for one tenant" in refused.output) == (2, True)
    assert run("provision", "--all", "--quiet").output == ""


def test_provision_goes_on_past_a_tenant_that_fails(run: Run, site: Path) -> None:
    broken = site / "var" / "tenants" / "acme" / "tenant.db"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"garbage" * 1000)
    result = run("provision", "--all")
    assert result.exit_code == 1
    assert re.search(r"acme +failed +DatabaseError: .*file is not a database", result.output)
    assert re.search(r"globex +created", result.output)
    assert "Traceback" not in result.output


def test_keys(run: Run, site: Path) -> None:
    before = as_json(run("keys", "list", "--json"))
    assert len(before) == 1
    result = run("keys", "rotate", "--verify-days", "3")
    assert result.exit_code == 0
    assert "accepted for 3 days more" in result.output
    after = as_json(run("keys", "list", "--json"))
    assert len(after) == 2
    assert after[1]["id"] == before[0]["id"]
    assert after[1]["verifies_until"]
    secrets = [key["secret"] for key in json.loads((site / "var" / "keys.json").read_text())["keys"]]
    assert not any(secret in run("keys", "list", "--json").output + run("keys", "list").output for secret in secrets)
    assert run("keys", "rotate", "--verify-days", "-1").exit_code == 2


def test_shell_has_the_models_and_commits_at_the_end(run: Run, site: Path) -> None:
    code = "db.session.add(Page(section='help', slug='x', title='From the shell', body=''))"
    assert run("shell", "acme", "-c", code).exit_code == 0
    result = run(
        "shell", "acme", "-c", "print([p.title for p in db.session.scalars(select(Page))], tenant.slug, app.name)"
    )
    assert "'From the shell'" in result.output
    assert "acme" in result.output
    piped = run("shell", "globex", input="print(db.session.scalar(select(Page.title)))\n")
    assert piped.output == "Willkommen\n"


@pytest.mark.parametrize("leave", ["exit()", "import sys; sys.exit(0)", ""])
def test_leaving_the_shell_keeps_what_was_written(run: Run, leave: str) -> None:
    code = f"db.session.add(Page(section='help', slug='kept', title='kept', body=''))\n{leave}"
    assert run("shell", "acme", "-c", code).exit_code == 0
    assert "kept" in run("shell", "acme", "-c", "print(db.session.scalars(select(Page.slug)).all())").output


def test_the_shells_exit_status_is_ones_own(run: Run) -> None:
    assert run("shell", "acme", "-c", "raise SystemExit(3)").exit_code == 3


def test_an_error_in_the_shell_undoes_what_was_written(run: Run) -> None:
    result = run("shell", "acme", "-c", "db.session.add(Page(section='help', slug='y', title='y', body='')); 1 / 0")
    assert result.exit_code == 1
    assert "ZeroDivisionError: division by zero" in result.output
    assert "What was written is undone." in result.output
    assert (
        run("shell", "acme", "-c", "print(db.session.scalars(select(Page.slug)).all())").output
        == "['welcome', 'welcome']\n"
    )


def test_the_interactive_shell(site: Path) -> None:
    """A real terminal: the shell greets, answers, and leaves."""
    import pty

    environment = {**environ_without_tenantry(), "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(ROOT)])}
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(site)
        os.execve(sys.executable, [sys.executable, "-m", "tenantry.cli", "shell", "acme"], environment)
    seen = b""
    os.write(terminal, b"print('sum', 40 + 2, tenant.title)\nexit()\n")
    try:
        while chunk := os.read(terminal, 4096):
            seen += chunk
    except OSError:
        pass
    os.waitpid(pid, 0)
    os.close(terminal)
    assert b"Tenant 'acme' (Acme Corp). At hand: " in seen
    assert b"sum 42 Acme Corp" in seen


class Development:
    """A running ``tenantry run``."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.port = free_port()
        self.log = folder / "run.log"
        search = os.pathsep.join([str(ROOT / "platform"), str(folder), str(ROOT)])
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tenantry.cli", "run", "--port", str(self.port), *arguments],
                cwd=folder,
                env={**environ_without_tenantry(), "PYTHONPATH": search, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def get(self, path: str, wanted: Callable[[int, str], bool], seconds: float = 25) -> tuple[int, str]:
        """Ask until the answer is the wanted one; the reloader takes a moment."""
        deadline = time.monotonic() + seconds
        found = (0, "")
        while time.monotonic() < deadline:
            with suppress(OSError, http.client.HTTPException):  # it restarts just now
                found = self._ask(path)
            if wanted(*found):
                return found
            time.sleep(0.1)
        raise AssertionError(f"got {found} from:\n{self.log.read_text()}")

    def _ask(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://localhost:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def wait_for(self, text: str, seconds: float = 25) -> None:
        """Wait until the console shows a text."""
        deadline = time.monotonic() + seconds
        while text not in self.log.read_text():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(10)


@pytest.fixture
def develop(tmp_path: Path, package: str, write: Write) -> Iterator[Callable[..., Development]]:
    write(
        f"{package}/own/__init__.py",
        "from flask import Blueprint\nbp = Blueprint('own', __name__)\n@bp.get('/')\ndef index():\n    return 'first'\n",
    )
    write("tenants.toml", f'[platform]\nblueprints = "{package}"\n[tenants.acme]\npath = "/acme"\n')
    started: list[Development] = []

    def start(*arguments: str, **environment: str) -> Development:
        started.append(Development(tmp_path, *arguments, **environment))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.stop()


def test_run_reloads_and_survives_mistakes_in_code_and_configuration(
    develop: Any, tmp_path: Path, package: str
) -> None:
    server = develop()
    module, config = tmp_path / package / "own" / "__init__.py", tmp_path / "tenants.toml"
    good, settings = module.read_text(), config.read_text()
    server.get("/acme/", lambda status, text: text == "first")
    assert "http://localhost:" in server.get("/", lambda status, text: status == 200)[1]
    module.write_text(good.replace("def index", "def (index"))
    _, text = server.get("/acme/", lambda status, text: status == 503 and "SyntaxError" in text)
    assert "own/__init__.py" in text
    module.write_text(good.replace("first", "second"))
    server.get("/acme/", lambda status, text: text == "second")
    config.write_text("[tenants")
    server.get("/acme/", lambda status, text: status == 503 and "not valid TOML" in text)
    config.write_text(settings.replace('"/acme"', '"/moved"'))
    server.get("/moved/", lambda status, text: text == "second")
    module.write_text(good.replace("'first'", "1 / 0"))
    _, text = server.get("/moved/", lambda status, text: status == 500)
    assert "ZeroDivisionError" in text
    assert "Werkzeug Debugger" in text


def test_run_does_jobs_too(develop: Any, tmp_path: Path, package: str) -> None:
    source = """
        from flask import Blueprint
        from tenantry import current_tenant, jobs

        bp = Blueprint("own", __name__)

        @jobs.job
        def note(text):
            print(f"{current_tenant.slug} notes {text}", flush=True)

        @bp.get("/")
        def index():
            note.enqueue("this")
            return "asked"
    """
    (tmp_path / package / "own" / "__init__.py").write_text(textwrap.dedent(source))
    for arguments in ((), ("--no-reload",)):
        server = develop(*arguments)
        server.get("/acme/", lambda status, text: text == "asked")
        server.wait_for("acme notes this")
        server.stop()


def test_run_refuses_production_and_the_open_network(develop: Any, run: Run) -> None:
    refused = run("run", "--port", str(free_port()), env={"TENANTRY_ENV": "production"})
    assert refused.exit_code == 2
    assert "the debugger must not run there" in refused.output
    assert run("run", "--host", "0.0.0.0").exit_code == 2


def test_run_says_where_a_mistake_is_when_it_does_not_reload(develop: Any, tmp_path: Path) -> None:
    (tmp_path / "tenants.toml").write_text("[tenants")
    server = develop("--no-reload")
    assert server.process.wait(20) == 1
    assert "not valid TOML" in server.log.read_text()
    assert "Traceback" not in server.log.read_text()


def test_run_on_a_port_in_use(develop: Any) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = develop("--port", str(taken.getsockname()[1]))
        assert server.process.wait(20) == 1
    log = server.log.read_text()
    assert "in use" in log
    assert "Traceback" not in log


def test_version_and_help(run: Run) -> None:
    assert run("--version").output.startswith("tenantry, version ")
    help_text = run("--help").output
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", help_text, re.M)
        assert run(name, "--help").exit_code == 0


def test_the_installed_script() -> None:
    script = Path(sys.executable).with_name("tenantry")
    if not script.exists():
        pytest.skip("the tests were not started by 'make test', so there is no installed script")
    done = subprocess.run([script, "check"], cwd=ROOT, env=environ_without_tenantry(), capture_output=True, text=True)
    assert done.stdout == "tenants.toml: 3 tenants, no problems.\n"
