"""What lists of projects show: of each, how many tasks are open; of many, the first few, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, func, select

from tenantry import db
from tenantry.organizations import Organization

from .models import Project, Task

#: Most projects of each organization on the page of all.
AT_A_GLANCE = 12


class Counts(NamedTuple):
    """How many projects an organization has, of those that are worked on, and of those that are not any more."""

    open: int = 0
    archived: int = 0


def counts_of(organization_ids: Sequence[int]) -> dict[int, Counts]:
    """Return how many projects organizations have, by their ids."""
    is_archived = Project.archived_at.is_not(None)
    chosen = (
        select(
            Project.organization_id,
            func.count(Project.id).filter(~is_archived),
            func.count(Project.id).filter(is_archived),
        )
        .where(Project.organization_id.in_(organization_ids))
        .group_by(Project.organization_id)
    )
    found = {row[0]: Counts(row[1], row[2]) for row in db.session.execute(chosen)}
    return {each: found.get(each, Counts()) for each in organization_ids}


def projects_of(organization: Organization, *, is_archived: bool | None = None) -> Select[Any]:
    """Select of an organization's projects, each with how many of its tasks are open; archived ones come last.

    :param is_archived: whether it is about those that are archived, or the others; both if it is left out.
    """
    chosen = _with_open_tasks().where(Project.organization_id == organization.id)
    if is_archived is not None:
        chosen = chosen.where(Project.archived_at.is_not(None) if is_archived else Project.archived_at.is_(None))
    return chosen.order_by(Project.archived_at.is_not(None), Project.name, Project.id)


def at_a_glance(organization_ids: Sequence[int]) -> dict[int, list[Any]]:
    """Return the first projects of organizations that are worked on, by the organizations' ids."""
    place = func.row_number().over(partition_by=Project.organization_id, order_by=(Project.name, Project.id))
    placed = (
        select(Project.id, place.label("place"))
        .where(Project.organization_id.in_(organization_ids), Project.archived_at.is_(None))
        .subquery()
    )
    chosen = _with_open_tasks().join(placed, placed.c.id == Project.id).where(placed.c.place <= AT_A_GLANCE)
    found: dict[int, list[Any]] = {each: [] for each in organization_ids}
    for row in db.session.execute(chosen.order_by(Project.name, Project.id)):
        found[row[0].organization_id].append(row)
    return found


def _with_open_tasks() -> Select[Any]:
    count = select(func.count(Task.id)).where(Task.project_id == Project.id, Task.state != "done").scalar_subquery()
    return select(Project, count)
