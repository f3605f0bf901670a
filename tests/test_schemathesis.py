"""schemathesis against the API of a real gunicorn: all of its checks, in all of its phases, the stateful one too.

It reads the document and sends what it makes of that, thousands of requests, and finds nothing.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from walking import furnish

from conftest import Server, environ_without_tenantry
from tenantry import db
from tenantry.api import PREFIX
from tenantry.testing import make_platform
from tenantry.users import User, hash_password

TOML = """
[defaults]
sections = ["help"]
limits = { api_per_minute = 1_000_000_000 }
[tenants.acme]
title = "Acme"
path = "/acme"
"""
#: One of its checks sends wrong passwords to every operation, more than anybody may try.
NO_THROTTLE = "from tenantry.users import check\\ncheck.FROM_ADDRESS.rate = check.FOR_NAME.rate = '1000000 per minute'"
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str], Path]]:
    folder = tmp_path_factory.mktemp("fuzzed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENANTRY_ENV", "testing")
        platform = make_platform(folder, TOML)
        ada = furnish(platform, "acme", "ada")
        furnish(platform, "acme", "bob", "member")
        with platform.tenant("acme"):
            db.session.get_one(User, ada.ids["user_id"]).password_hash = hash_password(PASSWORD)
    platform.databases.close_idle()
    server = Server(folder, prelude=NO_THROTTLE.replace("\\n", "\n"), TENANTRY_ENV="testing")
    yield server, ada.bearer, folder
    server.stop()


def run(running: tuple[Server, dict[str, str], Path], headers: dict[str, str], *arguments: str) -> dict[str, Any]:
    """Run it, and return its report, once it has found nothing."""
    server, _, folder = running
    report = folder / "report.json"
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "run",
        f"http://localhost:{server.port}/acme{PREFIX}/openapi.json",
    ]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    command += [
        "--seed",
        "1",
        "--continue-on-failure",
        "--report",
        "json",
        "--report-json-path",
        str(report),
        *arguments,
    ]
    environment = {
        **environ_without_tenantry(),
        "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
        "PYTHONPATH": str(Path(__file__).parent),
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    found: dict[str, Any] = {"text": done.stdout, **json.loads(report.read_text())}
    return found


def test_it_finds_nothing(running: tuple[Server, dict[str, str], Path]) -> None:
    # Without revoking tokens, as the one that it asks with would be among them, and all else were 401.
    report = run(
        running, running[1], "--checks", "all", "--phases", "coverage,fuzzing,stateful", "--max-examples", "8",
        "--exclude-operation-id", "delete_token",
    )  # fmt: skip
    text = report["text"]
    selected = re.search(r"Selected: (\d+)/(\d+)", text)
    tested = re.search(r"Tested: (\d+)", text)
    assert selected, text[-3000:]
    assert tested, text[-3000:]
    assert int(tested[1]) == int(selected[1]) == int(selected[2]) - 1 > 50
    for phase in ("Coverage", "Fuzzing", "Stateful"):
        assert re.search(rf"✅\s+{phase}", text), text[-2000:]
    generated = re.search(r"([\d,]+) generated", text)
    assert generated
    assert int(generated[1].replace(",", "")) > 2000


def test_nothing_in_tokens_either(running: tuple[Server, dict[str, str], Path]) -> None:
    """With a password, which makes and revokes tokens."""
    pair = b64encode(f"ada:{PASSWORD}".encode()).decode()
    report = run(
        running, {"Authorization": f"Basic {pair}"}, "--checks", "all", "--phases", "coverage,fuzzing,stateful",
        "--max-examples", "8", "--include-tag", "tokens",
    )  # fmt: skip
    assert "Selected: 6/" in report["text"], report["text"][-2000:]
