"""A tenant's own data in open formats: all of it, without secrets, and for nobody else."""

from __future__ import annotations

import csv
import io
import json
import re
import stat
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select
from werkzeug.datastructures import FileStorage

from conftest import Server
from tenantry import Platform, db, uploads
from tenantry.cli import main
from tenantry.events import Event
from tenantry.mail.outbox import Outbox
from tenantry.organizations import Organization
from tenantry.testing import TenantClient, client_of
from tenantry.times import now
from tenantry.users import Invitation, Login, User, issue_token
from tenantry.users.models import Attempts
from test_backup import picture

PAGE = "/accounts/export"
#: What must be in no export, whatever table it stands in.
SECRETS = {"password": "$argon2id$canary", "mail": "canary-of-a-link", "answer": "canary-of-an-answer"}


def fill(platform: Platform) -> dict[str, str]:
    """Write something into each table, and return the secrets among it."""
    from tenantry.api.idempotency import KeptAnswer

    secrets = dict(SECRETS)
    with platform.tenant("acme") as tenant:
        ada = User(username="ada", email="ada@example.com", name="=Ada", password_hash=SECRETS["password"])
        db.session.add(ada)
        db.session.flush()
        secrets["token"], row = issue_token(ada.id, "mine", ["read"], timedelta(days=1))
        secrets["digest"] = row.digest
        secrets["login"] = "ab" * 32
        db.session.add(Login(id="ab" * 32, user_id=ada.id, expires_at=now(), address="192.0.2.77", browser="x"))
        secrets["address"] = "192.0.2.77"
        db.session.add(Invitation(email="bob@example.com", role="staff", expires_at=now()))
        db.session.add(Outbox(message_id="<1@x>", recipient="c@x.org", subject="Hi", message=b"canary-of-a-link"))
        kept = {"id": "k" * 64, "fingerprint": "f" * 64, "status": 201, "headers": "{}", "expires_at": now()}
        db.session.add(KeptAnswer(body="canary-of-an-answer", **kept))
        secrets["key"] = "k" * 64
        db.session.add(Attempts(key="a" * 64, count=1, expires_at=0.0))
        secrets["attempt"] = "a" * 64
        db.session.add_all([Organization(name="Ada's"), Organization(name="Nobody's ü")])
        uploads.save_picture(FileStorage(io.BytesIO(picture(1)), "one.png"), alt="One")
        deed = tenant.deed
    assert deed
    return {**secrets, "deed": deed.hex}


