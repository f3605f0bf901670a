"""What has happened in a workspace: written with the change itself, and seen by those whom the change concerns."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, String, delete
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from . import db
from .organizations import Scoped
from .organizations.scope import MY_ORGANIZATIONS, unscoped
from .times import now
from .users.current import current_user

#: How long it is known what has happened.
KEPT_FOR = timedelta(days=365)


class Event(Scoped, db.Model):
    """One thing that happened.

    :ivar kind: what it happened to, and what: ``task.created``.
    :ivar subject_id: the id of what it happened to, which may be gone by now.
    :ivar title: what that was called.
    :ivar organization_id: whose it was; ``None`` for what everybody in the workspace may know.
    :ivar user_id: who did it, ``None`` for Tenantry itself, or once that account is gone.
    """

    write_role = "viewer"
    __tablename__ = "tenantry_event"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  # as SQLAlchemy has it

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[int]
    title: Mapped[str] = mapped_column(String(200))
    organization_id: Mapped[int | None] = mapped_column(
        ForeignKey("tenantry_organization.id", ondelete="CASCADE"), index=True
    )
    user_id: Mapped[int | None] = mapped_column(ForeignKey("tenantry_user.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)

    @classmethod
    def scope_column(cls) -> InstrumentedAttribute[Any]:
        return cls.organization_id

    @classmethod
    def scope(cls) -> ColumnElement[bool]:
        return cls.organization_id.in_(MY_ORGANIZATIONS) | cls.organization_id.is_(None)


def record(kind: str, subject_id: int, title: str, organization_id: int | None = None) -> Event:
    """Note that something has happened, with what is being written.

    :param kind: what it happened to, and what: ``task.created``.
    :param organization_id: whose it is; left out for what everybody in the workspace may know.
    """
    event = Event(
        kind=kind,
        subject_id=subject_id,
        title=title[:200],
        organization_id=organization_id,
        user_id=current_user.id or None,
    )
    db.session.add(event)
    db.session.execute(
        unscoped(delete(Event).where(Event.created_at < now() - KEPT_FOR), "what is old goes, whosever it was")
    )
    return event
