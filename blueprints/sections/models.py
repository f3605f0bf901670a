"""The pages of a tenant's sections, and what they said before. Times are in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, WriteOnlyMapped, mapped_column, relationship

from tenantry import current_user, db
from tenantry.times import now


class Page(db.Model):
    """A page: Markdown under a section and a slug. It always has at least one revision.

    What code makes is published, unless it says ``published_at=None``.

    :ivar revision: number of the newest revision, whose text is the page's.
    :ivar published_at: since when it is for everybody; ``None`` while it is a draft, for staff only.
    """

    __tablename__ = "page"
    #: SQLite would give a deleted page's id to the next one, and forms that are still open name their page by it.
    __table_args__ = (UniqueConstraint("section", "slug"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    section: Mapped[str] = mapped_column(String(64))
    slug: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text, default="")
    position: Mapped[int] = mapped_column(Integer, default=0)
    revision: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    published_at: Mapped[datetime | None] = mapped_column(DateTime)
    created_at: Mapped[datetime] = mapped_column(DateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(DateTime, default=now, onupdate=now)
    revisions: WriteOnlyMapped[Revision] = relationship(cascade="all, delete-orphan", passive_deletes=True)

    def __init__(self, note: str = "", **values: Any) -> None:
        super().__init__(**{"body": "", "revision": 1, "published_at": now(), **values})
        self._remember(note)

    def revise(self, *, slug: str, title: str, body: str, note: str = "") -> bool:
        """Take up a change as a new revision. Return whether it was one."""
        if self.says(slug=slug, title=title, body=body):
            return False
        self.slug, self.title, self.body = slug, title, body
        self.revision += 1
        self._remember(note)
        return True

    def says(self, *, slug: str, title: str, body: str) -> bool:
        """Whether it says this already: space around the text is no difference."""
        return (slug, title, body.strip()) == (self.slug, self.title, self.body.strip())

    def _remember(self, note: str) -> None:
        self.revisions.add(
            Revision(
                number=self.revision,
                slug=self.slug,
                title=self.title,
                body=self.body,
                note=note,
                user_id=current_user.id or None,
            )
        )


class Revision(db.Model):
    """What a page said once: never changed, and deleted with its page.

    :ivar number: 1 for a page's first one, and so on.
    :ivar user_id: who wrote it, ``None`` for Tenantry itself, or once that account is gone.
    :ivar note: what was changed, in the writer's words.
    """

    __tablename__ = "page_revision"
    __table_args__ = (UniqueConstraint("page_id", "number"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    page_id: Mapped[int] = mapped_column(ForeignKey("page.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(Integer)
    slug: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(String(200), default="")
    user_id: Mapped[int | None] = mapped_column(ForeignKey("tenantry_user.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(DateTime, default=now)
