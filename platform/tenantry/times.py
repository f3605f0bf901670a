"""Moments as the database keeps them: in UTC, without a zone."""

from __future__ import annotations

from datetime import UTC, datetime

#: How a moment in UTC stands in the name of a file.
IN_NAMES = "%Y%m%dT%H%M%SZ"


def now() -> datetime:
    """Return the present moment in UTC, without a zone, as columns of type ``DateTime`` keep it."""
    return datetime.now(UTC).replace(tzinfo=None)


def from_unix(seconds: float) -> datetime:
    """Return a moment of Unix time in the same form."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
