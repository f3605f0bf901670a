"""What is said about tasks: said, said otherwise, and taken back."""

from __future__ import annotations

from flask import flash, redirect, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from tenantry import db, forms, gettext
from tenantry.api import ID
from tenantry.users import session_required

from . import bp, services
from .finding import find_comment_to_change, find_task_to_work_on
from .forms import CommentForm, base_of
from .models import Comment
from .tasks import COMMENTS_ON_A_PAGE, show


@bp.post(f"/tasks/<{ID}:task_id>/comments")
@session_required
def add_comment(task_id: int) -> ResponseReturnValue:
    """Say something about a task."""
    task = find_task_to_work_on(task_id)
    form = CommentForm()
    if not form.validate_on_submit():
        return show(task, form)
    return redirect(_address_of(services.create_comment(task, form.typed("body"))))


@bp.route(f"/comments/<{ID}:comment_id>/edit", methods=["GET", "POST"])
@session_required
def edit_comment(comment_id: int) -> ResponseReturnValue:
    """Change what was said."""
    comment = find_comment_to_change(comment_id)
    form = CommentForm(obj=comment, data={"base": base_of(comment)})
    shown = {"comment": comment, "task": comment.task, "back": _address_of(comment)}
    if not form.validate_on_submit():
        return form.shown_by("projects/edit_comment.html", **shown)
    if form.is_late(comment):
        return form.shown_late("projects/edit_comment.html", comment, **shown)
    services.change_comment(comment, form.typed("body"))
    return redirect(_address_of(comment))


@bp.post(f"/comments/<{ID}:comment_id>/delete")
@session_required
@forms.protected
def delete_comment(comment_id: int) -> ResponseReturnValue:
    """Delete what was said."""
    comment = find_comment_to_change(comment_id)
    task_id = comment.task_id
    services.delete_comment(comment)
    flash(gettext("The comment has been deleted."), "success")
    return redirect(url_for(".task", task_id=task_id, _anchor="comments"))


def _address_of(comment: Comment) -> str:
    """Return where a comment stands: on one of the pages of its task."""
    before = select(func.count(Comment.id)).where(Comment.task_id == comment.task_id, Comment.id < comment.id)
    number = (db.session.scalar(before) or 0) // COMMENTS_ON_A_PAGE + 1
    page = number if number > 1 else None
    return url_for(".task", task_id=comment.task_id, page=page, _anchor=f"comment-{comment.id}")
