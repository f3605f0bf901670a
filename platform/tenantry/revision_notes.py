"""What a tenant's database notes of each revision that was applied to it.

Code that is older than the tables does not have their revisions, so it cannot know whether it may use them. The notes
say so: each whether it only added to the tables, and which ones it follows, back to those that the code knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, DateTime, String, Text, delete, insert
from sqlalchemy.orm import Mapped, mapped_column

from .db import Model
from .times import now

#: Plain SQL, as it is also asked without SQLAlchemy.
QUERY = "SELECT revision, follows, additive FROM tenantry_revision"


class RevisionRow(Model):
    """A revision that was applied."""

    __tablename__ = "tenantry_revision"

    revision: Mapped[str] = mapped_column(String(200), primary_key=True)
    follows: Mapped[str] = mapped_column(Text)  # the revisions that it needs, parted by spaces
    additive: Mapped[bool] = mapped_column()
    applied_at: Mapped[datetime] = mapped_column(DateTime)


@dataclass(frozen=True, slots=True)
class RevisionNote:
    """What is noted of one revision."""

    follows: tuple[str, ...]
    additive: bool


def write(connection: Connection, notes: Mapping[str, RevisionNote]) -> None:
    """Note revisions, in the transaction that applies them."""
    at = now()
    connection.execute(delete(RevisionRow).where(RevisionRow.revision.in_(notes)))  # one may have been taken back
    rows = [
        {"revision": name, "follows": " ".join(note.follows), "additive": note.additive, "applied_at": at}
        for name, note in notes.items()
    ]
    connection.execute(insert(RevisionRow), rows)


def read(rows: Iterable[Any]) -> dict[str, RevisionNote]:
    """Return the notes by revision, of the rows that :data:`QUERY` gives."""
    return {name: RevisionNote(tuple(follows.split()), bool(additive)) for name, follows, additive in rows}


def may_be_used(
    found: Iterable[str], notes: Mapping[str, RevisionNote], known: Iterable[str], heads: Iterable[str]
) -> bool:
    """Whether code can use tables that are newer than it: every revision that it does not know only added to them.

    :param found: the newest revisions of the tables.
    :param known: the revisions that the code has.
    :param heads: the newest of those, all of which must have been applied.
    """
    ours, reached, ahead = set(known), set(), list(found)
    while ahead:
        revision = ahead.pop()
        if revision in reached:
            continue
        reached.add(revision)
        if revision not in ours:
            note = notes.get(revision)
            if note is None or not note.additive:
                return False
            ahead.extend(note.follows)
    return set(heads) <= reached
