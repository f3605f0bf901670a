"""The session of a unit of work: what it is asked for is narrowed to what the one who asks may see.

Overridden are the three methods by which every statement of the ORM goes, lazy loads and ``session.query`` included. A
listener (``do_orm_execute``) would see the same, but SQLAlchemy goes over every statement twice for one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from .errors import UnfilteredQuery
from .scope_guard import UNSCOPED


class Narrowing:
    """What is done to statements. Without organizations, nothing: then no table has rows of theirs."""

    def filter_named(self, statement: Any) -> Any:
        """Return the statement, with filters where it says itself that it is about organizations' rows."""
        return statement

    def filter_all(self, statement: Any) -> Any:
        """Return the statement with all filters, as the guard has found it to reach into organizations' rows."""
        return statement


class FilteredSession(Session):
    """SQLAlchemy's session, filtered. Its ``narrowing`` is put in where organizations are imported."""

    narrowing = Narrowing()

    def execute(self, statement: Any, params: Any = None, **options: Any) -> Any:
        """SQLAlchemy's, filtered."""
        return self._send(super().execute, statement, params, options)

    def scalar(self, statement: Any, params: Any = None, **options: Any) -> Any:
        """SQLAlchemy's, filtered."""
        return self._send(super().scalar, statement, params, options)

    def scalars(self, statement: Any, params: Any = None, **options: Any) -> Any:
        """SQLAlchemy's, filtered."""
        return self._send(super().scalars, statement, params, options)

    def _send(self, send: Callable[..., Any], statement: Any, params: Any, options: dict[str, Any]) -> Any:
        if UNSCOPED in (options.get("execution_options") or ()):
            return send(statement, params, **options)
        try:
            return send(self.narrowing.filter_named(statement), params, **options)
        except UnfilteredQuery:
            return send(self.narrowing.filter_all(statement), params, **options)

    def get(self, entity: Any, ident: Any, **options: Any) -> Any:
        """SQLAlchemy's, but what was loaded before, by a statement that said why, is not found without a word."""
        found = super().get(entity, ident, **options)
        if found is None or UNSCOPED in (options.get("execution_options") or ()):
            return found
        is_seen = getattr(found, "is_seen", None)
        return found if is_seen is None or is_seen() else None
