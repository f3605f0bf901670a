"""Answers that are written while the database is read, some rows at a time, with the context kept until the end."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any

from flask import Response, current_app, stream_with_context
from pydantic import BaseModel, TypeAdapter

#: What makes a spreadsheet take a cell for a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def stream_csv(parts: Iterable[Sequence[Any]], schema: type[BaseModel], filename: str) -> Response:
    """Return rows as a CSV file (RFC 4180, UTF-8), with a line of the schema's names on top.

    A text that a spreadsheet would take for a formula has an apostrophe before it.

    :param parts: the rows, some at a time.
    """
    return _stream(_csv(parts, schema), "text/csv; charset=utf-8; header=present", filename)


def stream_jsonl(parts: Iterable[Sequence[Any]], schema: type[BaseModel], filename: str) -> Response:
    """Return rows as JSON lines: an object in each, as the API has it.

    :param parts: the rows, some at a time.
    """
    return _stream(_jsonl(parts, schema), "application/jsonl", filename)


def _stream(chunks: Iterator[bytes], media_type: str, filename: str) -> Response:
    response = current_app.response_class(stream_with_context(chunks), content_type=media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def _csv(parts: Iterable[Sequence[Any]], schema: type[BaseModel]) -> Iterator[bytes]:
    names = tuple(schema.model_fields)
    yield _lines([names])
    for rows in parts:
        items = _adapter(schema).validate_python([_plain(row) for row in rows])
        yield _lines([_cell(getattr(item, name)) for name in names] for item in items)


def _lines(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _jsonl(parts: Iterable[Sequence[Any]], schema: type[BaseModel]) -> Iterator[bytes]:
    for rows in parts:
        items = _adapter(schema).validate_python([_plain(row) for row in rows])
        yield b"".join(item.model_dump_json().encode() + b"\n" for item in items)


def _plain(row: Any) -> Any:
    return row[0] if len(row) == 1 else row


@cache
def _adapter(schema: type[BaseModel]) -> TypeAdapter[Any]:
    return TypeAdapter(list[schema])  # type: ignore[valid-type]  # made at run time
