"""A day's work in a workspace, by a client that knows nothing but the API's document (``api_client.py``), over the wire."""

from __future__ import annotations

import csv
import io
import json
from base64 import b64encode
from collections.abc import Iterator

import pytest
from api_client import ApiClient

from conftest import Server
from tenantry import db
from tenantry.testing import make_platform
from tenantry.times import now
from tenantry.users import User, hash_password

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("day")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENANTRY_ENV", "testing")
        platform = make_platform(folder, '[tenants.acme]\ntitle = "Acme"\npath = "/acme"\nsections = ["help"]\n')
        with platform.tenant("acme"):
            for name, role in (("ada", "staff"), ("bob", "member")):
                db.session.add(
                    User(username=name, email=f"{name}@x.example", name=name.capitalize(), role=role,
                         password_hash=hash_password(PASSWORD), activated_at=now())
                )  # fmt: skip
    platform.databases.close_idle()
    server = Server(folder, TENANTRY_ENV="testing")
    yield f"http://localhost:{server.port}/acme/api/v1.0/openapi.json"
    server.stop()


def log_in(address: str, username: str, *scopes: str) -> ApiClient:
    """A client with a token of its own, made with a password."""
    client = ApiClient(address, "Basic " + b64encode(f"{username}:{PASSWORD}".encode()).decode())
    made = client.create_token({"name": "the day", "scopes": list(scopes), "days": 1})
    assert made.status == 201
    client.authorization = f"Bearer {made.json['token']}"
    return client


def test_a_day(address: str) -> None:
    ada, bob, reader = (
        log_in(address, "ada", "read", "write"),
        log_in(address, "bob", "read", "write"),
        log_in(address, "ada", "read"),
    )
    assert ada.get_me().json["email"] == "ada@x.example"

    # A place to work in, with a colleague.
    organization = ada.create_organization({"name": "Rockets", "description": "To the moon"}).json
    assert bob.list_organizations().json["count"] == 0
    assert bob.get_organization(organization_id=organization["id"]).status == 404
    member = ada.create_membership({"username": "bob"}, organization_id=organization["id"]).json
    assert bob.list_organizations().json["items"] == [organization]
    assert bob.create_membership({"username": "ada"}, organization_id=organization["id"]).status == 403

    # A project with tasks, one of which is sent twice, as its answer got lost.
    project = ada.create_project({"organization_id": organization["id"], "name": "Moon"}).json
    keys = [f"task {number}" for number in range(12)] + ["task 0"]
    made = [
        ada.create_task(
            {"project_id": project["id"], "title": key, "due_on": f"2030-01-{keys.index(key) + 1:02}"},
            idempotency_key=key,
        )
        for key in keys
    ]
    assert [reply.status for reply in made] == [201] * 13
    assert made[0].body == made[12].body
    assert made[12].headers["idempotency-replayed"] == "true"

    # Looking through them, forth and back.
    part = bob.list_tasks(project_id=project["id"], sort="-due_on", limit=5).json
    titles = [task["title"] for task in part["items"]]
    while part["next"]:
        part = bob.follow("GET", part["next"]).json
        titles += [task["title"] for task in part["items"]]
    assert titles == [f"task {number}" for number in reversed(range(12))]
    assert part["count"] == 12
    before = bob.follow("GET", part["prev"]).json
    assert [task["title"] for task in before["items"]] == titles[5:10]

    # Two change one task at once: the slower one is told, looks, and tries again.
    task = made[3].json
    seen = [client.get_task(task_id=task["id"]) for client in (ada, bob)]
    assert (
        ada.change_task({"assignee_id": member["user_id"]}, task_id=task["id"], if_match=seen[0].headers["etag"]).status
        == 200
    )
    assert bob.change_task({"state": "doing"}, task_id=task["id"], if_match=seen[1].headers["etag"]).status == 412
    again = bob.get_task(task_id=task["id"])
    assert again.json["assignee_id"] == member["user_id"]
    done = bob.change_task({"state": "doing"}, task_id=task["id"], if_match=again.headers["etag"])
    assert (done.status, done.json["state"]) == (200, "doing")
    assert bob.get_task(task_id=task["id"], if_none_match=done.headers["etag"]).status == 304
    assert bob.list_tasks(state="doing", assignee_id=member["user_id"]).json["items"] == [done.json]

    # Talking about it.
    comment = bob.create_comment({"task_id": task["id"], "body": "On it."}).json
    assert ada.change_comment({"body": "mine now"}, comment_id=comment["id"]).status == 200, "as an owner"
    assert bob.list_comments(task_id=task["id"]).json["items"][0]["body"] == "mine now"

    # Files for those who like them better.
    rows = list(csv.DictReader(io.StringIO(ada.list_tasks_csv(project_id=project["id"]).body.decode())))
    assert [row["title"] for row in rows] == [f"task {number}" for number in range(12)]
    lines = [json.loads(line) for line in ada.list_tasks_jsonl(state="doing").body.splitlines()]
    assert lines == [done.json]

    # A page for everybody, as staff.
    page = ada.create_page({"section": "help", "title": "How we fly", "body": "# Up", "is_published": True})
    assert page.status == 201
    assert bob.create_page({"section": "help", "title": "x"}).status == 403
    assert bob.list_pages(q="fly").json["items"][0]["slug"] == "how-we-fly"

    # What a token may not, and what was.
    assert reader.create_project({"organization_id": organization["id"], "name": "x"}).status == 403
    assert reader.create_token({"name": "x", "scopes": ["read"]}).status == 403
    kinds = [event["kind"] for event in bob.list_events(limit=200).json["items"]]
    assert kinds[:3] == ["organization.created", "membership.created", "project.created"]
    assert kinds.count("task.created") == 12
    assert "page.published" in kinds

    # Home time: the colleague leaves, and the work is nobody's; then all of it goes.
    assert bob.delete_membership(membership_id=member["id"]).status == 204
    assert bob.get_project(project_id=project["id"]).status == 404
    assert ada.get_task(task_id=task["id"]).json["assignee_id"] is None
    assert ada.change_project({"is_archived": True}, project_id=project["id"]).json["is_archived"] is True
    refused = ada.change_task({"state": "done"}, task_id=task["id"])
    assert (refused.status, refused.headers["content-type"]) == (409, "application/problem+json")
    assert ada.delete_organization(organization_id=organization["id"]).status == 204
    assert ada.list_tasks().json["count"] == 0
    for token in ada.list_tokens().json["items"]:
        assert ada.delete_token(token_id=token["id"]).status in (204, 401)
    assert ada.get_me().status == 401
