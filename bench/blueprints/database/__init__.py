"""Tenantry's side of the database pages: the tenant's session, which is committed before the response leaves."""

from __future__ import annotations

from bench.database_views import DatabasePages, first_content
from tenantry import db, on_provision

from .models import Counter, Row

bp = DatabasePages(db.session, Row, Counter, commit=lambda: None).make_blueprint()


@on_provision(bp)
def write_first_content() -> None:
    """Fill the new tenant's tables."""
    db.session.add_all(first_content(Row, Counter))
