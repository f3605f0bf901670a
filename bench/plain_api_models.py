"""The tables of the plain side of the API's benchmark: those of Tenantry and its projects, with the same indexes."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from .api_content import TASK_FIELDS


class Base(DeclarativeBase):
    """Base of the plain side's models."""


db = SQLAlchemy(model_class=Base)
_NEVER_AGAIN = {"sqlite_autoincrement": True}
# Flask-SQLAlchemy makes its base at run time, so that mypy knows nothing of it.


class User(db.Model):  # type: ignore[misc,name-defined]  # see above
    """An account."""

    __tablename__ = "tenantry_user"
    __table_args__ = _NEVER_AGAIN

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(32), unique=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    about: Mapped[str] = mapped_column(Text, default="")
    password_hash: Mapped[str | None] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(10), default="member")
    language: Mapped[str | None] = mapped_column(String(12))
    timezone: Mapped[str | None] = mapped_column(String(64))
    is_public: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    blocked_at: Mapped[datetime | None]


class ApiToken(db.Model):  # type: ignore[misc,name-defined]  # see above
    """A token for programs, kept as a digest."""

    __tablename__ = "tenantry_token"
    __table_args__ = _NEVER_AGAIN

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("tenantry_user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class Organization(db.Model):  # type: ignore[misc,name-defined]  # see above
    """A group of people who own things together."""

    __tablename__ = "tenantry_organization"
    __table_args__ = _NEVER_AGAIN

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Membership(db.Model):  # type: ignore[misc,name-defined]  # see above
    """Somebody's place in an organization."""

    __tablename__ = "tenantry_membership"
    __table_args__ = (UniqueConstraint("organization_id", "user_id"), _NEVER_AGAIN)

    id: Mapped[int] = mapped_column(primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("tenantry_organization.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("tenantry_user.id", ondelete="CASCADE"), index=True)
    role: Mapped[str] = mapped_column(String(10), default="member")
    created_at: Mapped[datetime]


class Project(db.Model):  # type: ignore[misc,name-defined]  # see above
    """Something that an organization works on."""

    __tablename__ = "project"
    __table_args__ = (UniqueConstraint("organization_id", "id"), _NEVER_AGAIN)

    id: Mapped[int] = mapped_column(primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("tenantry_organization.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(Text, default="")
    archived_at: Mapped[datetime | None]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("tenantry_user.id", ondelete="SET NULL"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Task(db.Model):  # type: ignore[misc,name-defined]  # see above
    """Something to be done in a project."""

    __tablename__ = "task"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "project_id"], ["project.organization_id", "project.id"], ondelete="CASCADE"
        ),
        UniqueConstraint("organization_id", "id"),
        Index("ix_task_project_id_state", "project_id", "state"),
        Index("ix_task_assignee_id", "assignee_id"),
        _NEVER_AGAIN,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("tenantry_organization.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[int]
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(String(10), default="todo")
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("tenantry_user.id", ondelete="SET NULL"))
    due_on: Mapped[date | None]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("tenantry_user.id", ondelete="SET NULL"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    def to_dict(self) -> dict[str, Any]:
        """Return it as it is answered; the database keeps moments in UTC."""
        found = {name: getattr(self, name) for name in TASK_FIELDS}
        return {
            **found,
            "due_on": self.due_on.isoformat() if self.due_on else None,
            "created_at": f"{self.created_at.isoformat()}Z",
            "updated_at": f"{self.updated_at.isoformat()}Z",
        }
