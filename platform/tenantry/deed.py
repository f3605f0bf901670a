"""The deed: the row by which a tenant's database says whose it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy import Connection, DateTime, String, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from .db import Model


class DeedRow(Model):
    """One row, written when the database is created and never changed, but for the time of the first content."""

    __tablename__ = "tenantry_deed"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(DateTime)
    furnished_at: Mapped[datetime | None] = mapped_column(DateTime)


@dataclass(frozen=True, slots=True)
class Deed:
    """A tenant's identity, and whether its first content was written."""

    id: UUID
    furnished: bool


def issue(connection: Connection) -> UUID:
    """Write a new deed into a new database, and return it."""
    deed = uuid4()
    connection.execute(insert(DeedRow).values(id=deed.hex, created_at=_now(), furnished_at=None))
    return deed


def read(connection: Connection) -> Deed | None:
    """Return the deed of a database; ``None`` if it has none."""
    row = connection.execute(select(DeedRow.id, DeedRow.furnished_at)).first()
    return Deed(UUID(row.id), row.furnished_at is not None) if row else None


def replace(connection: Connection) -> UUID:
    """Write another deed in the place of the one that is there, and return it."""
    deed = uuid4()
    connection.execute(update(DeedRow).values(id=deed.hex))
    return deed


def mark_furnished(connection: Connection) -> None:
    """Note that the first content is there, in the same transaction that wrote it."""
    connection.execute(update(DeedRow).values(furnished_at=_now()))


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
