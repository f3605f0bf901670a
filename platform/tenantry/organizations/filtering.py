"""How the filter comes into every query of a session, and how what is written is checked.

A statement gets the filters of the models that are seen in it. What stands deeper, as in a subquery or an eager load,
is seen by :mod:`tenantry.scope_guard` in the finished SQL, before it is sent; the statement then gets all filters, and
is made ready once more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import has_request_context
from flask.globals import app_ctx
from sqlalchemy import Result, Table, event, inspect
from sqlalchemy.orm import ORMExecuteState, Session
from sqlalchemy.orm.interfaces import ORMOption
from sqlalchemy.sql import visitors

from ..db import TenantSession
from ..errors import ForeignOrganization, UnfilteredQuery
from ..scope_guard import FLUSHING, KNOWN_ROW, UNSCOPED
from ..users.current import find
from .models import Membership, Organization
from .scope import CRITERIA, CRITERIA_ALONG, Scoped, forget_available_organizations, get_available_organizations


def _filter(state: ORMExecuteState) -> Result[Any] | None:
    if state.is_insert or UNSCOPED in state.execution_options:
        return None
    if state.is_column_load:  # the rest of a row that was seen already, with what is loaded along
        own = state.bind_mapper.class_ if state.bind_mapper is not None else None
        state.update_execution_options(**{KNOWN_ROW: getattr(own, "__tablename__", "")})
        find()
        state.statement = state.statement.options(*(each for model, each in _along() if model is not own))
        return None
    mapper, statement = state.bind_mapper, state.statement
    if mapper is not None and mapper.class_ in CRITERIA:
        find()  # who asks, now: not while the statement is made ready, as that may need one itself
        statement = statement.options(*_seen_in(statement))
    try:
        return state.invoke_statement(statement)
    except UnfilteredQuery:
        if not state.is_orm_statement:
            raise
        find()
        return state.invoke_statement(state.statement.options(*(each for _, each in _along())))


def _along() -> tuple[tuple[type[Scoped], ORMOption], ...]:
    """Return what filters each model, wherever it is loaded."""
    return tuple(CRITERIA_ALONG.items())


def _seen_in(statement: Any) -> Iterator[ORMOption]:
    tables = {each.name for each in visitors.iterate(statement) if isinstance(each, Table)}
    return (option for model, option in tuple(CRITERIA.items()) if model.__tablename__ in tables)  # type: ignore[attr-defined]


def _check_writes(session: Session, context: object, instances: object) -> None:
    """Refuse to write what belongs to an organization of others. Outside a request nobody asks."""
    changed = [each for each in (*session.new, *session.dirty, *session.deleted) if isinstance(each, Scoped)]
    if changed and has_request_context():
        for each in changed:
            _check(each)
    session.connection().info[FLUSHING] = True


def _check(row: Scoped) -> None:
    if isinstance(row, Organization) and not inspect(row).persistent:
        return  # a new one is nobody's yet
    history = inspect(row).attrs[row.scope_column().key].load_history()
    for organization_id in {*history.added, *history.unchanged, *history.deleted}:
        if organization_id is not None and not _may_write(organization_id):
            raise ForeignOrganization(type(row).__name__, organization_id)


def _may_write(organization_id: int) -> bool:
    return organization_id in get_available_organizations() or organization_id in getattr(
        app_ctx, "_tenantry_acting_for", ()
    )


def _end_flush(session: Session, context: object) -> None:
    """Look once more, at what relationships have put in, and see to what has changed with memberships."""
    session.connection().info[FLUSHING] = False
    if has_request_context():
        for each in session.new:
            if isinstance(each, Scoped) and not isinstance(each, Organization):
                _check(each)
    if any(isinstance(each, Membership) for each in (*session.new, *session.dirty, *session.deleted)):
        forget_available_organizations()


event.listen(TenantSession, "do_orm_execute", _filter)
event.listen(TenantSession, "before_flush", _check_writes)
event.listen(TenantSession, "after_flush", _end_flush)
