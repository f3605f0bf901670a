"""The tables, on Tenantry's base of models."""

from __future__ import annotations

from bench.database_views import CounterColumns, RowColumns
from tenantry import db


class Row(RowColumns, db.Model):
    """A row to read."""


class Counter(CounterColumns, db.Model):
    """A number that each writing request makes larger by one."""
