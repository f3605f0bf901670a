"""What is said about tasks: said, said otherwise, and taken back."""

from __future__ import annotations

from typing import Any

from flask import abort, flash, redirect, url_for

from tenantry import forms, gettext
from tenantry.api import ID
from tenantry.users import session_required

from . import bp, services
from .forms import CommentForm
from .models import Comment, Task
from .tasks import show, unless_archived


@bp.post(f"/tasks/<{ID}:task_id>/comments")
@session_required
def add_comment(task_id: int) -> Any:
    task = services.find(Task, task_id)
    services.need(task.organization_id, "member")
    form = CommentForm()
    if not form.validate_on_submit():
        return show(task, form)
    with unless_archived():
        made = services.create_comment(task, form.typed("body"))
    return redirect(url_for(".task", task_id=task.id, _anchor=f"comment-{made.id}"))


@bp.route(f"/comments/<{ID}:comment_id>/edit", methods=["GET", "POST"])
@session_required
def edit_comment(comment_id: int) -> Any:
    comment = _find_own(comment_id)
    form = CommentForm(obj=comment)
    if not form.validate_on_submit():
        return form.shown_by("projects/edit_comment.html", comment=comment, task=comment.task)
    services.change(comment, "comment", comment.task.title, body=form.typed("body"))
    return redirect(url_for(".task", task_id=comment.task_id, _anchor=f"comment-{comment.id}"))


@bp.post(f"/comments/<{ID}:comment_id>/delete")
@session_required
@forms.protected
def delete_comment(comment_id: int) -> Any:
    comment = _find_own(comment_id)
    task_id = comment.task_id
    services.delete(comment, "comment", comment.task.title)
    flash(gettext("The comment has been deleted."), "success")
    return redirect(url_for(".task", task_id=task_id))


def _find_own(comment_id: int) -> Comment:
    comment = services.find(Comment, comment_id)
    services.need(comment.organization_id, "member")
    if not services.may_change(comment):
        abort(403)
    return comment
