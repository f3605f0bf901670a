"""The pages of projects. A project's page is its board, which works without scripts; with them it speaks to the API."""

from __future__ import annotations

from typing import Any

from flask import abort, current_app, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from tenantry import db, forms, gettext
from tenantry.api import ID, etag_for
from tenantry.forms import Form
from tenantry.organizations import Organization
from tenantry.users import session_required

from . import bp, services
from .api.schemas import TaskOut
from .forms import ProjectForm, TaskForm, base_of, state_names
from .models import STATES, Project, State, Task
from .words import script_words

#: Most tasks in a column of the board, and in a list.
ON_A_BOARD = 100


@bp.route("/new", methods=["GET", "POST"])
@session_required
def new_project() -> Any:
    found = services.find(Organization, request.args.get("organization", 0, type=int) % 2**63)
    services.need(found.id, "member")
    form = ProjectForm()
    if not form.validate_on_submit():
        return form.shown_by("projects/edit_project.html", organization=found, project=None)
    made = services.create_project(found, form.typed("name"), form.typed("description"))
    flash(gettext("The project has been created."), "success")
    return redirect(url_for(".board", project_id=made.id))


@bp.get(f"/<{ID}:project_id>/")
@session_required
def board(project_id: int) -> str:
    found = services.find(Project, project_id)
    may_work = services.may(found.organization_id, "member") and not found.is_archived
    return render_template(
        "projects/board.html",
        project=found,
        organization=found.organization,
        columns={state: _tasks_in(found, state) for state in STATES},
        counts=_counts(found),
        states=state_names(),
        form=TaskForm(found.organization_id, formdata=None) if may_work else None,
        may_work=may_work,
        may_manage=services.may(found.organization_id, "owner"),
        script=_for_script(found) if may_work and "projects_api.list_tasks" in current_app.view_functions else None,
        most=ON_A_BOARD,
        etag=etag,
    )


def _for_script(found: Project) -> dict[str, Any]:
    """Return what the board's script has to know: where the API is, and what to say in the reader's language."""
    return {
        "project": found.id,
        "tasks": url_for("projects_api.list_tasks"),
        "csrf": forms.csrf_token(),
        "page": url_for(".task", task_id=0),
        "states": state_names(),
        "words": script_words(),
    }


def etag(task: Task) -> str:
    """Return a task's entity tag, as the API has it."""
    return etag_for(TaskOut, task)


def _tasks_in(found: Project, state: State) -> Any:
    return db.session.scalars(sorted_tasks(found, state).limit(ON_A_BOARD)).all()


def sorted_tasks(found: Project, state: State) -> Any:
    """Select of a project's tasks in a state: what is due first; of what is done, the newest first."""
    chosen = select(Task).where(Task.project_id == found.id, Task.state == state).options(joinedload(Task.assignee))
    if state == "done":
        return chosen.order_by(Task.updated_at.desc(), Task.id.desc())
    return chosen.order_by(Task.due_on.is_(None), Task.due_on, Task.id)


def _counts(found: Project) -> dict[str, int]:
    counted = select(Task.state, func.count(Task.id)).where(Task.project_id == found.id).group_by(Task.state)
    return {state: count for state, count in db.session.execute(counted)}  # noqa: C416  # a result is no mapping


@bp.get(f"/<{ID}:project_id>/tasks/<any(todo, doing, done):state>")
@session_required
def tasks(project_id: int, state: State) -> str:
    found = services.find(Project, project_id)
    number = min(max(1, request.args.get("page", 1, type=int)), 1000)
    rows = db.session.scalars(sorted_tasks(found, state).limit(ON_A_BOARD + 1).offset((number - 1) * ON_A_BOARD)).all()
    if not rows and number > 1:
        abort(404)
    return render_template(
        "projects/tasks.html",
        project=found,
        state=state,
        states=state_names(),
        tasks=rows[:ON_A_BOARD],
        number=number,
        has_more=len(rows) > ON_A_BOARD,
    )


@bp.route(f"/<{ID}:project_id>/edit", methods=["GET", "POST"])
@session_required
def edit_project(project_id: int) -> Any:
    found = services.find(Project, project_id)
    services.need(found.organization_id, "member")
    form = ProjectForm(obj=found, data={"base": base_of(found)})
    if form.is_late(found):
        form.base.data = base_of(found)
        late = {"form": form, "project": found, "organization": found.organization, "late": found}
        return render_template("projects/edit_project.html", **late), 409
    if not form.validate_on_submit():
        return form.shown_by("projects/edit_project.html", organization=found.organization, project=found)
    name = form.typed("name")
    services.change(found, "project", name, name=name, description=form.typed("description"))
    flash(gettext("The changes have been saved."), "success")
    return redirect(url_for(".board", project_id=found.id))


@bp.post(f"/<{ID}:project_id>/archive")
@session_required
@forms.protected
def archive_project(project_id: int) -> Any:
    found = services.find(Project, project_id)
    services.need(found.organization_id, "member")
    is_archived = request.form.get("state") == "archive"
    services.archive(found, is_archived)
    flash(
        gettext("The project is archived: it can be read, and not changed.")
        if is_archived
        else gettext("The project can be worked on again."),
        "success",
    )
    return redirect(url_for(".board", project_id=found.id))


@bp.route(f"/<{ID}:project_id>/delete", methods=["GET", "POST"])
@session_required
def delete_project(project_id: int) -> Any:
    found = services.find(Project, project_id)
    services.need(found.organization_id, "owner")
    form = Form()
    if not form.validate_on_submit():
        return form.shown_by("projects/delete_project.html", project=found)
    organization_id = found.organization_id
    services.delete(found, "project", found.name)
    flash(gettext("The project and everything in it has been deleted."), "success")
    return redirect(url_for(".organization", organization_id=organization_id))
