"""Long lists in parts: by number, or from where the last part ended, which stays right while rows come and go."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import Annotated, Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

from flask import request
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model
from sqlalchemy import ColumnElement, Select, func, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from .. import db
from .problems import ApiException
from .results import ApiResult
from .schemas import LARGEST_ID, WHOLE, Schema, read_query

T = TypeVar("T")
#: What lists are sorted by: a column, or an expression of columns. None of them may be NULL.
Key = ColumnElement[Any] | InstrumentedAttribute[Any]

LARGEST_PART, USUAL_PART, LAST_PAGE = 200, 50, 100_000
_KINDS: dict[type, TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in (int, str, datetime, date)}


class PartQuery(Schema):
    """Which part of a list is asked for."""

    limit: Annotated[int, Field(ge=1, le=LARGEST_PART), WHOLE] = Field(
        USUAL_PART, description="How many items at the most."
    )
    page: Annotated[int, Field(ge=1, le=LAST_PAGE), WHOLE] | None = Field(
        None, description="The number of the part, from 1."
    )
    cursor: str | None = Field(
        None,
        max_length=1000,
        pattern="^[A-Za-z0-9_-]+$",
        description="Where to go on, as `next` and `prev` of another part have it. Beside `page` it is not looked at.",
    )


class Part(Schema, Generic[T]):
    """A part of a list."""

    items: list[T] = Field(description="What is in this part.")
    count: int = Field(description="How many there are in all parts.")
    prev: str | None = Field(description="Address of the part before; null in the first.")
    next: str | None = Field(description="Address of the part after; null in the last.")


def paginate(
    statement: Select[*tuple[Any, ...]],
    schema: type[BaseModel],
    *,
    query: PartQuery | None = None,
    sorts: Mapping[str, Key] | None = None,
    sort: str = "",
) -> ApiResult:
    """Return the part of a list that the request asks for, with links to those before and after it.

    ::

        @bp.get("/notes/")
        def notes():
            return paginate(select(Note), NoteOut)

    :param statement: of all that may be seen: of one model, or of columns among which is ``id``.
    :param schema: what an item is answered as.
    :param query: what was asked for; read from the address where it is left out.
    :param sorts: by name, what the list can be sorted by; none of it may be NULL. By ``id`` where it is left out.
    :param sort: one of these names, with ``-`` before it for the other direction.
    :raises ApiException: 422 for parameters that do not fit, 400 for a cursor that is none of ours, 404 for a page
        after the last.
    """
    query = query or read_query(PartQuery)
    key = statement.selected_columns["id"]
    order = _Order((sorts or {}).get(sort.removeprefix("-"), key), key, sort)
    count = db.session.scalar(_counting(statement)) or 0
    part = _numbered(statement, query, order, count) if query.page else _after(statement, query, order)
    body = part_model_of(schema).model_validate(
        {"items": part.rows, "count": count, "prev": part.prev, "next": part.next}
    )
    links = [f'<{address}>; rel="{rel}"' for rel, address in (("prev", part.prev), ("next", part.next)) if address]
    return ApiResult(body, 200, {"Link": ", ".join(links)} if links else {})


@cache
def part_model_of(schema: type[BaseModel]) -> type[Part[Any]]:
    """Return the model of a part of a list, by that of an item."""
    base = Part[schema]  # type: ignore[valid-type]  # made at run time
    return create_model(f"{schema.__name__.removesuffix('Out')}Part", __base__=base, __doc__="A part of a list.")


class _Order:
    """By what a list is sorted, and by ``id`` among equals: the same way, so that a place in it is one comparison."""

    def __init__(self, by: Any, key: Any, sort: str) -> None:
        self.name = sort
        self.by, self.key = by, key
        self.is_descending = sort.startswith("-")

    def sorted(self, statement: Select[Any], backwards: bool = False) -> Select[Any]:
        down = self.is_descending is not backwards
        keys = (self.by,) if self.by is self.key else (self.by, self.key)
        return statement.order_by(*(each.desc() if down else each.asc() for each in keys))

    def beyond(self, statement: Select[Any], place: tuple[Any, int], backwards: bool) -> Select[Any]:
        down = self.is_descending is not backwards
        here, there = (self.key, place[1]) if self.by is self.key else (tuple_(self.by, self.key), tuple_(*place))
        return statement.where(here < there if down else here > there)


class _Part(NamedTuple):
    rows: Sequence[Any]
    prev: str | None
    next: str | None


#: Made once: a new one each time costs more than all else that is done to count.
_COUNT = func.count()


def _counting(statement: Select[Any]) -> Select[Any]:
    return statement.with_only_columns(_COUNT, maintain_column_froms=True).order_by(None)


def _numbered(statement: Select[Any], query: PartQuery, order: _Order, count: int) -> _Part:
    number = query.page or 1
    rows = _fetch(order.sorted(statement).limit(query.limit).offset((number - 1) * query.limit))
    if not rows and number > 1:
        raise ApiException(404, f"There is no page {number}; the last one is {max(1, -(-count // query.limit))}.")
    more = number * query.limit < count and number < LAST_PAGE
    return _Part(
        [_plain(row) for row in rows],
        _address(page=number - 1) if number > 1 else None,
        _address(page=number + 1) if more else None,
    )


def _after(statement: Select[Any], query: PartQuery, order: _Order) -> _Part:
    place, backwards = _read(query.cursor, order) if query.cursor else (None, False)
    chosen = order.sorted(statement if place is None else order.beyond(statement, place, backwards), backwards)
    found = _fetch(chosen.add_columns(order.by.label("sorted_by"), order.key.label("sorted_id")).limit(query.limit + 1))
    rows, more = found[: query.limit], len(found) > query.limit
    rows = rows[::-1] if backwards else rows
    has_prev, has_next = (more, True) if backwards else (place is not None, more)
    return _Part(
        [_plain(row, added=2) for row in rows],
        _address(cursor=_write(rows[0], order, backwards=True)) if rows and has_prev else None,
        _address(cursor=_write(rows[-1], order, backwards=False)) if rows and has_next else None,
    )


def _fetch(statement: Select[Any]) -> Sequence[Any]:
    return db.session.execute(statement).all()


def _plain(row: Any, added: int = 0) -> Any:
    """Return the object of a row that has one, beside what was added; else the row, whose columns are by name."""
    return row[0] if len(row) == 1 + added else row


def _write(row: Any, order: _Order, backwards: bool) -> str:
    value = row.sorted_by.isoformat() if isinstance(row.sorted_by, date) else row.sorted_by
    text = json.dumps([order.name, int(backwards), value, row.sorted_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(cursor: str, order: _Order) -> tuple[tuple[Any, int], bool]:
    """Return the place that a cursor names. It is nobody's secret, and read as what anybody might have made."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        sort, backwards, value, key = json.loads(base64.b64decode(padded, b"-_", validate=True))
        value = _kind_of(order.by).validate_strings(value) if isinstance(value, str) else value
        value = _kind_of(order.by).validate_python(value, strict=True)
        key = _KINDS[int].validate_python(key, strict=True)
    except (ValueError, TypeError, binascii.Error, ValidationError, RecursionError):
        raise ApiException(400, "The cursor is none of ours. Begin without one, and follow `next`.") from None
    if sort != order.name or backwards not in (0, 1) or abs(key) > LARGEST_ID or not _fits(value):
        raise ApiException(400, "The cursor is of a list that was sorted otherwise. Begin without one.")
    return (value, key), bool(backwards)


def _fits(value: Any) -> bool:
    return not isinstance(value, int) or abs(value) <= LARGEST_ID


def _kind_of(key: Any) -> TypeAdapter[Any]:
    return _KINDS[key.type.python_type]


def _address(**changed: Any) -> str:
    arguments = {name: value for name, value in request.args.items() if name not in ("page", "cursor")}
    return f"{request.base_url}?{urlencode({**arguments, **changed})}"
