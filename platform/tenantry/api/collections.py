"""Collections: lists of which parts can be asked for, filtered and sorted by declared names only, or all as a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from flask import Response
from pydantic import BaseModel, Field, create_model
from sqlalchemy import ColumnElement, Row, Select, String, func

from .. import db
from .pagination import Key, PartQuery, paginate
from .results import ApiResult
from .schemas import Schema
from .streaming import stream_csv, stream_jsonl

#: Rows that are fetched, and written, at a time.
_AT_A_TIME = 500


def caseless(column: Key) -> ColumnElement[str]:
    """Return what sorts by a text whatever its case: ``sorts={"title": caseless(Note.title)}``."""
    return func.lower(column, type_=String)


@dataclass(frozen=True)
class Filter:
    """A parameter by which a list can be narrowed.

    :param kind: what it takes: a type that pydantic knows.
    :param condition: makes of its value what rows have to fulfil.
    :param description: what it does, for the document.
    """

    kind: Any
    condition: Callable[[Any], ColumnElement[bool]]
    description: str


@dataclass(frozen=True)
class Collection:
    """A list of things, as the API has it.

    :param schema: what an item is answered as.
    :param filters: by name, how it can be narrowed.
    :param sorts: by name, what it can be sorted by; none of it may be NULL.
    :param sort: how it is sorted where nothing is asked for; ``-`` before the name for the other direction.
    """

    name: str
    schema: type[BaseModel]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    sorts: Mapping[str, Key] = field(default_factory=dict)
    sort: str = "id"

    @cached_property
    def query(self) -> type[PartQuery]:
        """The parameters of a part of it."""
        return create_model(f"{self.schema.__name__}Query", __base__=PartQuery, **self._fields)

    @cached_property
    def whole_query(self) -> type[Schema]:
        """The parameters of all of it, as a file."""
        return create_model(f"{self.schema.__name__}ExportQuery", __base__=Schema, **self._fields)

    @cached_property
    def _fields(self) -> dict[str, Any]:
        names = tuple(name for each in self.sorts for name in (each, f"-{each}"))
        sort = (Literal[names], Field(self.sort, description="What to sort by; with a dash, the other way round."))
        found = {
            name: (each.kind | None, Field(None, description=each.description)) for name, each in self.filters.items()
        }
        return {**found, "sort": sort}

    def narrowed(self, statement: Select[Any], query: BaseModel) -> Select[Any]:
        """Return a select of what the parameters leave."""
        asked = ((each, getattr(query, name)) for name, each in self.filters.items())
        conditions = [each.condition(value) for each, value in asked if value is not None]
        return statement.where(*conditions) if conditions else statement

    def part(self, statement: Select[Any], query: Any) -> ApiResult:
        """Return the part that is asked for."""
        return paginate(self.narrowed(statement, query), self.schema, query=query, sorts=self.sorts, sort=query.sort)

    def whole(self, statement: Select[Any], query: Any, form: Literal["csv", "jsonl"]) -> Response:
        """Return all of it as a file that is written while it is read: its length costs no memory."""
        by = self.sorts[query.sort.removeprefix("-")]
        key = statement.selected_columns["id"]
        down = query.sort.startswith("-")
        chosen = self.narrowed(statement, query).order_by(*(each.desc() if down else each.asc() for each in (by, key)))
        stream = stream_csv if form == "csv" else stream_jsonl
        return stream(lambda: _rows(chosen), self.schema, f"{self.name}.{form}")


def _rows(statement: Select[Any]) -> Iterator[Sequence[Row[Any]]]:
    return db.session.execute(statement.execution_options(yield_per=_AT_A_TIME)).partitions()
