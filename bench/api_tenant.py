"""Makes the tenant of the API's benchmark, in a process of its own: its file, its database, and a token to ask with."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .api_content import ASKER, Content, token_row
from .database_views import PRAGMAS
from .servers import environment

#: Before the paths of the tenant's pages.
PREFIX = "/bench"
# The whole shipped set. The limits are out of reach, so that no request is refused.
_TENANTS = f"""\
[platform]
blueprints = "blueprints"

[defaults]
features = ["front", "sections", "accounts", "people", "projects", "api", "demo"]

[tenants.bench]
path = "{PREFIX}"

[tenants.bench.limits]
concurrency = 10_000
requests_per_minute = 1_000_000_000
api_per_minute = 1_000_000_000
database_mb = 4096
"""


@dataclass(frozen=True)
class Made:
    """A tenant that was made.

    :ivar config: the environment of a process that serves it.
    :ivar token: lets the asker in.
    :ivar settings: of its connections, as JSON.
    """

    config: dict[str, str]
    token: str
    settings: str


def make_tenant(folder: Path, content: Content) -> Made:
    """Make the tenant in a folder, by a process of its own, which leaves nothing in this one."""
    folder.mkdir(exist_ok=True)
    file = folder / "tenants.toml"
    file.write_text(_TENANTS, encoding="utf-8")
    config = {"TENANTRY_CONFIG": str(file), "TENANTRY_ENV": "production"}
    command = [sys.executable, "-m", "bench.api_tenant", str(file), content.to_json()]
    done = subprocess.run(command, env=environment(config), check=True, capture_output=True, text=True)
    return Made(config, **json.loads(done.stdout.rstrip().rpartition("\n")[2]))


def _make(file: Path, content: Content) -> dict[str, str]:
    from sqlalchemy import text

    from tenantry import Platform, db

    platform = Platform.from_file(file)
    with platform.tenant("bench"):
        _fill(content)
        token = _issue_token()
        settings = {name: db.session.scalar(text(f"PRAGMA {name}")) for name in PRAGMAS}
    platform.databases.close_idle()
    return {"token": token, "settings": json.dumps(settings)}


def _fill(content: Content) -> None:
    from sqlalchemy import insert

    from tenantry import db
    from tenantry.organizations import unscoped

    for name, rows in content.tables():
        db.session.execute(unscoped(insert(db.Model.metadata.tables[name])), rows)


def _issue_token() -> str:
    """Return a token whose row has what the other side's has, but for the digest, of which the deed is a part."""
    from datetime import timedelta

    from tenantry import db
    from tenantry.users.authorization import issue_token

    token, row = issue_token(ASKER, "bench", ("read", "write"), timedelta(days=1))
    db.session.flush()
    fields: dict[str, Any] = token_row(row.digest)
    for name in ("created_at", "expires_at"):
        setattr(row, name, fields[name])
    return token


if __name__ == "__main__":
    print(json.dumps(_make(Path(sys.argv[1]), Content.from_json(sys.argv[2]))))
