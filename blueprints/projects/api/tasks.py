"""``/tasks``: what is to be done in projects."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import url_for
from sqlalchemy import Select, func, select

from tenantry import ApiException, db
from tenantry.api import ID, ApiResult, Collection, Day, Filter, caseless, check_unchanged
from tenantry.organizations import need_role

from .. import services
from ..models import Project, State, Task
from . import api_bp
from .filters import containing, equal
from .refusals import saying_why_not
from .schemas import TaskIn, TaskOut, TaskPatch

TASKS = Collection(
    "tasks",
    TaskOut,
    filters={
        "organization_id": equal(Task.organization_id),
        "project_id": equal(Task.project_id),
        "state": equal(Task.state, State),
        "assignee_id": equal(Task.assignee_id),
        "due_before": Filter(Day, lambda day: Task.due_on < day, "Those due before this day."),
        "due_after": Filter(Day, lambda day: Task.due_on > day, "Those due after this day."),
        "q": containing(Task.title),
    },
    sorts={
        "id": Task.id,
        "title": caseless(Task.title),
        "due_on": func.coalesce(Task.due_on, date.max),  # what has no day comes last
        "created_at": Task.created_at,
        "updated_at": Task.updated_at,
    },
)
#: The columns that are answered; no objects are made of them, which lists need not.
_TASKS: Select[*tuple[Any, ...]] = select(*(getattr(Task, name) for name in TaskOut.model_fields))


@api_bp.collection("/tasks", TASKS)
def list_tasks() -> Select[*tuple[Any, ...]]:
    """List the tasks of your organizations."""
    return _TASKS


@api_bp.post("/tasks", body=TaskIn, returns=TaskOut, status=201)
def create_task(data: TaskIn) -> ApiResult:
    """Make a task in a project."""
    project = db.session.scalar(select(Project).where(Project.id == data.project_id))
    if project is None:
        mistake = {"pointer": "/project_id", "message": "There is no such project in your organizations."}
        raise ApiException(409, "There is no such project.", [mistake])
    need_role(project.organization_id, "member")
    values = data.model_dump(exclude={"project_id", "title"})
    with saying_why_not():
        made = services.create_task(project, data.title, **values)
    return ApiResult(made, 201, {"Location": url_for(".get_task", task_id=made.id)})


@api_bp.get(f"/tasks/<{ID}:task_id>", returns=TaskOut)
def get_task(task_id: int) -> Task:
    """Get a task."""
    return services.find(Task, task_id)


@api_bp.patch(f"/tasks/<{ID}:task_id>", body=TaskPatch, returns=TaskOut, errors=(409,), conditional=True)
def change_task(task_id: int, data: TaskPatch) -> Task:
    """Change a task: what it says, its state, who does it, and by when."""
    task = services.find(Task, task_id)
    need_role(task.organization_id, "member")
    check_unchanged(TaskOut, task)
    with saying_why_not():
        services.change_task(task, **data.model_dump(exclude_unset=True))
    return task


@api_bp.delete(f"/tasks/<{ID}:task_id>", status=204, errors=(409,), conditional=True)
def delete_task(task_id: int) -> None:
    """Delete a task and what was said about it."""
    task = services.find(Task, task_id)
    need_role(task.organization_id, "member")
    check_unchanged(TaskOut, task)
    with saying_why_not():
        services.delete_task(task)
