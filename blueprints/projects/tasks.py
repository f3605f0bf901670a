"""The pages of tasks: one with what is said about it, and what can be done to it."""

from __future__ import annotations

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from tenantry import db, forms, gettext
from tenantry.api import ID
from tenantry.forms import Form
from tenantry.organizations import has_role
from tenantry.users import User, session_required

from . import bp, services
from .finding import find_project_to_work_in, find_task_to_work_on, part_of
from .forms import CommentForm, TaskForm, state_names
from .models import STATES, Comment, Task

#: Most comments on a page.
COMMENTS_ON_A_PAGE = 100


@bp.route(f"/<{ID}:project_id>/tasks/new", methods=["GET", "POST"])
@session_required
def new_task(project_id: int) -> ResponseReturnValue:
    """Make a task in a project."""
    project = find_project_to_work_in(project_id)
    form = TaskForm(project.organization_id)
    if not form.validate_on_submit():
        return form.shown_by("projects/edit_task.html", project=project, task=None)
    made = services.create_task(project, **form.values)
    flash(gettext("The task has been created."), "success")
    return redirect(url_for(".board", project_id=project.id, _anchor=f"task-{made.id}"))


@bp.get(f"/tasks/<{ID}:task_id>/")
@session_required
def task(task_id: int) -> ResponseReturnValue:
    """Show a task, and what is said about it."""
    return show(services.find(Task, task_id), CommentForm())


def show(found: Task, form: CommentForm) -> ResponseReturnValue:
    """Return the page of a task, with a form to say something about it."""
    chosen = select(Comment).where(Comment.task_id == found.id).options(joinedload(Comment.author))
    part = part_of(chosen.order_by(Comment.id), COMMENTS_ON_A_PAGE)
    return form.shown_by(
        "projects/task.html",
        task=found,
        project=found.project,
        states=state_names(),
        comments=[(comment, services.may_change(comment)) for (comment,) in part.rows],
        part=part,
        creator=db.session.get(User, found.created_by_id) if found.created_by_id else None,
        may_work=has_role(found.organization_id, "member") and not found.project.is_archived,
    )


@bp.route(f"/tasks/<{ID}:task_id>/edit", methods=["GET", "POST"])
@session_required
def edit_task(task_id: int) -> ResponseReturnValue:
    """Change a task."""
    found = find_task_to_work_on(task_id)
    shown = {"task": found, "project": found.project, "states": state_names()}
    form = TaskForm(found.organization_id, found)
    if not form.validate_on_submit():
        return form.shown_by("projects/edit_task.html", **shown)
    if form.is_late(found):
        return form.shown_late("projects/edit_task.html", found, **shown)
    services.change_task(found, **form.values)
    flash(gettext("The changes have been saved."), "success")
    return redirect(url_for(".task", task_id=found.id))


@bp.post(f"/tasks/<{ID}:task_id>/move")
@session_required
@forms.protected
def move_task(task_id: int) -> ResponseReturnValue:
    """Bring a task to another state."""
    found = find_task_to_work_on(task_id)
    state = next((each for each in STATES if each == request.form.get("state")), None)
    if state is None:
        abort(422)
    services.move(found, state)
    told = {"title": found.title, "state": state_names()[state]}
    flash(gettext("“%(title)s” is now in: %(state)s.") % told, "success")
    if request.form.get("back") == "task":
        return redirect(url_for(".task", task_id=found.id))
    return redirect(url_for(".board", project_id=found.project_id, _anchor=f"task-{found.id}"))


@bp.route(f"/tasks/<{ID}:task_id>/delete", methods=["GET", "POST"])
@session_required
def delete_task(task_id: int) -> ResponseReturnValue:
    """Delete a task, after asking."""
    found = find_task_to_work_on(task_id)
    form = Form()
    if not form.validate_on_submit():
        return form.shown_by("projects/delete_task.html", task=found, project=found.project)
    project_id = found.project_id
    services.delete_task(found)
    flash(gettext("The task has been deleted."), "success")
    return redirect(url_for(".board", project_id=project_id))
