"""What organizations work on: projects, their tasks, and what is said about these. Times are in UTC.

Each row names its organization, so that each query is filtered by it alone; and a row cannot name another one than what
it belongs to, as the database holds both together (``ForeignKeyConstraint``).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, get_args

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from tenantry import db, today
from tenantry.organizations import Organization, OrganizationOwned
from tenantry.times import now
from tenantry.users import User

State = Literal["todo", "doing", "done"]
#: The states of a task, in the order in which it goes through them.
STATES: tuple[State, ...] = get_args(State)
_NEVER_AGAIN = {"sqlite_autoincrement": True}


class Project(OrganizationOwned, db.Model):
    """Something that an organization works on.

    :ivar archived_at: since when nobody works on it any more.
    """

    __tablename__ = "project"
    __table_args__ = (UniqueConstraint("organization_id", "id"), _NEVER_AGAIN)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(Text, default="")
    archived_at: Mapped[datetime | None]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("tenantry_user.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)

    organization: Mapped[Organization] = relationship()
    tasks: Mapped[list[Task]] = relationship(
        back_populates="project", cascade="all, delete-orphan", passive_deletes=True, overlaps="organization"
    )

    @property
    def is_archived(self) -> bool:
        """Whether nobody works on it any more."""
        return self.archived_at is not None


class Task(OrganizationOwned, db.Model):
    """Something to be done in a project.

    :ivar state: one of ``STATES``.
    :ivar assignee_id: who does it: a member of the organization.
    :ivar due_on: by which day.
    """

    __tablename__ = "task"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "project_id"],
            ["project.organization_id", "project.id"],
            name="fk_task_project",
            ondelete="CASCADE",
        ),
        UniqueConstraint("organization_id", "id"),
        Index("ix_task_project_id_state", "project_id", "state"),
        Index("ix_task_assignee_id", "assignee_id"),
        _NEVER_AGAIN,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int]
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[State] = mapped_column(String(10), default="todo")
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("tenantry_user.id", ondelete="SET NULL"))
    due_on: Mapped[date | None]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("tenantry_user.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)

    project: Mapped[Project] = relationship(back_populates="tasks", overlaps="organization")
    assignee: Mapped[User | None] = relationship(foreign_keys=[assignee_id])
    comments: Mapped[list[Comment]] = relationship(
        back_populates="task", cascade="all, delete-orphan", passive_deletes=True, order_by="Comment.id"
    )

    @property
    def is_overdue(self) -> bool:
        """Whether it should have been done by now, where the reader is."""
        return self.state != "done" and self.due_on is not None and self.due_on < today()


class Comment(OrganizationOwned, db.Model):
    """What somebody says about a task."""

    __tablename__ = "task_comment"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "task_id"],
            ["task.organization_id", "task.id"],
            name="fk_task_comment_task",
            ondelete="CASCADE",
        ),
        Index("ix_task_comment_task_id", "task_id"),
        _NEVER_AGAIN,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int]
    body: Mapped[str] = mapped_column(Text)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("tenantry_user.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)

    task: Mapped[Task] = relationship(back_populates="comments")
    author: Mapped[User | None] = relationship()


class PartnerInvitation(OrganizationOwned, db.Model):
    """Somebody of another workspace who may come. It is gone once they have.

    :ivar workspace: the slug of theirs.
    :ivar username: who they are there; whether there is such a person is not known here.
    :ivar role: what they become in the organization.
    """

    write_role = "owner"
    __tablename__ = "partner_invitation"
    __table_args__ = _NEVER_AGAIN

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace: Mapped[str] = mapped_column(String(63))
    username: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(10))
    inviter_id: Mapped[int] = mapped_column(ForeignKey("tenantry_user.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
