"""Dates and numbers as the reader of the page writes them: in its language, and in the reader's time zone.

Moments without a zone are in UTC, as the database keeps them. ``None`` becomes nothing, for columns that may be empty.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

from babel import dates, numbers
from babel.core import Locale, UnknownLocaleError
from flask import has_request_context
from flask.globals import app_ctx

from .context import current_tenant_app
from .languages import current_language, gettext, reader

Style = Literal["short", "medium", "long", "full"]


def current_timezone() -> tzinfo:
    """Return the time zone of the reader; the tenant's where they have none, or one that is no longer known.

    :raises NoTenantContext: outside a tenant's context, as every function here.
    """
    tenant = current_tenant_app("current_timezone").tenant
    name: str | None = getattr(app_ctx, "_tenantry_timezone", None)
    if name is None and has_request_context() and (user := reader()) is not None:
        name = user.timezone
    return _zone(name or "") or _zone(tenant.timezone) or UTC


def today() -> date:
    """Return which day it is where the reader is."""
    return datetime.now(current_timezone()).date()


def format_datetime(value: datetime | None, style: Style | None = None) -> str:
    """Return a moment, e.g. ``20.11.2026, 11:00``.

    :param style: Unicode's (CLDR) ``short`` to ``full``; the date of ``medium`` and the time of ``short`` if left out.
    """
    if value is None:
        return ""
    moment, locale = _local(value), _locale(current_language())
    if style is not None:
        return dates.format_datetime(moment, style, locale=locale)
    pattern = str(dates.get_datetime_format("medium", locale=locale)).replace("'", "")
    time = dates.format_time(moment, "short", locale=locale)
    return pattern.replace("{0}", time).replace("{1}", dates.format_date(moment, "medium", locale=locale))


def format_date(value: date | None, style: Style = "medium") -> str:
    """Return a date, e.g. ``20.11.2026``. That of a moment is the one in the reader's time zone."""
    if value is None:
        return ""
    day = _local(value) if isinstance(value, datetime) else value
    return dates.format_date(day, style, locale=_locale(current_language()))


def format_number(value: float | Decimal | None) -> str:
    """Return a number, e.g. ``1.234,5``, with three places after the comma at most."""
    if value is None:
        return ""
    locale = _locale(current_language())
    try:
        return numbers.format_decimal(value, locale=locale) if Decimal(value).is_finite() else str(value)
    except InvalidOperation:  # of more digits than decimals have
        return str(value)


def format_timedelta(value: timedelta) -> str:
    """Return a length of time in its largest unit, e.g. ``3 hours``."""
    return dates.format_timedelta(value, locale=_locale(current_language()))


def format_ago(value: datetime | None) -> str:
    """Return how long ago a moment was, or in what time it will be, e.g. ``3 hours ago``."""
    if value is None:
        return ""
    passed = _aware(value) - datetime.now(UTC)
    if abs(passed) < timedelta(minutes=1):
        return gettext("just now")
    return dates.format_timedelta(passed, add_direction=True, locale=_locale(current_language()))


def isoformat(value: datetime | None) -> str:
    """Return a moment for programs, as in ``<time datetime="2026-11-20T10:00:00Z">`` (RFC 3339)."""
    if value is None:
        return ""
    try:
        moment = _aware(value).astimezone(UTC)
    except OverflowError:  # at the ends of the calendar
        moment = _aware(value)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


#: The Jinja filters; plain functions, which all tenants share.
FILTERS: dict[str, Any] = {
    "ago": format_ago,
    "date": format_date,
    "datetime": format_datetime,
    "isoformat": isoformat,
    "number": format_number,
}


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def _local(value: datetime) -> datetime:
    try:
        return _aware(value).astimezone(current_timezone())
    except OverflowError:  # at the ends of the calendar
        return _aware(value)


@lru_cache(maxsize=64)
def _locale(language: str) -> Locale:
    try:
        return Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale("en")


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):  # unknown, none that could be, or a folder of zones
        return None
