"""The pages of tasks: one with what is said about it, and what can be done to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from tenantry import db, forms, gettext
from tenantry.api import ID
from tenantry.forms import Form
from tenantry.users import User, session_required

from . import bp, services
from .forms import CommentForm, TaskForm, base_of, state_names
from .models import STATES, Comment, Project, Task

#: Most comments on a page.
_ON_A_PAGE = 100


@contextmanager
def unless_archived() -> Iterator[None]:
    """Answer 409 for what cannot be done, as nobody works on the project any more."""
    try:
        yield
    except services.Archived:
        abort(409, gettext("This project is archived: it can be read, and not changed."))


@bp.route(f"/<{ID}:project_id>/tasks/new", methods=["GET", "POST"])
@session_required
def new_task(project_id: int) -> Any:
    project = services.find(Project, project_id)
    services.need(project.organization_id, "member")
    form = TaskForm(project.organization_id)
    if not form.validate_on_submit():
        return form.shown_by("projects/edit_task.html", project=project, task=None)
    with unless_archived():
        services.create_task(project, **form.values)
    flash(gettext("The task has been created."), "success")
    return redirect(url_for(".board", project_id=project.id))


@bp.get(f"/tasks/<{ID}:task_id>/")
@session_required
def task(task_id: int) -> Any:
    return show(services.find(Task, task_id), CommentForm())


def show(found: Task, form: CommentForm) -> Any:
    """Return the page of a task, with a form to say something about it."""
    number = min(max(1, request.args.get("page", 1, type=int)), 1000)
    chosen = select(Comment).where(Comment.task_id == found.id).options(joinedload(Comment.author))
    rows = db.session.scalars(chosen.order_by(Comment.id).limit(_ON_A_PAGE + 1).offset((number - 1) * _ON_A_PAGE)).all()
    return form.shown_by(
        "projects/task.html",
        task=found,
        project=found.project,
        states=state_names(),
        comments=[(comment, services.may_change(comment)) for comment in rows[:_ON_A_PAGE]],
        number=number,
        has_more=len(rows) > _ON_A_PAGE,
        creator=db.session.get(User, found.created_by_id) if found.created_by_id else None,
        may_work=services.may(found.organization_id, "member") and not found.project.is_archived,
    )


@bp.route(f"/tasks/<{ID}:task_id>/edit", methods=["GET", "POST"])
@session_required
def edit_task(task_id: int) -> Any:
    found = services.find(Task, task_id)
    services.need(found.organization_id, "member")
    form = TaskForm(found.organization_id, obj=found, data=_values(found))
    if form.is_late(found):
        form.base.data = base_of(found)
        late = {"form": form, "task": found, "project": found.project, "late": found, "states": state_names()}
        return render_template("projects/edit_task.html", **late), 409
    if not form.validate_on_submit():
        return form.shown_by("projects/edit_task.html", project=found.project, task=found)
    with unless_archived():
        services.change_task(found, **form.values)
    flash(gettext("The changes have been saved."), "success")
    return redirect(url_for(".task", task_id=found.id))


def _values(found: Task) -> dict[str, str]:
    return {"base": base_of(found), "assignee": str(found.assignee_id or "")}


@bp.post(f"/tasks/<{ID}:task_id>/move")
@session_required
@forms.protected
def move_task(task_id: int) -> Any:
    found = services.find(Task, task_id)
    services.need(found.organization_id, "member")
    state = next((each for each in STATES if each == request.form.get("state")), None)
    if state is None:
        abort(422)
    with unless_archived():
        services.move(found, state)
    flash(
        gettext("“%(title)s” is now in: %(state)s.") % {"title": found.title, "state": state_names()[state]}, "success"
    )
    return redirect(url_for(".board", project_id=found.project_id))


@bp.route(f"/tasks/<{ID}:task_id>/delete", methods=["GET", "POST"])
@session_required
def delete_task(task_id: int) -> Any:
    found = services.find(Task, task_id)
    services.need(found.organization_id, "member")
    form = Form()
    if not form.validate_on_submit():
        return form.shown_by("projects/delete_task.html", task=found, project=found.project)
    project_id = found.project_id
    services.delete(found, "task", found.title)
    flash(gettext("The task has been deleted."), "success")
    return redirect(url_for(".board", project_id=project_id))
