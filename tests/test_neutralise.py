"""A copy of a tenant lets nobody in, mails nobody, and, where that is asked for, knows nobody."""

from __future__ import annotations

import io
import shutil
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.datastructures import FileStorage

from tenantry import Platform, db, uploads
from tenantry.api.idempotency import KeptAnswer
from tenantry.backups.databases import check_database, copy_database
from tenantry.events import Event
from tenantry.mail.outbox import Outbox
from tenantry.neutralising import neutralise
from tenantry.organizations import Membership, Organization
from tenantry.testing import client_of, make_platform
from tenantry.times import now
from tenantry.users import Invitation, Login, User, issue_token, sign_link
from tenantry.users.models import Attempts
from test_backup import picture

#: What tells who somebody is, and stands in many places of the tenant below.
NAMES = ["ada@lovelace.example", "Ada Lovelace", "ada.lovelace", "bob@guest.example", "carl@invited.example"]


def fill(platform: Platform) -> None:
    from blueprints.projects.models import Comment, PartnerInvitation, Project, Task
    from blueprints.sections.models import Page

    with platform.tenant("acme"):
        # The first one is called what the second one is to be called.
        db.session.add(User(username="user-2", email="user-2@example.invalid", name="Person 2", activated_at=now()))
        db.session.flush()
        ada = User(username="ada.lovelace", email=NAMES[0], name=NAMES[1], about="I am Ada Lovelace", role="admin")
        ada.activated_at, ada.password_hash = now(), "$argon2id$hash"
        db.session.add(ada)
        db.session.flush()
        issue_token(ada.id, "mine", ["read"], timedelta(days=1))
        db.session.add(Login(id="a" * 64, user_id=ada.id, expires_at=now(), address="192.0.2.77", browser="x"))
        db.session.add(Invitation(email=NAMES[3], role="staff", expires_at=now(), accepted_at=now()))
        db.session.add(Invitation(email=NAMES[4], role="staff", expires_at=now() + timedelta(days=9)))
        db.session.add(
            Outbox(message_id="<1@x>", recipient=NAMES[0], subject="To Ada Lovelace", message=b"ada@lovelace.example")
        )
        kept = {"id": "k" * 64, "fingerprint": "f" * 64, "status": 201, "headers": "{}", "expires_at": now()}
        db.session.add(KeptAnswer(body=NAMES[0], **kept))
        db.session.add(Attempts(key="a" * 64, count=1, expires_at=0.0))
        db.session.add(Event(kind="user.changed", subject_id=ada.id, title=NAMES[1]))
        organization = Organization(name="Engines", description=f"Ask {NAMES[0]}, or mailto:{NAMES[0]}.")
        db.session.add(organization)
        db.session.flush()
        db.session.add(Membership(organization_id=organization.id, user_id=ada.id, role="owner"))
        db.session.add(Event(kind="membership.created", subject_id=1, title=NAMES[1], organization_id=organization.id))
        db.session.add(Event(kind="project.created", subject_id=1, title="Notes", organization_id=organization.id))
        project = Project(organization_id=organization.id, name="Notes")
        db.session.add(project)
        db.session.flush()
        task = Task(organization_id=organization.id, project_id=project.id, title=f"Mail {NAMES[0]} today")
        db.session.add(task)
        db.session.flush()
        db.session.add(
            Comment(organization_id=organization.id, task_id=task.id, body=f"<{NAMES[3]}> said 3 @ 4", author_id=ada.id)
        )
        values = {"workspace": "globex", "username": "ada.lovelace", "role": "member", "inviter_id": ada.id}
        db.session.add(PartnerInvitation(organization_id=organization.id, expires_at=now(), **values))
        db.session.add(
            Page(section="help", slug="contact", title="Contact", body=f"Write to {NAMES[0]}.", note=NAMES[0])
        )
        uploads.save_picture(FileStorage(io.BytesIO(picture(1)), "one.png"), alt="One")


def copy_of(platform: Platform, anonymise: bool) -> Path:
    """Return a copy of the tenant acme's database, neutralised."""
    file = platform.registry.settings.state_dir / "copy.db"
    file.unlink(missing_ok=True)
    copy_database(platform.registry["acme"].database_file, file)
    neutralise(platform, file, anonymise=anonymise)
    check_database(file)
    return file


