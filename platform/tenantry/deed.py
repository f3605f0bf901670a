"""The deed: the row by which a tenant's database says whose it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Connection, DateTime, String, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from .db import Model
from .times import now


class DeedRow(Model):
    """One row, written when the database is created."""

    __tablename__ = "tenantry_deed"
    __table_args__ = {"info": {"secret": True}}  # noqa: RUF012  # as SQLAlchemy has it

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(DateTime)


class FurnishedRow(Model):
    """A blueprint whose first content was written."""

    __tablename__ = "tenantry_furnished"
    __table_args__ = {"info": {"secret": True}}  # noqa: RUF012  # as above

    blueprint: Mapped[str] = mapped_column(String(200), primary_key=True)
    furnished_at: Mapped[datetime] = mapped_column(DateTime)


@dataclass(frozen=True, slots=True)
class Deed:
    """A tenant's identity, and the blueprints whose first content was written."""

    id: UUID
    furnished: frozenset[str]


def issue(connection: Connection) -> UUID:
    """Write a new deed into a new database, and return it."""
    deed = uuid4()
    connection.execute(insert(DeedRow).values(id=deed.hex, created_at=now()))
    return deed


def read(connection: Connection) -> Deed | None:
    """Return the deed of a database; ``None`` if it has none."""
    identity = connection.execute(select(DeedRow.id)).scalar()
    furnished = connection.execute(select(FurnishedRow.blueprint)).scalars()
    return Deed(UUID(identity), frozenset(furnished)) if identity else None


def replace(connection: Connection) -> UUID:
    """Write another deed in the place of the one that is there, and return it."""
    deed = uuid4()
    connection.execute(update(DeedRow).values(id=deed.hex))
    return deed


def mark_furnished(connection: Connection, blueprint: str) -> None:
    """Note that a blueprint's first content is there, in the same transaction that wrote it."""
    connection.execute(insert(FurnishedRow).values(blueprint=blueprint, furnished_at=now()))
