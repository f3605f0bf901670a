"""What the databases of the API's benchmark hold, the same on both sides: rows by table, as dictionaries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

#: A row, by column.
Row = dict[str, Any]
#: Fields of a task as the API answers them, in its order.
TASK_FIELDS = (
    "id",
    "organization_id",
    "project_id",
    "title",
    "description",
    "state",
    "assignee_id",
    "due_on",
    "created_by_id",
    "created_at",
    "updated_at",
)
#: Rows that are written at a time.
AT_A_TIME = 5_000
#: The one who asks is the first user, and belongs to the first organization only.
ASKER = 1
_STATES = ("todo", "doing", "done")
_BEGAN = datetime(2026, 1, 5, 8, 0, 0, 250_000)


@dataclass(frozen=True)
class Content:
    """How much there is.

    :ivar organizations: how many, to which the projects belong in turn.
    :ivar projects: of each project, how many tasks it has.
    """

    organizations: int
    projects: Sequence[int]

    def to_json(self) -> str:
        """Return it as an argument of a command."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Content:
        """Return what :meth:`to_json` has written."""
        return cls(**json.loads(text))

    def tables(self) -> Iterator[tuple[str, list[Row]]]:
        """Return the rows, a table after the other, in an order in which they can be written."""
        numbers = range(1, self.organizations + 1)
        yield "tenantry_user", [_user(number) for number in numbers]
        yield "tenantry_organization", [_organization(number) for number in numbers]
        yield "tenantry_membership", [_membership(number) for number in numbers]
        yield "project", [self._project(number) for number in range(1, len(self.projects) + 1)]
        rows = list(self._tasks())
        yield from (("task", rows[first : first + AT_A_TIME]) for first in range(0, len(rows), AT_A_TIME))

    def _project(self, number: int) -> Row:
        text = f"What project {number} is about."
        owner = self._organization_of(number)
        return {"id": number, "organization_id": owner, "name": f"Project {number}", "description": text, **_times(0)}

    def _tasks(self) -> Iterator[Row]:
        # The projects take turns, as they do in life, until the smaller ones have all of theirs.
        number = 0
        for turn in range(max(self.projects)):
            for project, count in enumerate(self.projects, 1):
                if turn < count:
                    number += 1
                    yield _task(number, project, self._organization_of(project))

    def _organization_of(self, project: int) -> int:
        return (project - 1) % self.organizations + 1


def token_row(digest: str) -> Row:
    """Return the row of the token of the one who asks, which does not end while anything is measured."""
    return {
        "id": 1,
        "user_id": ASKER,
        "name": "bench",
        "digest": digest,
        "scopes": "read write",
        "created_at": _BEGAN,
        "expires_at": _BEGAN + timedelta(days=36_500),
    }


def _times(minutes: int) -> Row:
    made = _BEGAN + timedelta(minutes=minutes, microseconds=minutes)
    return {"created_at": made, "updated_at": made + timedelta(hours=minutes % 97)}


def _user(number: int) -> Row:
    return {
        "id": number,
        "username": f"person{number}",
        "email": f"person{number}@example.com",
        "name": f"Person {number}",
        "about": "",
        "role": "member",
        "is_public": True,
        "created_at": _BEGAN,
        "activated_at": _BEGAN,
    }


def _organization(number: int) -> Row:
    return {"id": number, "name": f"Organization {number}", "description": "", **_times(0)}


def _membership(number: int) -> Row:
    return {"id": number, "organization_id": number, "user_id": number, "role": "owner", "created_at": _BEGAN}


def _task(number: int, project: int, organization: int) -> Row:
    words = f"This is task {number}, of project {project}: its description has a few words, as those of people have. "
    return {
        "id": number,
        "organization_id": organization,
        "project_id": project,
        "title": f"Task {number} <of {project}> & more",
        "description": words * (1 + number % 3),
        "state": _STATES[number % 3],
        "assignee_id": organization if number % 2 else None,
        "due_on": date(2026, 2, 1) + timedelta(days=number % 300) if number % 4 else None,
        "created_by_id": organization,
        **_times(number),
    }
