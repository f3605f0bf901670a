"""What is done to projects, tasks and comments, without a word about pages.

Each function is a part of its caller's unit of work.
Whatever is looked for is found only where the one who asks may see it; what they may do to it, ``need_role`` asks.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

from flask import abort
from sqlalchemy import select, update

from tenantry import current_user, db
from tenantry.api import LARGEST_ID
from tenantry.events import record
from tenantry.organizations import (
    Membership,
    Organization,
    Scoped,
    add_member,
    check_others,
    found_organization,
    has_role,
    remove_member,
    set_role,
    unscoped,
)
from tenantry.times import now
from tenantry.users import User

from .models import Comment, Project, State, Task

M = TypeVar("M", bound=Scoped)


class NotAMember(ValueError):
    """A task was to be given to somebody who does not belong to its organization."""


class AlreadyAMember(ValueError):
    """Somebody belongs to the organization already."""


class Archived(ValueError):
    """Something was to be done in a project on which nobody works any more."""


def find(model: type[M], number: int) -> M:
    """Return a row that the one who asks may see.

    :param number: its id, or whatever was sent for one.
    :raises werkzeug.exceptions.NotFound: if there is none.
    """
    if not 0 < number <= LARGEST_ID:  # more than the database takes for a number
        abort(404)
    chosen: Any = select(model).where(cast(Any, model).id == number)
    found: M | None = db.session.scalar(chosen)
    return found if found is not None else abort(404)


def create_organization(name: str, description: str = "") -> Organization:
    """Make an organization, whose owner is the one who asks."""
    organization = found_organization(name, description)
    record("organization.created", organization.id, name, organization.id)
    return organization


def change(row: Any, kind: str, title: str, /, **values: Any) -> bool:
    """Change what is to be changed of a row. Return whether that was anything."""
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    if changed:
        db.session.flush()
        record(f"{kind}.changed", row.id, title, row.id if kind == "organization" else row.organization_id)
    return bool(changed)


def delete(row: Any, kind: str, title: str) -> None:
    """Delete a row and what belongs to it. Of an organization nothing is left, its events neither."""
    if kind != "organization":
        record(f"{kind}.deleted", row.id, title, row.organization_id)
    db.session.delete(row)
    db.session.flush()


def invite(organization: Organization, user: User, role: str) -> Membership:
    """Let somebody of this workspace belong to an organization.

    :raises AlreadyAMember: if they do.
    """
    theirs = (Membership.organization_id == organization.id, Membership.user_id == user.id)
    if db.session.scalar(select(Membership.id).where(*theirs)) is not None:
        raise AlreadyAMember()
    membership = add_member(organization.id, user.id, role)
    record("membership.created", membership.id, user.name, organization.id)
    return membership


def change_role(membership: Membership, role: str) -> None:
    """Give a member another role.

    :raises tenantry.organizations.LastOwner: if nobody would look after the organization any more.
    """
    if membership.role != role:
        set_role(membership, role)
        record("membership.changed", membership.id, membership.user.name, membership.organization_id)


def leave(membership: Membership) -> None:
    """Let somebody no longer belong to an organization. Their tasks are nobody's then.

    :raises tenantry.organizations.LastOwner: if nobody would look after it any more.
    """
    check_others(membership)
    theirs = (Task.organization_id == membership.organization_id, Task.assignee_id == membership.user_id)
    number, name, organization_id = membership.id, membership.user.name, membership.organization_id
    given_up = update(Task).where(*theirs).values(assignee_id=None)
    db.session.execute(unscoped(given_up, "who leaves gives up their tasks, also if they may only read them"))
    record("membership.deleted", number, name, organization_id)
    db.session.flush()
    remove_member(membership)


def create_project(organization: Organization, name: str, description: str = "") -> Project:
    """Make a project."""
    project = Project(
        organization_id=organization.id, name=name, description=description, created_by_id=current_user.id or None
    )
    db.session.add(project)
    db.session.flush()
    record("project.created", project.id, name, organization.id)
    return project


def change_project(project: Project, *, is_archived: bool, **values: Any) -> None:
    """Change what is to be changed of a project, and let nobody work on it any more, or let them again.

    :raises Archived: if nobody works on it any more, and it is to stay like that.
    """
    if values and is_archived:
        _check_open(project)
    change(project, "project", values.get("name", project.name), **values)
    archive(project, is_archived)


def archive(project: Project, is_archived: bool) -> None:
    """Let nobody work on a project any more, or let them again."""
    if project.is_archived is not is_archived:
        project.archived_at = now() if is_archived else None
        db.session.flush()
        record(
            "project.archived" if is_archived else "project.revived", project.id, project.name, project.organization_id
        )


def create_task(project: Project, title: str, **values: Any) -> Task:
    """Make a task.

    :raises Archived: if nobody works on the project any more.
    :raises NotAMember: if it is for somebody who does not belong to the organization.
    """
    _check_open(project)
    _check_assignee(project.organization_id, values.get("assignee_id"))
    task = Task(
        organization_id=project.organization_id,
        project_id=project.id,
        title=title,
        created_by_id=current_user.id or None,
        **values,
    )
    db.session.add(task)
    db.session.flush()
    record("task.created", task.id, title, task.organization_id)
    return task


def change_task(task: Task, **values: Any) -> bool:
    """Change a task. Return whether that was anything.

    :raises Archived: if nobody works on its project any more.
    :raises NotAMember: if it is for somebody who does not belong to the organization.
    """
    _check_open(task.project)
    assignee_id = values.get("assignee_id", task.assignee_id)
    if assignee_id != task.assignee_id:
        _check_assignee(task.organization_id, assignee_id)
    return change(task, "task", values.get("title", task.title), **values)


def delete_task(task: Task) -> None:
    """Delete a task.

    :raises Archived: if nobody works on its project any more.
    """
    _check_open(task.project)
    delete(task, "task", task.title)


def change_comment(comment: Comment, body: str) -> bool:
    """Say something else instead.

    :raises Archived: if nobody works on the project any more.
    """
    _check_open(comment.task.project)
    return change(comment, "comment", comment.task.title, body=body)


def delete_comment(comment: Comment) -> None:
    """Take back what was said.

    :raises Archived: if nobody works on the project any more.
    """
    _check_open(comment.task.project)
    delete(comment, "comment", comment.task.title)


def move(task: Task, state: State) -> bool:
    """Take a task into another state. Return whether it was not in it."""
    return change_task(task, state=state)


def create_comment(task: Task, body: str) -> Comment:
    """Say something about a task.

    :raises Archived: if nobody works on its project any more.
    """
    _check_open(task.project)
    comment = Comment(
        organization_id=task.organization_id, task_id=task.id, body=body, author_id=current_user.id or None
    )
    db.session.add(comment)
    db.session.flush()
    record("comment.created", comment.id, task.title, task.organization_id)
    return comment


def may_change(comment: Comment) -> bool:
    """Whether the one who asks may change what was said: their own words, or as an owner of the organization."""
    return comment.author_id == current_user.id or has_role(comment.organization_id, "owner")


def _check_open(project: Project) -> None:
    if project.is_archived:
        raise Archived()


def _check_assignee(organization_id: int, user_id: int | None) -> None:
    theirs = (Membership.organization_id == organization_id, Membership.user_id == user_id)
    if user_id is not None and db.session.scalar(select(Membership.id).where(*theirs)) is None:
        raise NotAMember()
