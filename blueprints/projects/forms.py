"""The forms of projects. Their words are translated when a page is made, not when this module is read."""

from __future__ import annotations

from typing import Any

from flask import render_template, request
from sqlalchemy import select
from wtforms import DateField, HiddenField, SelectField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, Optional

from tenantry import db, gettext, pgettext
from tenantry.forms import Form
from tenantry.forms import lazy_gettext as _
from tenantry.organizations import ORGANIZATION_ROLES, Membership
from tenantry.users import User

from .models import STATES, State, Task

#: Most people that a choice offers; a larger organization gives tasks to the others by the API.
_MOST_PEOPLE = 500


def role_names() -> dict[str, str]:
    """Return the roles in an organization, each with what people call it."""
    names = {"viewer": gettext("Viewer"), "member": gettext("Member"), "owner": gettext("Owner")}
    return {role: names[role] for role in ORGANIZATION_ROLES}


def state_names() -> dict[State, str]:
    """Return the states of a task, each with what people call it."""
    names: dict[State, str] = {
        "todo": pgettext("task", "To do"),
        "doing": pgettext("task", "In progress"),
        "done": pgettext("task", "Done"),
    }
    return {state: names[state] for state in STATES}


class _Based(Form):
    """A form that knows what it was opened with, so that nobody overwrites unseen what somebody else has changed."""

    base = HiddenField()

    @property
    def values(self) -> dict[str, Any]:
        """What was typed, by the columns of its row."""
        return {field.name: self.typed(field.name) for field in self if field.name not in ("base", "csrf_token")}

    def is_late(self, row: Any) -> bool:
        """Whether somebody has changed a row since the form was opened: to something else than what was typed."""
        is_known = request.form.get("base") == base_of(row)
        return not is_known and any(getattr(row, name) != value for name, value in self.values.items())

    def shown_late(self, template: str, row: Any, **context: Any) -> tuple[str, int]:
        """Return the response to what came too late, with what was typed, which is based on the row as it is by now."""
        self.base.data = base_of(row)
        return render_template(template, form=self, late=row, **context), 409


def base_of(row: Any) -> str:
    """Return what a form notes of a row when it is opened."""
    return str(row.updated_at.isoformat())


class OrganizationForm(_Based):
    """For an organization."""

    name = StringField(_("Name"), [DataRequired(), Length(max=120)])
    description = TextAreaField(_("Description"), [Length(max=20_000)])


class MemberForm(Form):
    """For somebody of this workspace who is to belong to an organization."""

    username = StringField(
        _("Username"),
        [DataRequired(), Length(max=64)],
        render_kw={"autocapitalize": "none", "spellcheck": "false"},
    )
    role = SelectField(_("Role"))

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.role.choices = role_names()


class ProjectForm(_Based):
    """For a project."""

    name = StringField(_("Name"), [DataRequired(), Length(max=120)])
    description = TextAreaField(_("Description"), [Length(max=20_000)])


class TaskForm(_Based):
    """For a task.

    :param organization_id: whose members it can be given to.
    :param task: the one that it changes; none for a new one.
    """

    title = StringField(_("Title"), [DataRequired(), Length(max=200)])
    description = TextAreaField(_("Description"), [Length(max=20_000)])
    state = SelectField(_("State"), default="todo")
    assignee = SelectField(_("Assigned to"), default="")
    due_on = DateField(_("Due on"), [Optional()])

    def __init__(self, organization_id: int, task: Task | None = None, **kwargs: Any) -> None:
        super().__init__(data=_opened_with(task) if task else None, **kwargs)
        self.state.choices = {str(state): name for state, name in state_names().items()}
        self.assignee.choices = {"": gettext("Nobody"), **people_of(organization_id), **_assignee_of(task)}

    @property
    def values(self) -> dict[str, Any]:
        return {
            "title": self.typed("title"),
            "description": self.typed("description"),
            "state": self.state.data,
            "assignee_id": int(self.assignee.data) if self.assignee.data else None,
            "due_on": self.due_on.data,
        }


def _opened_with(task: Task) -> dict[str, Any]:
    """Return what a task has, by the fields of its form; the row itself has other things by their names."""
    return {
        "base": base_of(task),
        "title": task.title,
        "description": task.description,
        "state": task.state,
        "assignee": str(task.assignee_id or ""),
        "due_on": task.due_on,
    }


def _assignee_of(task: Task | None) -> dict[str, str]:
    """Return who has a task now, who in a large organization is perhaps not among those that are offered."""
    return {str(task.assignee.id): task.assignee.name} if task and task.assignee else {}


class CommentForm(_Based):
    """For what somebody says about a task."""

    body = TextAreaField(_("Comment"), [DataRequired(), Length(max=10_000)], render_kw={"rows": 4})


def people_of(organization_id: int) -> dict[str, str]:
    """Return who belongs to an organization, by the number of their account."""
    chosen = (
        select(Membership.user_id, User.name)  # the filtered one first, by which the session knows what it is about
        .join(User, User.id == Membership.user_id)
        .where(Membership.organization_id == organization_id)
        .order_by(User.name, User.id)
        .limit(_MOST_PEOPLE)
    )
    return {str(number): name for number, name in db.session.execute(chosen)}
