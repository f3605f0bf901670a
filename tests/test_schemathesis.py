"""schemathesis against the API of a real gunicorn: all of its checks, in all of its phases, the stateful one too.

It reads the document and sends what it makes of that, thousands of requests, and finds nothing. How it asks is in
``schemathesis.toml``, and what it cannot know in ``schemathesis_hooks.py``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from walking import furnish

from conftest import Server, environ_without_tenantry
from tenantry import db
from tenantry.api import PREFIX
from tenantry.testing import make_platform
from tenantry.users import User, hash_password

HERE = Path(__file__).parent
TOML = """
[defaults]
sections = ["help"]
limits = { api_per_minute = 1_000_000_000 }
[tenants.acme]
title = "Acme"
path = "/acme"
"""
#: One of its checks sends wrong passwords to every operation, more than anybody may try.
NO_THROTTLE = "from tenantry.users import check\ncheck.FROM_ADDRESS.rate = check.FOR_NAME.rate = '1000000 per minute'"
PASSWORD = "correct horse battery"
PHASES = {"examples", "coverage", "fuzzing", "stateful"}


@dataclass(frozen=True)
class Site:
    """A running server, and what opens it: the token of an administrator, who has one of everything."""

    server: Server
    token: str
    folder: Path


@dataclass(frozen=True)
class Report:
    """What schemathesis says of a run.

    :ivar walked: how often each method and path was answered with a status, in the stateful phase.
    """

    text: str
    summary: Any
    walked: Counter[tuple[str, str, int]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("fuzzed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENANTRY_ENV", "testing")
        platform = make_platform(folder, TOML)
        ada = furnish(platform, "acme", "ada")
        bob = furnish(platform, "acme", "bob", "member")
        with platform.tenant("acme"):
            db.session.get_one(User, bob.ids["user_id"]).password_hash = hash_password(PASSWORD)
    platform.databases.close_idle()
    server = Server(folder, prelude=NO_THROTTLE, TENANTRY_ENV="testing")
    yield Site(server, ada.token, folder)
    server.stop()


def run(site: Site, *arguments: str) -> Report:
    """Run it, and return what it says, once it has found nothing in any phase, and left out no operation."""
    summary, events = (site.folder / f"{arguments[0].strip('-')}.{form}" for form in ("json", "ndjson"))
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"), "run",
        f"http://localhost:{site.server.port}/acme{PREFIX}/openapi.json", "--report", "json,ndjson",
        "--report-json-path", str(summary), "--report-ndjson-path", str(events), *arguments,
    ]  # fmt: skip
    hooks = {"SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(HERE)}
    environment = {**environ_without_tenantry(), **hooks}
    done = subprocess.run(command, cwd=site.folder, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    report = Report(done.stdout, json.loads(summary.read_text()), walked(events))
    assert {name for name, each in report.summary["phases"].items() if each["status"] == "success"} == PHASES
    counts = report.summary["operations"]
    assert counts["tested"] == counts["selected"], counts
    assert "returned only 401/403" not in report.text, report.text[-3000:]
    return report


def walked(events: Path) -> Counter[tuple[str, str, int]]:
    found: Counter[tuple[str, str, int]] = Counter()
    for line in events.read_text().splitlines():
        scenario = json.loads(line).get("ScenarioFinished", {})
        if scenario.get("phase") == "stateful":
            answers = scenario["recorder"].get("interactions", {})
            for name, case in scenario["recorder"].get("cases", {}).items():
                if answer := answers.get(name, {}).get("response"):
                    found[case["value"]["method"], case["value"]["path"], answer["status_code"]] += 1
    return found


def links_gone_along(report: Report) -> int:
    found = re.search(r"API Links:\s+(\d+) covered", report.text)
    assert found, report.text[-3000:]
    return int(found[1])


def test_it_finds_nothing(site: Site) -> None:
    """With a token: in everything but tokens, among which is the one that it asks with."""
    report = run(site, "--exclude-tag", "tokens", "-H", f"Authorization: Bearer {site.token}")
    assert report.summary["operations"]["selected"] == report.summary["operations"]["total"] - 6 > 50
    assert report.summary["test_cases"]["generated"] > 3000
    assert links_gone_along(report) >= 8
    # What was made was the ground for more.
    assert report.walked["POST", "/organizations", 201], report.walked
    assert report.walked["POST", "/projects", 201], report.walked
    assert report.walked.total() > 100


def test_nothing_in_tokens_either(site: Site) -> None:
    """With a password, which makes tokens and revokes them; somebody else's, so that ada's goes on."""
    report = run(site, "--include-tag", "tokens", "--auth", f"bob:{PASSWORD}")
    assert report.summary["operations"]["selected"] == 6
    assert report.walked["POST", "/tokens", 201]
    assert report.walked["DELETE", "/tokens/{token_id}", 204]