def ask(file: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(file)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


EMPTY = ["login", "token", "outbox", "kept_answer", "attempts"]


@pytest.mark.parametrize("anonymise", [False, True])
def test_what_lets_in_or_reaches_out_is_gone(platform: Platform, anonymise: bool) -> None:
    fill(platform)
    before = platform.registry["acme"].database_file
    file = copy_of(platform, anonymise)
    for table in EMPTY:
        assert ask(before, f"SELECT count(*) FROM tenantry_{table}") != [(0,)]
        assert ask(file, f"SELECT count(*) FROM tenantry_{table}") == [(0,)], table
    assert ask(file, "SELECT count(*) FROM partner_invitation") == [(0,)]
    assert ask(file, "SELECT count(*) FROM tenantry_invitation WHERE accepted_at IS NULL") == [(0,)]
    assert ask(file, "SELECT count(*) FROM tenantry_invitation") == [(1,)]
    assert ask(file, "SELECT id FROM tenantry_deed") != ask(before, "SELECT id FROM tenantry_deed")
    for table in (
        "tenantry_user",
        "page",
        "project",
        "task",
        "tenantry_upload",
        "tenantry_membership",
        "tenantry_event",
    ):
        count = f"SELECT count(*) FROM {table}"
        assert ask(file, count) == ask(before, count) != [(0,)], table


def test_without_more_people_stay_who_they_are(platform: Platform) -> None:
    fill(platform)
    assert ask(copy_of(platform, False), "SELECT email, name, password_hash FROM tenantry_user WHERE id = 2") == [
        (NAMES[0], NAMES[1], "$argon2id$hash")
    ]


def test_anonymised_nobody_is_known_in_any_byte(platform: Platform) -> None:
    fill(platform)
    file = copy_of(platform, True)
    content = file.read_bytes()
    assert not list(file.parent.glob("copy.db-*"))
    for name in [*NAMES, "lovelace", "$argon2id", "192.0.2.77"]:
        assert name.encode() not in content, name
    assert ask(file, "SELECT username, email, name, about, password_hash FROM tenantry_user ORDER BY id") == [
        (f"user-{id}", f"user-{id}@example.invalid", f"Person {id}", "", None) for id in (1, 2)
    ]
    assert ask(file, "SELECT email FROM tenantry_invitation") == [("invited-1@example.invalid",)]
    assert ask(file, "SELECT title FROM task") == [("Mail somebody@example.invalid today",)]
    assert ask(file, "SELECT body FROM task_comment") == [("<somebody@example.invalid> said 3 @ 4",)]
    assert ask(file, "SELECT body FROM page WHERE slug = 'contact'") == [("Write to somebody@example.invalid.",)]
    assert ask(file, "SELECT title FROM tenantry_event ORDER BY id") == [("Person",), ("Person",), ("Notes",)]
    assert ask(file, "SELECT rowid FROM page_search WHERE page_search MATCH 'lovelace'") == []
    assert ask(file, "SELECT count(*) FROM page_search WHERE page_search MATCH 'somebody'") == [(1,)]
    again = copy_of(platform, True)
    assert ask(again, "SELECT email FROM tenantry_user") == ask(file, "SELECT email FROM tenantry_user")


def test_a_copy_accepts_nothing_of_its_original(platform: Platform) -> None:
    """A cookie, an API token and a link of the original, at the copy once it is served."""
    client = client_of(platform, "acme")
    client.log_in("ada")
    with platform.tenant("acme"):
        ada = db.session.scalar(select(User))
        assert ada
        ada.password_hash = "x"
        token, _ = issue_token(ada.id, "t", ["read"], timedelta(days=1))
        link = sign_link("reset", ada, timedelta(days=1))
    assert client.get(f"/accounts/reset/{link}").status_code == 200
    platform.tenant_app("globex")
    platform.databases.close_idle()
    target = platform.registry["globex"]
    file = copy_of(platform, False)
    shutil.move(file, target.database_file)
    (target.state / "deed").unlink()
    fresh = Platform.from_file(platform.registry.settings.file)
    copy = client_of(fresh, "globex")
    for cookie in client._cookies.values():  # type: ignore[attr-defined]  # Werkzeug has no public way to them
        for name in (cookie.key, cookie.key.replace("acme", "globex")):
            copy.set_cookie(name, cookie.value, domain="globex.localhost")
    assert copy.get("/accounts/sessions").status_code == 302
    assert copy.get("/api/v1.0/users/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert copy.get(f"/accounts/reset/{link}").status_code == 404
    with fresh.tenant("globex"):
        assert db.session.scalar(select(User.username)) == "ada"
    fresh.databases.close_idle()


BLUEPRINT = """
from flask import Blueprint
from sqlalchemy import text
from tenantry import on_neutralise

bp = Blueprint("{name}", __name__)


@on_neutralise(bp)
def forget_hooks(connection, anonymise):
    connection.execute(text("UPDATE hook SET url = :url"), {{"url": "gone" if anonymise else "off"}})
"""
MIGRATION = """
from alembic import op
revision, down_revision, branch_labels, depends_on = "hooks_0001", None, ("hooks",), None
def upgrade():
    op.execute("CREATE TABLE hook (url TEXT)")
    op.execute("INSERT INTO hook VALUES ('https://customer.example')")
"""


def test_blueprints_see_to_their_own_tables(tmp_path: Path, write: Callable[[str, str], Path], package: str) -> None:
    """Also those that the tenant does not have; and none of another platform of this process."""
    write(f"{package}/hooks/__init__.py", BLUEPRINT.format(name="hooks"))
    write(f"{package}/hooks/migrations/hooks_0001.py", MIGRATION)
    write(f"{package}/notes/__init__.py", "from flask import Blueprint\nbp = Blueprint('notes', __name__)\n")
    toml = f'[platform]\nblueprints = "{package}"\n[tenants.acme]\npath = "/acme"\nfeatures = ["notes"]\n'
    platform = make_platform(tmp_path, toml)
    platform.tenant_app("acme")
    assert ask(copy_of(platform, False), "SELECT url FROM hook") == [("off",)]
    assert ask(copy_of(platform, True), "SELECT url FROM hook") == [("gone",)]
    platform.databases.close_idle()
    (tmp_path / "other").mkdir()
    other = make_platform(tmp_path / "other")
    other.tenant_app("acme")
    copy_of(other, True)
    other.databases.close_idle()


def test_one_that_fails_changes_nothing(tmp_path: Path, write: Callable[[str, str], Path], package: str) -> None:
    write(f"{package}/hooks/__init__.py", BLUEPRINT.format(name="hooks"))  # whose table is not there
    platform = make_platform(tmp_path, f'[platform]\nblueprints = "{package}"\n[tenants.acme]\npath = "/acme"\n')
    platform.tenant_app("acme")
    file = tmp_path / "copy.db"
    copy_database(platform.registry["acme"].database_file, file)
    deed = ask(file, "SELECT id FROM tenantry_deed")
    with pytest.raises(Exception, match="no such table: hook"):
        neutralise(platform, file, anonymise=True)
    assert ask(file, "SELECT id FROM tenantry_deed") == deed
    platform.databases.close_idle()
