"""The commands that say what is in force and what an edit would do, and the way back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from conftest import ROOT
from tenantry import rewriting
from tenantry.cli import main
from tenantry.generations import Generations
from tenantry.memory import Memory
from tenantry.taking_up import at_start

SHIPPED = (ROOT / "tenants.toml").read_text()
Tenantry = Callable[..., Result]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tenants.toml"
    path.write_text(SHIPPED)
    at_start(path, Memory())
    return path


@pytest.fixture
def tenantry(file: Path) -> Tenantry:
    def run(*arguments: str, status: int = 0) -> Result:
        found = CliRunner().invoke(main, ["--config", str(file), *arguments])
        assert found.exit_code == status, found.output
        assert "Traceback" not in found.output
        return found

    return run


DRAFT = (
    SHIPPED.replace('title = "Acme Corp"', 'title = "Acme"\nlimits = { upload_mb = 3 }')
    .replace('scheme     = "http"', 'scheme = "https"\ntrusted_proxies = 1')
    .replace("trusted_proxies = 0 ", "")
    .replace('MAIL_SUBJECT_PREFIX = "[Initech]"', 'MAIL_PASSWORD = "hunter22"')
    + '\n[tenants.umbrella]\nhosts = ["umbrella.example"]\npath = "/umbrella"\n'
)


def test_a_plan_says_what_a_draft_would_change_and_changes_nothing(file: Path, tenantry: Tenantry) -> None:
    draft = file.with_name("draft.toml")
    draft.write_text(DRAFT)
    said = tenantry("plan", str(draft)).output
    lines = {line.split()[0]: line for line in reversed(said.splitlines())}
    assert lines["[platform]"].endswith("scheme: http -> https; trusted_proxies: 0 -> 1")
    assert lines["acme"].endswith("title: Acme Corp -> Acme; limits.upload_mb: 10 -> 3")
    assert "config.MAIL_PASSWORD: none -> (hidden)" in lines["initech"]
    assert lines["umbrella"].split() == ["umbrella", "new", "umbrella.example", "/umbrella"]
    assert (
        "1 new, 2 changed (their apps are built anew), 0 gone, 0 kept though not in the file, 1 as they were." in said
    )
    assert "reload gunicorn" in said
    assert "hunter22" not in said + tenantry("plan", str(draft), "--json").output
    assert file.read_text() == SHIPPED
    assert json.loads(tenantry("diff", "--json").output)[-1]["generation"] == 1


def test_a_plan_without_a_draft_is_of_the_file(file: Path, tenantry: Tenantry) -> None:
    assert "3 as they were" in tenantry("plan").output
    file.write_text(DRAFT)
    found = json.loads(tenantry("plan", "--json").output)
    assert (found["new"], found["unchanged"], found["needs_reload"]) == (["umbrella"], 1, ["trusted_proxies"])
    assert found["changed"]["acme"][0] == {"key": "title", "before": "Acme Corp", "after": "Acme"}


def test_a_plan_before_the_first_start_is_all_new(file: Path, tenantry: Tenantry) -> None:
    (file.parent / "var" / "registry" / "current.json").unlink()
    assert "3 new, 0 changed" in tenantry("plan").output
    assert "Nothing has been served yet" in tenantry("status").output
    assert "There is no generation yet" in tenantry("diff", "1", status=1).output


def test_what_goes_is_told_as_kept(file: Path, tenantry: Tenantry) -> None:
    draft = file.with_name("draft.toml")
    draft.write_text(SHIPPED[: SHIPPED.index("[tenants.initech]")] + "# end\n")
    said = tenantry("plan", str(draft)).output
    assert "not in the file, and never archived" in said
    assert "1 kept though not in the file" in said


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_draft_with_mistakes_is_told_and_not_taken(file: Path, tenantry: Tenantry, command: str) -> None:
    draft = file.with_name("draft.toml")
    draft.write_text(SHIPPED.replace("title", "titel", 1))
    assert "unknown key; did you mean 'title'?" in tenantry(command, str(draft), status=1).output
    draft.write_text("[[[")
    assert "not valid TOML" in tenantry(command, str(draft), status=1).output
    draft.write_text(SHIPPED[: SHIPPED.index('color  = "#5e35b1"')])
    assert "cut off while it was written" in tenantry(command, str(draft), status=1).output
    assert "does not exist" in tenantry(command, "no.toml", status=2).output
    assert file.read_text() == SHIPPED


def test_there_and_back(file: Path, tenantry: Tenantry) -> None:
    draft = file.with_name("draft.toml")
    draft.write_text(DRAFT)
    assert "Generation 2 is in force" in tenantry("apply", str(draft)).output
    assert file.read_text() == DRAFT
    assert "title: Acme Corp -> Acme" in tenantry("diff", "1").output
    assert "4 as they were" in tenantry("diff", "2").output
    file.write_text("[[[")
    assert tenantry("rollback", "2").output.startswith("As in generation 2 again: tenants.toml. What stood there")
    assert tenantry("rollback", "2").output == "Nothing was different.\n"
    tenantry("rollback", "1")
    assert file.read_text() == SHIPPED
    assert "There is no generation 99" in tenantry("rollback", "99", status=1).output
    assert "There are those from 1 to" in tenantry("diff", "99", status=1).output
    assert "is not a valid integer" in tenantry("diff", "x", status=2).output


def test_two_drafts_right_after_each_other_are_each_told_whole(file: Path, tenantry: Tenantry) -> None:
    """The second was begun before the first was in force: it is told that it takes that back."""
    before = Generations(file.parent / "var", file).current

    def late(generations: Generations, draft: Path) -> Any:
        other = file.with_name("other.toml")
        other.write_text(SHIPPED.replace('"Globex GmbH"', '"First"'))
        with pytest.MonkeyPatch.context() as undone:
            undone.setattr("tenantry.cli.plan.put_in_place", rewriting.apply)
            tenantry("apply", str(other))
        return rewriting.apply(generations, draft)

    draft = file.with_name("draft.toml")
    draft.write_text(SHIPPED.replace('title = "Acme Corp"', 'title = "Second"'))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tenantry.cli.plan.put_in_place", late)
        said = tenantry("apply", str(draft)).output
    assert "title: First -> Globex GmbH" in said
    assert "'tenantry rollback 2' goes back to what was in force before." in said
    assert getattr(before(), "number", 0) == 3


def test_the_status_tells_what_was_refused_until_it_is_mended(file: Path, tenantry: Tenantry) -> None:
    said = tenantry("status").output
    assert said.startswith("Generation 1 is in force, since ")
    assert "No process serves it." in said
    file.write_text(SHIPPED.replace("title", "titel", 1))
    at_start(file, Memory())
    assert "not mended yet. The configuration has 1 problem:\ntenants.toml:" in tenantry("status", status=1).output
    file.write_text(SHIPPED)
    at_start(file, Memory())
    assert "was mended at" in tenantry("status").output
    assert json.loads(tenantry("status", "--json").output)["refused"]["mended"]


def test_commands_go_on_with_the_last_good_one_while_the_file_is_broken(file: Path, tenantry: Tenantry) -> None:
    tenantry("provision", "acme")
    file.write_text(SHIPPED + "[[[")
    found = tenantry("users", "list", "acme")
    assert "not valid TOML" in found.output
    assert "Generation 1 is used instead." in found.output


def test_a_status_without_anything(tmp_path: Path) -> None:
    found = CliRunner().invoke(main, ["--config", str(tmp_path / "no.toml"), "status"])
    assert found.exit_code == 0
    assert "Nothing has been served yet." in found.output
