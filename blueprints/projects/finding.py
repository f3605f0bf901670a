"""Finding what a page is about, and whether the one who asks may work on it; and lists, in parts that have an end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from flask import abort, request
from sqlalchemy import Select

from tenantry import db, gettext
from tenantry.organizations import need_role

from . import services
from .models import Comment, Project, Task

#: The last part of a list that anybody can ask for.
_LAST = 1000


class Part(NamedTuple):
    """A part of a list: what is in it, its number from 1, and whether there is one after it."""

    rows: Sequence[Any]
    number: int
    has_more: bool


def part_of(statement: Select[Any], size: int) -> Part:
    """Return the part of a list that the address asks for with ``page``.

    :param size: how many rows a part has at the most.
    :raises werkzeug.exceptions.NotFound: if there is no such part.
    """
    number = min(max(1, request.args.get("page", 1, type=int)), _LAST)
    rows = db.session.execute(statement.limit(size + 1).offset((number - 1) * size)).all()
    if not rows and number > 1:
        abort(404)
    return Part(rows[:size], number, len(rows) > size)


def find_project_to_work_in(project_id: int) -> Project:
    """Return a project that the one who asks may work in.

    :raises werkzeug.exceptions.HTTPException: 404 if it is not theirs to see, 403 if they may only read it, 409 if
        nobody works in it any more.
    """
    found = services.find(Project, project_id)
    need_role(found.organization_id, "member")
    _check_open(found)
    return found


def find_task_to_work_on(task_id: int) -> Task:
    """Return a task that the one who asks may work on, as :func:`find_project_to_work_in` does."""
    found = services.find(Task, task_id)
    need_role(found.organization_id, "member")
    _check_open(found.project)
    return found


def find_comment_to_change(comment_id: int) -> Comment:
    """Return a comment that the one who asks may change, as :func:`find_project_to_work_in` does."""
    found = services.find(Comment, comment_id)
    need_role(found.organization_id, "member")
    if not services.may_change(found):
        abort(403)
    _check_open(found.task.project)
    return found


def _check_open(project: Project) -> None:
    if project.is_archived:
        abort(409, gettext("This project is archived: it can be read, and not changed."))
