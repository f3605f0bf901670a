"""How the filter comes into every query of a session, and how what is written is checked.

A statement gets the filters of the models that are seen in it. What stands deeper, as in a subquery or an eager load,
is seen by :mod:`tenantry.scope_guard` in the finished SQL, before it is sent; the statement then gets all filters, and
is made ready once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask import has_request_context
from flask.globals import app_ctx
from sqlalchemy import Table, event, inspect
from sqlalchemy.orm import Session
from sqlalchemy.orm.interfaces import ORMOption
from sqlalchemy.sql.expression import ColumnClause

from ..errors import ForeignOrganization, RoleTooLow
from ..filtered_session import FilteredSession, Narrowing
from ..scope_guard import FLUSHING, UNSCOPED
from ..users.current import find
from .managing import has_role, role_in
from .models import Membership, Organization
from .scope import (
    CRITERIA,
    CRITERIA_ALONG,
    CRITERIA_OF_WRITING,
    Scoped,
    forget_available_organizations,
)


class Filters(Narrowing):
    """Put into statements by :class:`tenantry.filtered_session.FilteredSession`."""

    def filter_named(self, statement: Any) -> Any:
        """Return the statement with the filters of the models that are seen in it, if its first one has one.

        Who asks is found now, and not while the statement is made ready, as that may need a statement itself.
        """
        subject = getattr(statement, "_propagate_attrs", _NOTHING).get("plugin_subject")  # only saves the second try
        if subject is None or getattr(subject, "class_", None) not in CRITERIA or _is_left_alone(statement):
            return statement
        find()
        return statement.options(*_seen_in(statement), *_of_writing(statement, subject.class_))

    def filter_all(self, statement: Any) -> Any:
        """Return the statement with the filters of all models, wherever they are loaded."""
        find()
        subject = getattr(statement, "_propagate_attrs", _NOTHING).get("plugin_subject")
        return statement.options(*CRITERIA_ALONG.values(), *_of_writing(statement, getattr(subject, "class_", None)))


_NOTHING: Mapping[str, Any] = {}


def _is_left_alone(statement: Any) -> bool:
    return statement.is_insert or UNSCOPED in statement.get_execution_options()


def _seen_in(statement: Any) -> Iterator[ORMOption]:
    tables = set(_tables_in(statement))
    return (option for model, option in tuple(CRITERIA.items()) if model.__table__.name in tables)  # type: ignore[attr-defined]


def _of_writing(statement: Any, model: Any) -> Iterator[ORMOption]:
    """Yield what filters the rows that are changed or deleted at once."""
    if (statement.is_update or statement.is_delete) and model in CRITERIA_OF_WRITING:
        yield CRITERIA_OF_WRITING[model]


def _tables_in(statement: Any) -> Iterator[str]:
    """Return the names of the tables in a statement. Most of what stands there is columns, which hold none."""
    waiting = [statement]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Table):
            yield each.name
        elif not isinstance(each, ColumnClause):
            waiting.extend(each.get_children())


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
        if organization_id is None or organization_id in getattr(app_ctx, "_tenantry_acting_for", ()):
            continue
        if not role_in(organization_id):
            raise ForeignOrganization(type(row).__name__, organization_id)
        if not has_role(organization_id, row.write_role):
            raise RoleTooLow(type(row).__name__, organization_id, role_in(organization_id), row.write_role)


def _end_flush(session: Session, context: object) -> None:
    """Look once more, at what relationships have put in, and see to what has changed with memberships."""
    session.connection().info[FLUSHING] = False
    if has_request_context():
        for each in (*session.new, *session.dirty):
            if isinstance(each, Scoped) and not isinstance(each, Organization):
                _check(each)
    if any(isinstance(each, Membership) for each in (*session.new, *session.dirty, *session.deleted)):
        forget_available_organizations()


def _end_failed_flush(session: Session, previous: object) -> None:
    """Raise the guard again where a flush was undone."""
    bind: Any = session.get_bind()
    if not bind.closed:
        bind.info[FLUSHING] = False


FilteredSession.narrowing = Filters()
event.listen(FilteredSession, "before_flush", _check_writes)
event.listen(FilteredSession, "after_flush", _end_flush)
event.listen(FilteredSession, "after_soft_rollback", _end_failed_flush)
