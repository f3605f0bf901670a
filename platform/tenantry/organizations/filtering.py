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
    if state.is_column_load:  # the rest of a row that was seen already
        state.update_execution_options(**{KNOWN_ROW: True})
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
        return state.invoke_statement(state.statement.options(*CRITERIA_ALONG.values()))


def _seen_in(statement: Any) -> Iterator[ORMOption]:
    tables = {each.name for each in visitors.iterate(statement) if isinstance(each, Table)}
    return (option for model, option in CRITERIA.items() if model.__tablename__ in tables)  # type: ignore[attr-defined]


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
    history = inspect(row).attrs[row.scope_column().key].history
    for organization_id in {*history.added, *history.unchanged, *history.deleted}:
        if organization_id is not None and not _may_write(organization_id):
            raise ForeignOrganization(type(row).__name__, organization_id)


def _may_write(organization_id: int) -> bool:
    return organization_id in get_available_organizations() or organization_id in getattr(
        app_ctx, "_tenantry_acting_for", ()
    )


def _end_flush(session: Session, context: object) -> None:
    session.connection().info[FLUSHING] = False
    if any(isinstance(each, Membership) for each in (*session.new, *session.dirty, *session.deleted)):
        forget_available_organizations()


def _undo_flush(session: Session, previous: object) -> None:
    bind = session.get_bind()
    if not bind.closed:  # type: ignore[union-attr]  # a unit of work's session is bound to its connection
        bind.info[FLUSHING] = False  # type: ignore[union-attr]  # as above


event.listen(TenantSession, "do_orm_execute", _filter)
event.listen(TenantSession, "before_flush", _check_writes)
event.listen(TenantSession, "after_flush", _end_flush)
event.listen(TenantSession, "after_soft_rollback", _undo_flush)
