"""``/comments``: what is said about tasks."""

from __future__ import annotations

from flask import abort, url_for
from sqlalchemy import Select, select

from tenantry import ApiException, db
from tenantry.api import ID, ApiResult, Collection, check_unchanged
from tenantry.organizations import need_role

from .. import services
from ..models import Comment, Task
from . import api_bp
from .filters import equal
from .refusals import saying_why_not
from .schemas import CommentIn, CommentOut, CommentPatch

COMMENTS = Collection(
    "comments",
    CommentOut,
    filters={
        "organization_id": equal(Comment.organization_id),
        "task_id": equal(Comment.task_id),
        "author_id": equal(Comment.author_id),
    },
    sorts={"id": Comment.id, "created_at": Comment.created_at},
)


@api_bp.collection("/comments", COMMENTS)
def list_comments() -> Select[Comment]:
    """List what is said about the tasks of your organizations."""
    return select(Comment)


@api_bp.post("/comments", body=CommentIn, returns=CommentOut, status=201)
def create_comment(data: CommentIn) -> ApiResult:
    """Say something about a task."""
    task = db.session.scalar(select(Task).where(Task.id == data.task_id))
    if task is None:
        mistake = {"pointer": "/task_id", "message": "There is no such task in your organizations."}
        raise ApiException(409, "There is no such task.", [mistake])
    need_role(task.organization_id, "member")
    with saying_why_not():
        made = services.create_comment(task, data.body)
    return ApiResult(made, 201, {"Location": url_for(".get_comment", comment_id=made.id)})


@api_bp.get(f"/comments/<{ID}:comment_id>", returns=CommentOut)
def get_comment(comment_id: int) -> Comment:
    """Get what somebody has said."""
    return services.find(Comment, comment_id)


@api_bp.patch(f"/comments/<{ID}:comment_id>", body=CommentPatch, returns=CommentOut, errors=(409,), conditional=True)
def change_comment(comment_id: int, data: CommentPatch) -> Comment:
    """Say something else instead, where they are your own words."""
    comment = _find_own(comment_id)
    check_unchanged(CommentOut, comment)
    with saying_why_not():
        services.change_comment(comment, data.body)
    return comment


@api_bp.delete(f"/comments/<{ID}:comment_id>", status=204, errors=(409,), conditional=True)
def delete_comment(comment_id: int) -> None:
    """Take back what was said: your own words, or as one who looks after the organization."""
    comment = _find_own(comment_id)
    check_unchanged(CommentOut, comment)
    with saying_why_not():
        services.delete_comment(comment)


def _find_own(comment_id: int) -> Comment:
    comment = services.find(Comment, comment_id)
    need_role(comment.organization_id, "member")
    if not services.may_change(comment):
        abort(403)
    return comment
