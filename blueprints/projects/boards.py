"""The pages of projects. A project's page is its board, which works without scripts; with them it speaks to the API."""

from __future__ import annotations

from typing import Any

from flask import abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, func, select
from sqlalchemy.orm import joinedload

from tenantry import db, forms, gettext, today
from tenantry.api import ID, etag_for
from tenantry.forms import Form
from tenantry.organizations import Organization, has_role, need_role
from tenantry.users import session_required

from . import bp, services
from .api.schemas import TaskOut
from .finding import find_project_to_work_in, part_of
from .forms import ProjectForm, base_of, people_of, state_names
from .models import STATES, Project, State, Task
from .words import script_words

#: Most tasks in a column of the board, and in a list.
ON_A_BOARD = 100


@bp.route("/new", methods=["GET", "POST"])
@session_required
def new_project() -> ResponseReturnValue:
    """Make a project in the organization that the address names."""
    found = services.find(Organization, request.args.get("organization", 0, type=int))
    need_role(found.id, "member")
    form = ProjectForm()
    if not form.validate_on_submit():
        return form.shown_by("projects/edit_project.html", organization=found, project=None)
    made = services.create_project(found, **form.values)
    flash(gettext("The project has been created."), "success")
    return redirect(url_for(".board", project_id=made.id))


@bp.get(f"/<{ID}:project_id>/")
@session_required
def board(project_id: int) -> str:
    """Show a project's board."""
    found = services.find(Project, project_id)
    is_member = has_role(found.organization_id, "member")
    may_work = is_member and not found.is_archived
    return render_template(
        "projects/board.html",
        project=found,
        organization=found.organization,
        columns={state: _tasks_in(found, state) for state in STATES},
        counts=_counts(found),
        states=state_names(),
        is_member=is_member,
        may_work=may_work,
        may_manage=has_role(found.organization_id, "owner"),
        script=_for_script(found) if may_work and "projects_api.list_tasks" in current_app.view_functions else None,
        most=ON_A_BOARD,
        etag=_etag,
    )


def _for_script(found: Project) -> dict[str, Any]:
    """Return what the board's script has to know: where the API is, and what to say in the reader's language."""
    return {
        "project": found.id,
        "tasks": url_for("projects_api.list_tasks"),
        "csrf": forms.csrf_token(),
        "page": url_for(".task", task_id=0),
        "most": ON_A_BOARD,
        "today": today().isoformat(),
        "states": state_names(),
        "people": people_of(found.organization_id),
        "words": script_words(),
    }


def _etag(task: Task) -> str:
    """Return a task's entity tag, as the API has it."""
    return f'"{etag_for(TaskOut, task)}"'


def _tasks_in(found: Project, state: State) -> Any:
    return db.session.scalars(_sorted_tasks(found, state).limit(ON_A_BOARD)).all()


def _sorted_tasks(found: Project, state: State) -> Select[Any]:
    """Select of a project's tasks in a state: what is due first; of what is done, the newest first."""
    chosen = select(Task).where(Task.project_id == found.id, Task.state == state).options(joinedload(Task.assignee))
    if state == "done":
        return chosen.order_by(Task.updated_at.desc(), Task.id.desc())
    return chosen.order_by(Task.due_on.is_(None), Task.due_on, Task.id)


def _counts(found: Project) -> dict[str, int]:
    counted = select(Task.state, func.count(Task.id)).where(Task.project_id == found.id).group_by(Task.state)
    return {state: count for state, count in db.session.execute(counted)}  # noqa: C416  # a result is no mapping


@bp.get(f"/<{ID}:project_id>/tasks/<any({', '.join(STATES)}):state>")
@session_required
def tasks(project_id: int, state: State) -> str:
    """List a project's tasks of one state."""
    found = services.find(Project, project_id)
    part = part_of(_sorted_tasks(found, state), ON_A_BOARD)
    return render_template("projects/tasks.html", project=found, state=state, states=state_names(), part=part)


@bp.route(f"/<{ID}:project_id>/edit", methods=["GET", "POST"])
@session_required
def edit_project(project_id: int) -> ResponseReturnValue:
    """Change what a project is called and about."""
    found = find_project_to_work_in(project_id)
    shown = {"project": found, "organization": found.organization}
    form = ProjectForm(obj=found, data={"base": base_of(found)})
    if not form.validate_on_submit():
        return form.shown_by("projects/edit_project.html", **shown)
    if form.is_late(found):
        return form.shown_late("projects/edit_project.html", found, **shown)
    services.change_project(found, is_archived=found.is_archived, **form.values)
    flash(gettext("The changes have been saved."), "success")
    return redirect(url_for(".board", project_id=found.id))


@bp.post(f"/<{ID}:project_id>/archive")
@session_required
@forms.protected
def archive_project(project_id: int) -> ResponseReturnValue:
    """Let nobody work on a project any more, or let them again."""
    found = services.find(Project, project_id)
    need_role(found.organization_id, "member")
    state = request.form.get("state")
    if state not in ("archive", "revive"):
        abort(422)
    is_archived = state == "archive"
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
def delete_project(project_id: int) -> ResponseReturnValue:
    """Delete a project and everything in it, after asking."""
    found = services.find(Project, project_id)
    need_role(found.organization_id, "owner")
    form = Form()
    if not form.validate_on_submit():
        return form.shown_by("projects/delete_project.html", project=found)
    organization_id = found.organization_id
    services.delete(found, "project", found.name)
    flash(gettext("The project and everything in it has been deleted."), "success")
    return redirect(url_for(".organization", organization_id=organization_id))
