"""Filters that several collections have."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from sqlalchemy.orm import InstrumentedAttribute

from tenantry.api import Filter, Line, SentId

Column = InstrumentedAttribute[Any]


def containing(column: Column) -> Filter:
    """Return a filter by a part of a text, whatever its case."""
    return Filter(
        Annotated[Line, Field(max_length=100)],
        lambda words: column.icontains(words, autoescape=True),
        f"Those whose {column.key} has this in it.",
    )


def equal(column: Column, kind: Any = SentId) -> Filter:
    """Return a filter by the value of a column."""
    return Filter(kind, lambda value: column == value, f"Those with this {column.key}.")
