"""Organizations, and who belongs to them. Times are in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column, relationship

from ..db import Model
from ..times import now
from ..users.models import User
from .scope import OrganizationOwned, Scoped

_NEVER_AGAIN = {"sqlite_autoincrement": True}


class Organization(Scoped, Model):
    """A group of people who own things together, within one workspace."""

    write_role = "owner"
    __tablename__ = "tenantry_organization"
    __table_args__ = _NEVER_AGAIN

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)

    memberships: Mapped[list[Membership]] = relationship(
        back_populates="organization", cascade="all, delete-orphan", passive_deletes=True
    )

    @classmethod
    def scope_column(cls) -> InstrumentedAttribute[Any]:
        return cls.id


class Membership(OrganizationOwned, Model):
    """Somebody's place in an organization, which anybody may give up."""

    write_role = "viewer"
    __tablename__ = "tenantry_membership"
    __table_args__ = (UniqueConstraint("organization_id", "user_id"), _NEVER_AGAIN)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("tenantry_user.id", ondelete="CASCADE"), index=True)
    role: Mapped[str] = mapped_column(String(10), default="member")
    created_at: Mapped[datetime] = mapped_column(default=now)

    organization: Mapped[Organization] = relationship(back_populates="memberships")
    user: Mapped[User] = relationship()
