"""Whose a row is: the base of models that belong to organizations, and the filter by which they are seen."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, TypeVar

from flask import has_request_context
from flask.globals import app_ctx
from sqlalchemy import (
    Column,
    ColumnElement,
    Executable,
    ForeignKey,
    Integer,
    MetaData,
    Select,
    Table,
    bindparam,
    event,
    select,
)
from sqlalchemy.orm import (
    InstrumentedAttribute,
    LoaderCriteriaOption,
    Mapped,
    Mapper,
    mapped_column,
    with_loader_criteria,
)

from .. import db
from ..errors import NoReason
from ..scope_guard import MINE, UNSCOPED, add_table
from ..users.current import find

E = TypeVar("E", bound=Executable)

#: The roles in an organization, each of which may do what those before it may: read; work; look after it.
ORGANIZATION_ROLES = ("viewer", "member", "owner")

#: By which the filter reads memberships: without the model, as that is filtered itself.
_MINE = Table(
    "tenantry_membership", MetaData(), Column("organization_id", Integer), Column("user_id", Integer), Column("role")
).alias(MINE)


#: Name of who asks, as a parameter: one by which nobody can give another value.
_ASKER = f"asker_{secrets.token_hex(8)}"


def _asker_id() -> int:
    """Return who asks; it was found before the statement was made ready."""
    return find().id


#: The organizations of the one who asks. Who that is, is put in at each execution.
MY_ORGANIZATIONS = select(_MINE.c.organization_id).where(
    _MINE.c.user_id == bindparam(_ASKER, callable_=_asker_id, type_=Integer)
)


class Scoped:
    """Base of all models whose rows belong to an organization, in one way or another.

    A subclass names the column by which that is known in :meth:`scope_column`.

    :cvar write_role: the role that somebody must have in an organization to write its rows, at the least.
    """

    write_role: ClassVar[str] = "member"

    @classmethod
    def scope_column(cls) -> InstrumentedAttribute[Any]:
        """Return the column that holds the organization's id."""
        raise NotImplementedError

    @classmethod
    def scope(cls) -> ColumnElement[bool]:
        """Return the condition of what the one who asks may see."""
        return cls.scope_column().in_(MY_ORGANIZATIONS)

    @classmethod
    def write_scope(cls) -> ColumnElement[bool]:
        """Return the condition of what the one who asks may change and delete."""
        roles = ORGANIZATION_ROLES[ORGANIZATION_ROLES.index(cls.write_role) :]
        return cls.scope_column().in_(MY_ORGANIZATIONS.where(_MINE.c.role.in_(roles)))

    def is_seen(self) -> bool:
        """Whether the one who asks may see this row."""
        organization_id = getattr(self, type(self).scope_column().key)
        return organization_id is None or organization_id in get_available_organizations()

    @classmethod
    def unscoped(cls, reason: str = "") -> Select[Self]:
        """Return a select of the rows of all organizations.

        :param reason: why that has to be; it may be left out only outside a request.
        :raises NoReason: if it is left out within one.
        """
        return unscoped(select(cls), reason)


@event.listens_for(Mapper, "after_mapper_constructed")
def _guard_model(mapper: Mapper[Any], model: type[Any]) -> None:
    """Filter and guard a model once it has a table, in whatever way it was given one."""
    if issubclass(model, Scoped) and (mapper.inherits is None or mapper.local_table is not mapper.inherits.local_table):
        add_table(mapper.local_table.name, model.scope_column().key)  # type: ignore[attr-defined]  # it is a table
        CRITERIA[model] = _criterion(model, lambda entity: entity.scope(), False)
        CRITERIA_ALONG[model] = _criterion(model, lambda entity: entity.scope(), True)
        if model.write_role != ORGANIZATION_ROLES[0]:
            CRITERIA_OF_WRITING[model] = _criterion(model, lambda entity: entity.write_scope(), False)


#: By model, what filters it where a statement names it; also where it is loaded along with others; and where rows are
#: changed or deleted at once.
CRITERIA: dict[type[Scoped], LoaderCriteriaOption] = {}
CRITERIA_ALONG: dict[type[Scoped], LoaderCriteriaOption] = {}
CRITERIA_OF_WRITING: dict[type[Scoped], LoaderCriteriaOption] = {}


def _criterion(
    model: type[Scoped], scope: Callable[[type[Scoped]], ColumnElement[bool]], along: bool
) -> LoaderCriteriaOption:
    return with_loader_criteria(
        model,
        scope,
        include_aliases=True,  # so that it holds for the same table under another name
        propagate_to_loaders=along,  # what is loaded later comes this way by itself, and needs none of before
        track_closure_variables=False,
    )


class OrganizationOwned(Scoped):
    """Base of models whose rows belong to one organization each: ``class Project(OrganizationOwned, db.Model)``.

    :ivar organization_id: whose it is. It never changes.
    """

    organization_id: Mapped[int] = mapped_column(ForeignKey("tenantry_organization.id", ondelete="CASCADE"), index=True)

    @classmethod
    def scope_column(cls) -> InstrumentedAttribute[Any]:
        return cls.organization_id


def unscoped(statement: E, reason: str = "") -> E:
    """Return a statement that reaches the rows of all organizations.

    :param reason: why that has to be; it may be left out only outside a request.
    :raises NoReason: if it is left out within one.
    """
    if not reason and has_request_context():
        raise NoReason()
    return statement.execution_options(**{UNSCOPED: reason or "outside a request"})


def get_available_organizations() -> Mapping[int, str]:
    """Return the ids of the organizations of the one who asks, each with their role there; looked up once.

    Nobody has none, and neither has a job or a command: there, what is unscoped needs no reason.
    """
    user = find()
    known: tuple[int, dict[int, str]] | None = getattr(app_ctx, "_tenantry_organizations", None)
    if known is None or known[0] != user.id:
        mine = select(_MINE.c.organization_id, _MINE.c.role).where(_MINE.c.user_id == user.id)
        rows = db.session.execute(unscoped(mine, "where the one who asks belongs")) if user.id else ()
        known = (user.id, {row.organization_id: row.role for row in rows})
        app_ctx._tenantry_organizations = known  # type: ignore[attr-defined]  # ours, and not in g, the application's
    return known[1]


def forget_available_organizations() -> None:
    """Look them up anew when they are asked for next: somebody's membership has changed."""
    app_ctx._tenantry_organizations = None  # type: ignore[attr-defined]  # as above
