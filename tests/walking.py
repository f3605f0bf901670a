"""Walking the URL map: every route of a tenant, each asked with ids that are not the asker's to see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from blueprints.projects import services as projects
from blueprints.sections.models import Page
from tenantry import Platform, db
from tenantry.api import ApiBlueprint, Operation
from tenantry.testing import TenantClient, client_of
from tenantry.times import now
from tenantry.uploads import Upload
from tenantry.users import CurrentUser, Invitation, User, become, issue_token

#: An id that no row has.
NOBODYS = 2**40
#: Values of routes that name nothing which belongs to one person or organization. A new name belongs here or below.
PUBLIC = {"filename", "lang_code", "section", "slug", "number", "username", "state", "token"}


@dataclass(frozen=True)
class Belongings:
    """What one person has in one tenant, by the name that routes give the value.

    :ivar ids: e.g. ``{"task_id": 7}``.
    :ivar token: an API token of theirs, for all scopes.
    """

    slug: str
    username: str
    ids: dict[str, Any]
    token: str

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def furnish(platform: Platform, slug: str, username: str, role: str = "admin") -> Belongings:
    """Let somebody have one of each thing that a route can name."""
    client = client_of(platform, slug)
    user_id = client.log_in(username, role).id
    with platform.tenant(slug):
        user = db.session.get_one(User, user_id)
        become(CurrentUser.of(user, "session"))
        organization = projects.create_organization(f"organization of {username}")
        project = projects.create_project(organization, f"project of {username}")
        task = projects.create_task(project, f"task of {username}")
        comment = projects.create_comment(task, f"comment of {username}")
        page = Page(section="help", slug=f"page-of-{username}", title=f"page of {username}")
        invitation = Invitation(
            email=f"{username}@elsewhere.example",
            role="member",
            invited_by_id=user_id,
            expires_at=now() + timedelta(days=1),
        )
        upload = Upload(
            id=f"{abs(hash((slug, username))):032x}"[:32],
            name="x.png",
            media_type="image/png",
            size=1,
            width=1,
            height=1,
        )
        db.session.add_all([page, invitation, upload])
        db.session.flush()
        token, row = issue_token(user_id, "walk", ("read", "write"), timedelta(days=1))
        db.session.flush()
        ids = {
            "organization_id": organization.id,
            "membership_id": organization.memberships[0].id,
            "project_id": project.id,
            "task_id": task.id,
            "comment_id": comment.id,
            "page_id": page.id,
            "user_id": user_id,
            "token_id": row.id,
            "invitation_id": invitation.id,
            "upload_id": upload.id,
            "login_id": user.logins[0].id,
        }
    return Belongings(slug, username, ids, token)


def shift_ids(platform: Platform, slug: str, by: int = 500) -> None:
    """Let a tenant's ids be others than those of its neighbours: by what SQLite counts on from."""
    with platform.tenant(slug):
        for name in ("tenantry_organization", "tenantry_membership", "project", "task", "task_comment", "page",
                     "tenantry_user", "tenantry_token", "tenantry_invitation"):  # fmt: skip
            connection = db.session.connection()
            connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
            connection.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (name, by))


def routes(platform: Platform, slug: str) -> Iterator[tuple[Rule, str]]:
    """Every route of a tenant and each of its methods."""
    for rule in platform.tenant_app(slug).url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield rule, method


def operation_of(platform: Platform, slug: str, rule: Rule, method: str) -> Operation | None:
    """The operation of the API behind a route, if it is one."""
    blueprint = platform.tenant_app(slug).blueprints.get(rule.endpoint.rpartition(".")[0])
    if not isinstance(blueprint, ApiBlueprint):
        return None
    return next((each for each in blueprint.operations.values() if _is_behind(each, rule, method)), None)


def _is_behind(operation: Operation, rule: Rule, method: str) -> bool:
    return (
        operation.method == method
        and rule.rule.endswith(operation.rule)
        and rule.rule.count("/") == operation.rule.count("/") + 2
    )


def example_of(model: type[BaseModel], **values: Any) -> dict[str, Any]:
    """A body that fits a model: what has to be there, made of its schema, with some values given."""
    schema = model.model_json_schema()
    found = {name: _example(schema["properties"][name], schema) for name in schema.get("required", ())}
    return {**found, **{name: value for name, value in values.items() if name in schema["properties"]}}


def _example(described: dict[str, Any], schema: dict[str, Any]) -> Any:
    if "$ref" in described:
        return _example(schema["$defs"][described["$ref"].rpartition("/")[2]], schema)
    if "enum" in described:
        return described["enum"][0]
    if described.get("type") == "array":
        return [_example(described["items"], schema)]
    return {"integer": 1, "boolean": True, "string": "walk"}[described["type"]]


def comparable(answer: TestResponse, *told: Any) -> tuple[Any, ...]:
    """An answer without what differs from one request to the next, and without what was asked for."""
    body = re.sub(r'(name="csrf_token"[^>]*value|data-csrf)="[^"]*"', "", answer.text)
    for each in sorted(map(str, told), key=len, reverse=True):
        body = body.replace(each, "…")
    changing = ("x-runtime", "content-length", "set-cookie", "date")
    headers = {
        name.lower(): value
        for name, value in answer.headers.items()
        if name.lower() not in changing and not name.lower().startswith("ratelimit-")
    }
    return answer.status_code, sorted(headers.items()), body


def first_difference(one: tuple[Any, ...], other: tuple[Any, ...]) -> str:
    """Where two comparable answers differ first, in short: to show all of two pages takes pytest minutes."""
    for left, right in zip(map(str, one), map(str, other), strict=True):
        if left != right:
            at = next(
                (n for n, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]),
                min(len(left), len(right)),
            )
            return f"…{left[max(0, at - 80) : at + 80]!r} is not …{right[max(0, at - 80) : at + 80]!r}"
    return ""


class Walker(TenantClient):
    """A client that sends whatever it takes to get as far into a view as can be."""

    @classmethod
    def of(cls, platform: Platform, slug: str) -> Walker:
        return cls(platform, platform.registry[slug])

    def csrf(self) -> str:
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.get("/accounts/").text)
        assert found
        return found[1]

    def ask(self, method: str, path: str, operation: Operation | None, **kwargs: Any) -> TestResponse:
        if method == "GET":
            return self.open(path, method=method, **kwargs)
        if operation is not None:
            body = example_of(operation.body) if operation.body else None
            return self.open(path, method=method, json=body, **kwargs)
        return self.open(path, method=method, data={"csrf_token": self.csrf()}, **kwargs)
