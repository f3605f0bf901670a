"""Plain values as text and back: JSON with Flask's tags. Reading it runs no code, and gives what was written.

Flask's own serializer, made for sessions, keeps a moment to the second and in UTC, and lets what it does not know
become something else. This one has a tag for each kind that it takes, and refuses the others.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

from flask.json.tag import (
    JSONTag,
    PassDict,
    PassList,
    TagBytes,
    TagDict,
    TaggedJSONSerializer,
    TagMarkup,
    TagTuple,
    TagUUID,
)
from markupsafe import Markup

_KINDS = frozenset((str, int, float, bool, type(None), bytes, Decimal, UUID, date, datetime, Markup, list, tuple, dict))
_EXPECTED = "text, numbers, dates, UUIDs, bytes, None, and lists, tuples and dictionaries of these"


class _TagDateTime(JSONTag):
    """A moment, to the microsecond. A zone becomes its offset from UTC."""

    key = " d"

    def check(self, value: Any) -> bool:
        return type(value) is datetime

    def to_json(self, value: Any) -> Any:
        return value.isoformat()

    def to_python(self, value: Any) -> Any:
        return datetime.fromisoformat(value)


class _TagDate(JSONTag):
    key = " da"

    def check(self, value: Any) -> bool:
        return type(value) is date

    def to_json(self, value: Any) -> Any:
        return value.isoformat()

    def to_python(self, value: Any) -> Any:
        return date.fromisoformat(value)


class _TagDecimal(JSONTag):
    key = " n"

    def check(self, value: Any) -> bool:
        return type(value) is Decimal

    def to_json(self, value: Any) -> Any:
        return str(value)

    def to_python(self, value: Any) -> Any:
        return Decimal(value)


class _PlainValues(TaggedJSONSerializer):
    default_tags = [  # noqa: RUF012  # Flask's, which declares it so
        TagDict,
        PassDict,
        TagTuple,
        PassList,
        TagBytes,
        TagMarkup,
        TagUUID,
        _TagDateTime,
        _TagDate,
        _TagDecimal,
    ]

    def tag(self, value: Any) -> Any:
        if type(value) not in _KINDS:  # its own type, as a subclass would come back as something else
            raise TypeError(
                f"{type(value).__qualname__!r} is not a plain value; expected {_EXPECTED}. "
                "Use what it is made of, such as its id or its columns."
            )
        if type(value) is dict:
            for key in value:
                if type(key) is not str:
                    raise TypeError(f"{key!r} is a key of a dictionary; expected text, as JSON has no other keys.")
        return super().tag(value)


_VALUES = _PlainValues()


def write(value: Any) -> bytes:
    """Return a plain value as text.

    :raises TypeError: if something in it is not plain, or it is nested too deeply.
    """
    return _write(value, sort_keys=False)


def read(text: bytes) -> Any:
    """Return the value of a text that :func:`write` has made.

    :raises ValueError: if it is no such text.
    """
    try:
        return _VALUES._untag_scan(json.loads(text))
    except (AttributeError, ArithmeticError, LookupError, RecursionError, TypeError) as error:  # as of a tag's contents
        raise ValueError(f"It is no text of plain values ({type(error).__name__}: {error}).") from None


def digest(value: Any) -> bytes:
    """Return 32 bytes that no other plain value has (SHA-256 of its text)."""
    return sha256(_write(value, sort_keys=True)).digest()


def _write(value: Any, sort_keys: bool) -> bytes:
    try:
        # Not by Flask's dumps, which asks the current app what to do with strangers.
        return json.dumps(_VALUES.tag(value), separators=(",", ":"), sort_keys=sort_keys).encode("ascii")
    except (RecursionError, ValueError):
        raise TypeError("The value is nested too deeply, or has a number of too many digits.") from None