def read(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def rows(files: dict[str, bytes], table: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in files[f"data/{table}.jsonl"].decode().splitlines()]


def check(files: dict[str, bytes], secrets: dict[str, str]) -> None:
    for what, secret in secrets.items():
        for name, content in files.items():
            assert secret.encode() not in content, f"{what} is in {name}"
    (ada,) = (row for row in rows(files, "tenantry_user") if row["username"] == "ada")
    assert (ada["email"], ada["name"], ada["is_public"]) == ("ada@example.com", "=Ada", True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", ada["created_at"])
    assert [row["name"] for row in rows(files, "tenantry_organization")] == ["Ada's", "Nobody's ü"]
    (upload,) = rows(files, "tenantry_upload")
    assert files[f"uploads/{upload['id']}.png"][:4] == b"\x89PNG"
    assert [row["subject"] for row in rows(files, "tenantry_outbox")] == ["Hi"]
    assert rows(files, "page"), "what blueprints have is there"
    assert rows(files, "project") == []
    listed = {each["table"]: each for each in json.loads(files["manifest.json"])["tables"]}
    assert {f"data/{table}.jsonl" for table in listed} == {name for name in files if name.startswith("data/")}
    for table, each in listed.items():
        found = list(csv.DictReader(io.StringIO(files[f"csv/{table}.csv"].decode())))
        assert each["rows"] == len(found) == len(rows(files, table))
        assert table in files["README.txt"].decode()
        assert each["about"] or table.startswith("test_"), f"{table} is not explained"
    assert next(csv.DictReader(io.StringIO(files["csv/tenantry_user.csv"].decode())))["name"] == "'=Ada"
    for table in ("login", "attempts", "kept_answer", "deed", "furnished"):
        assert f"tenantry_{table}" not in listed


def test_administrators_take_everything_but_secrets(platform: Platform, acme: TenantClient) -> None:
    secrets = fill(platform)
    acme.log_in("root", "admin")
    assert "Your data" in acme.get(PAGE).text
    assert f'href="{PAGE}"' in acme.get("/accounts/members").text.replace("/acme/accounts", "/accounts")
    answer = acme.submit(PAGE)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/zip"
    assert re.fullmatch(r"attachment; filename=acme-\d{8}T\d{6}Z\.zip", answer.headers["Content-Disposition"])
    assert answer.headers["Cache-Control"] == "no-store"
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    check(read(answer.data), secrets)
    with platform.tenant("acme"):
        (event,) = db.session.scalars(select(Event).where(Event.kind == "workspace.exported"))
        assert event.title == "Root"
    assert not [path for path in platform.registry["acme"].state.iterdir() if path.name.startswith("tmp")]


def test_nobody_else_does(platform: Platform, acme: TenantClient, globex: TenantClient) -> None:
    fill(platform)
    assert acme.get(PAGE).status_code == 302
    assert acme.post(PAGE).status_code in (302, 401)
    for name, role in (("bob", "member"), ("eve", "staff")):
        client = client_of(platform, "acme")
        client.log_in(name, role)
        assert client.get(PAGE).status_code == 403
        assert client.post(PAGE).status_code == 403
    acme.log_in("root", "admin")
    assert acme.post(PAGE).status_code == 400, "a button on somebody else's page does not do it"
    token = acme.submit("/accounts/tokens", {"name": "t", "days": "30", "scopes": "read", "current": "x"})
    assert token.status_code in (200, 422)
    with platform.tenant("acme"):
        root = db.session.scalar(select(User).where(User.username == "root"))
        assert root
        bearer, _ = issue_token(root.id, "t", ["read", "write"], timedelta(days=1))
    program = client_of(platform, "acme")
    assert program.post(PAGE, headers={"Authorization": f"Bearer {bearer}"}).status_code in (401, 403)
    globex.log_in("root", "admin")
    assert b"Ada" not in b"".join(read(globex.submit(PAGE).data).values())


def test_not_all_day_long(platform: Platform, acme: TenantClient) -> None:
    acme.log_in("root", "admin")
    statuses = [acme.submit(PAGE).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]


def test_german(platform: Platform, globex: TenantClient) -> None:
    globex.log_in("root", "admin")
    page = globex.get(PAGE).text
    assert "Ihre Daten" in page
    assert "Herunterladen" in page
    assert "Your data" not in page
    assert "keep it safe" not in page


def test_the_operator_does_the_same(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = fill(platform)
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    done = run(main, ["export", "acme", "--to", "mine.zip"])
    assert done.output == "The data of 'acme' is in mine.zip.\n"
    assert stat.S_IMODE(Path("mine.zip").stat().st_mode) == 0o600
    check(read(Path("mine.zip").read_bytes()), secrets)
    assert run(main, ["export", "acme", "--to", "mine.zip"]).exit_code == 1, "nothing is overwritten"
    assert run(main, ["export", "acme", "--to", "nowhere/mine.zip"]).exit_code == 1
    check(read(run(main, ["export", "acme", "--to", "-"]).stdout_bytes), secrets)
    assert "did you mean" in run(main, ["export", "acm"]).output
    assert sorted(path.name for path in tmp_path.glob("*.zip")) == ["mine.zip"]


def test_an_upload_that_is_gone_is_told(platform: Platform, acme: TenantClient) -> None:
    fill(platform)
    for path in (platform.registry["acme"].state / "uploads").iterdir():
        path.unlink()
    acme.log_in("root", "admin")
    files = read(acme.submit(PAGE).data)
    assert len(json.loads(files["manifest.json"])["missing_uploads"]) == 1
    assert "was gone" in files["README.txt"].decode()


def test_what_looks_like_a_secret_is_marked(platform: Platform) -> None:
    """Whoever adds a column of such a name to the shipped models has to decide."""
    platform.tenant_app("acme")
    suspicious = re.compile(r"passw|secret|digest|hash|(^|_)key$|token", re.IGNORECASE)
    for table in db.Model.metadata.tables.values():
        for column in table.columns:
            if suspicious.search(column.name) and not table.name.startswith("test_"):
                assert column.info.get("secret") or table.info.get("secret"), f"{table.name}.{column.name}"


def test_through_gunicorn_in_bounded_memory(site: Path, serve: Callable[..., Server]) -> None:
    """A tenant of 60 MB is sent by a worker that grows by far less than that."""
    platform = Platform.from_file(site / "tenants.toml")
    with platform.tenant("acme"):
        for number in range(600):
            db.session.add(Organization(name=f"O{number}", description="x" * 100_000))
    client = client_of(platform, "acme")
    client.log_in("root", "admin")
    page = client.get(PAGE).text
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert token
    (cookie,) = client._cookies.values()  # type: ignore[attr-defined]  # Werkzeug has no public way to them
    platform.databases.close_idle()
    server = serve(site, workers=1)
    headers = [f"Cookie: {cookie.key}={cookie.value}", "Content-Type: application/x-www-form-urlencoded"]
    server.get("/acme/", "localhost", *headers[:1])
    before = _resident(server)
    body = f"csrf_token={token[1]}"
    lines = ["POST /acme/accounts/export HTTP/1.1", "Host: localhost", *headers, f"Content-Length: {len(body)}"]
    answer = server.raw("\r\n".join([*lines, "Connection: close", "", body]).encode(), timeout=30)
    content = answer.partition(b"\r\n\r\n")[2]
    files = read(content)
    assert len(files["data/tenantry_organization.jsonl"]) > 60_000_000
    assert _resident(server) - before < 30_000_000


def _resident(server: Server) -> int:
    pid = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()[0]
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024  # type: ignore[index]  # it is there
