"""What is sent and answered. Moments are in UTC."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from tenantry.api import Day, Id, Line, Lines, Moment, Schema, SentId, unset
from tenantry.api import Text as SeenText

from ..models import State

Role = Literal["viewer", "member", "owner"]
Name = Annotated[Line, Field(max_length=120)]
Title = Annotated[Line, Field(max_length=200)]
Text = Annotated[Lines, Field(max_length=20_000)]
Words = Annotated[SeenText, Field(max_length=10_000)]


class OrganizationIn(Schema):
    """A new organization."""

    name: Name
    description: Text = ""


class OrganizationPatch(Schema):
    """What is to be changed of an organization."""

    name: Name = unset()
    description: Text = unset()


class OrganizationOut(Schema):
    """A group of people who own things together."""

    id: Id
    name: str
    description: str
    created_at: Moment
    updated_at: Moment


class MembershipIn(Schema):
    """Somebody who is to belong to an organization: by user name, of this workspace."""

    username: Annotated[str, Field(min_length=1, max_length=64, pattern="^[A-Za-z0-9._-]+$")]
    role: Role = "member"


class MembershipPatch(Schema):
    """What is to be changed of somebody's place in an organization."""

    role: Role


class MembershipOut(Schema):
    """Somebody's place in an organization."""

    id: Id
    organization_id: Id
    user_id: Id
    role: Role
    created_at: Moment


class ProjectIn(Schema):
    """A new project."""

    organization_id: SentId
    name: Name
    description: Text = ""


class ProjectPatch(Schema):
    """What is to be changed of a project."""

    name: Name = unset()
    description: Text = unset()
    is_archived: bool = unset()


class ProjectOut(Schema):
    """Something that an organization works on."""

    id: Id
    organization_id: Id
    name: str
    description: str
    is_archived: bool
    created_by_id: Id | None
    created_at: Moment
    updated_at: Moment


class TaskIn(Schema):
    """A new task."""

    project_id: SentId
    title: Title
    description: Text = ""
    state: State = "todo"
    assignee_id: SentId | None = None
    due_on: Day | None = None


class TaskPatch(Schema):
    """What is to be changed of a task."""

    title: Title = unset()
    description: Text = unset()
    state: State = unset()
    assignee_id: SentId | None = unset()
    due_on: Day | None = unset()


class TaskOut(Schema):
    """Something to be done in a project."""

    id: Id
    organization_id: Id
    project_id: Id
    title: str
    description: str
    state: State
    assignee_id: Id | None
    due_on: date | None
    created_by_id: Id | None
    created_at: Moment
    updated_at: Moment


class CommentIn(Schema):
    """Something to be said about a task."""

    task_id: SentId
    body: Words


class CommentPatch(Schema):
    """What is to be said instead."""

    body: Words


class CommentOut(Schema):
    """What somebody says about a task."""

    id: Id
    organization_id: Id
    task_id: Id
    body: str
    author_id: Id | None
    created_at: Moment
    updated_at: Moment
