"""A command for all tenants, one by one or several at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import dying
import pytest

from conftest import ROOT, environ_without_tenantry, wait_until

SLUGS = ["acme", "globex", "initech"]


def each(folder: Path, *args: str, status: int = 0) -> tuple[list[str], list[str]]:
    """Run it, and return the lines on standard output and on standard error."""

    def invoke() -> tuple[int, str, str]:
        from click.testing import CliRunner

        from tenantry.cli import main

        done = CliRunner().invoke(main, ["each", *args])
        assert done.exception is None or isinstance(done.exception, SystemExit)
        return done.exit_code, done.stdout, done.stderr

    code, out, err = dying.in_child(folder, invoke)
    assert code == status, (out, err)
    return out.splitlines(), err.splitlines()


def start(folder: Path, *args: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT / "platform"), str(folder), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, "-m", "tenantry.cli", "each", *args],
        cwd=folder,
        env={**environ_without_tenantry(), "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_each_tenant_has_its_turn_in_the_order_of_the_file(site: Path) -> None:
    out, err = each(site, "--", "sh", "-c", "echo one {}; echo two $TENANTRY_TENANT >&2; echo three")
    assert out == [f"{slug:7}  {line}" for slug in SLUGS for line in (f"one {slug}", f"two {slug}", "three")]
    assert err == ["Done for 3, failed for 0."]


def test_braces_stand_for_the_slug_wherever_they_are_and_no_shell_reads_it(site: Path) -> None:
    out, _ = each(site, "--", "echo", "a{}b", "{}-{}", "$HOME", "; ls")
    assert out[0] == "acme     aacmeb acme-acme $HOME ; ls"


def test_options_of_the_command_are_its_own(site: Path) -> None:
    out, _ = each(site, "echo", "--jobs", "--status", "-h")
    assert out[0] == "acme     --jobs --status -h"


def test_only_those_of_a_status(site: Path) -> None:
    for command, slug in (("suspend", "acme"), ("archive", "globex")):
        assert dying.said(site, command, slug)[0] == 0
    for options, chosen in (
        ((), ["acme", "initech"]),
        (("--status", "active"), ["initech"]),
        (("--status", "archived", "--status", "suspended"), ["acme", "globex"]),
        (("--status", "maintenance"), []),
    ):
        out, err = each(site, *options, "--", "echo", "{}")
        assert [line.split()[0] for line in out] == chosen
        assert err == [f"Done for {len(chosen)}, failed for 0."]


def test_one_that_fails_does_not_stop_the_others(site: Path) -> None:
    out, err = each(
        site, "--jobs", "2", "--", "sh", "-c", "echo {}; case {} in acme) exit 3;; globex) kill -9 $$;; esac", status=1
    )
    assert sorted(line.split()[1] for line in out) == SLUGS
    assert err == [
        "Failed for 'acme': status 3.",
        "Failed for 'globex': ended by SIGKILL.",
        "Done for 1, failed for 2.",
    ]


def test_several_at_once_keep_the_order_of_each(site: Path) -> None:
    out, _ = each(site, "--jobs", "3", "--", "sh", "-c", "for n in 1 2 3 4 5; do echo $n; sleep 0.02; done")
    for slug in SLUGS:
        assert [line.split()[1] for line in out if line.startswith(slug)] == ["1", "2", "3", "4", "5"]


def test_as_many_run_at_once_as_are_asked_for(site: Path) -> None:
    """Each waits for the other two, which one after another could never do."""
    script = "touch {}.here; for n in $(seq 500); do [ $(ls *.here | wc -l) = 3 ] && exit 0; sleep 0.02; done; exit 1"
    each(site, "--jobs", "3", "--", "sh", "-c", script)


def test_a_line_without_an_end_and_bytes_that_are_no_text_come_through(site: Path) -> None:
    out, _ = each(site, "--", "sh", "-c", r"printf 'a\377b\nlast'")
    assert out[:2] == ["acme     a\N{REPLACEMENT CHARACTER}b", "acme     last"]


def test_it_reads_nothing_from_whoever_calls(site: Path) -> None:
    assert each(site, "--", "cat")[0] == []


def test_tenantry_itself_finds_the_same_file(site: Path) -> None:
    (site / "other.toml").write_text((site / "tenants.toml").read_text().replace("[tenants.initech", "[tenants.other"))
    code, said = dying.said(
        site,
        "--config",
        "other.toml",
        "each",
        "--",
        sys.executable,
        "-c",
        "import os; print(os.environ['TENANTRY_CONFIG'])",
    )
    assert code == 0
    assert said.count(str(site / "other.toml")) == 3
    assert "other  " in said


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ([], "Missing argument"),
        (["--", "no-such-program"], "There is no command 'no-such-program'"),
        (["--jobs", "0", "--", "echo"], "0 is not in the range"),
        (["--status", "activ", "--", "echo"], "'activ' is not one of"),
    ],
)
def test_a_wrong_command_line_runs_nothing(site: Path, args: list[str], told: str) -> None:
    code, said = dying.said(site, "each", *args)
    assert (code, told in said) == (2, True), said


def test_a_program_that_cannot_be_started_is_told_for_each(site: Path) -> None:
    (_, err) = each(site, "--", "./{}", status=1)
    assert "Failed for 'acme': it cannot be started (No such file or directory)." in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_is_stopped_cleanly(site: Path, number: int) -> None:
    """What runs is ended, with all that it has started; nothing else begins."""
    process = start(site, "--jobs", "2", "--", "sh", "-c", "sleep 300 & echo $!; wait")
    assert process.stdout
    children = [int(process.stdout.readline().split()[1]) for _ in range(2)]
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "Done for 0, failed for 2, 1 not run, as it was stopped." in err
    assert "Failed for 'acme': ended by SIGTERM." in err
    wait_until(lambda: not any(is_alive(child) for child in children))


def test_what_does_not_want_to_end_is_killed_at_the_second_word(site: Path) -> None:
    process = start(site, "--", sys.executable, "-c", STUBBORN)
    assert process.stdout
    child = int(process.stdout.readline().split()[1])
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline().split() == ["acme", "not", "yet"]
    assert is_alive(child)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    wait_until(lambda: not is_alive(child))


STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: print("not yet", flush=True))
print(os.getpid(), flush=True)
time.sleep(300)
"""


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
