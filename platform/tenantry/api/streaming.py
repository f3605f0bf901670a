"""Answers that are written while the database is read, some rows at a time, with the context kept until the end."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from functools import cache
from typing import Any

from flask import Response, current_app, stream_with_context
from pydantic import BaseModel, TypeAdapter
from sqlalchemy import Row

Parts = Callable[[], Iterable[Sequence[Any]]]
#: What makes a spreadsheet take a cell for a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def stream_csv(read: Parts, schema: type[BaseModel], filename: str) -> Response:
    """Return rows as a CSV file (RFC 4180, UTF-8), with a line of the schema's names on top.

    A text that a spreadsheet would take for a formula has an apostrophe before it.

    :param read: returns the rows, some at a time. It is called while the answer is sent: what was read from the
        database before that is gone by then, as the view's own work has ended.
    """
    return _stream(_csv(read, schema), "text/csv; charset=utf-8; header=present", filename)


def stream_jsonl(read: Parts, schema: type[BaseModel], filename: str) -> Response:
    """Return rows as JSON lines: an object in each, as the API has it.

    :param read: returns the rows, some at a time: see :func:`stream_csv`.
    """
    return _stream(_jsonl(read, schema), "application/jsonl", filename)


def _stream(chunks: Iterator[bytes], media_type: str, filename: str) -> Response:
    response = current_app.response_class(stream_with_context(chunks), content_type=media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def _csv(read: Parts, schema: type[BaseModel]) -> Iterator[bytes]:
    names = tuple(schema.model_fields)
    yield _lines([names])
    for rows in read():
        items = _adapter(schema).validate_python([_plain(row) for row in rows])
        yield _lines([_cell(getattr(item, name)) for name in names] for item in items)


def _lines(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, date):  # and a moment, which is one, too, and as JSON has it
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _jsonl(read: Parts, schema: type[BaseModel]) -> Iterator[bytes]:
    for rows in read():
        items = _adapter(schema).validate_python([_plain(row) for row in rows])
        yield b"".join(item.model_dump_json().encode() + b"\n" for item in items)


def _plain(row: Any) -> Any:
    """Return the object of a row of one; else the row, whose columns are by name, or whatever it is."""
    return row[0] if isinstance(row, Row) and len(row) == 1 else row


@cache
def _adapter(schema: type[BaseModel]) -> TypeAdapter[Any]:
    return TypeAdapter(list[schema])  # type: ignore[valid-type]  # made at run time
