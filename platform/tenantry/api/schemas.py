"""What is sent, checked by pydantic's models before a view sees it: all mistakes at once, each with its place."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, TypeVar

from flask import request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from .mistakes import mistakes_of
from .problems import ApiException

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")

#: Most bytes of a body of JSON.
LARGEST_JSON = 1024 * 1024
#: The largest number that a row can have, and the converter for it in a rule.
LARGEST_ID = 2**63 - 1
ID = f"int(max={LARGEST_ID})"
#: What a model without a word of its own does with keys that it does not know.
Extra = Literal["refuse", "remove"]
_EXTRA: dict[Extra, Literal["forbid", "ignore"]] = {"refuse": "forbid", "remove": "ignore"}


class Schema(BaseModel):
    """Base of what is sent and answered: nothing is taken for what it is not, and unknown keys are refused.

    It is also read from objects, such as rows of the database, by their attributes.
    """

    model_config = ConfigDict(strict=True, extra="forbid", from_attributes=True)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, so that a view may return it."""
        return self.model_dump(mode="json")


def dataschema(
    model: type[BaseModel], *, source: Literal["json", "query"] = "json", extra: Extra = "refuse"
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Check what is sent to a view by a model, and give it to the view as ``data``.

    :param source: the body, as JSON, or the parameters of the address.
    :param extra: whether keys that the model does not know are refused or removed.
    :raises ApiException: as :func:`read_json` and :func:`read_query` do.
    """
    read = read_json if source == "json" else read_query

    def decorate(view: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(view)
        def checked(*args: Any, **kwargs: Any) -> R:
            return view(*args, data=read(model, extra), **kwargs)

        return checked

    return decorate


def read_json(model: type[M], extra: Extra = "refuse") -> M:
    """Return the request's body as a model.

    :raises ApiException: 415 if it is not said to be JSON, 413 if it is too large, 400 if it cannot be read, 422 with
        every mistake if it does not fit.
    """
    if not request.is_json:
        sent = request.mimetype or "nothing"
        raise ApiException(415, f"The body is said to be {sent[:80]}; expected Content-Type: application/json.")
    bound_body()
    body = request.get_data(cache=True)
    try:
        return model.model_validate_json(body, extra=_EXTRA[extra])
    except ValidationError as error:
        mistakes = mistakes_of(error, model.model_fields)
        is_json = error.errors(include_url=False, include_input=False)[0]["type"] != "json_invalid"
    # Not within the block: the error of a validator in Python leads to the request, and pydantic's, which holds it, is
    # not seen by the garbage collector. As the context of ours, it would keep the request for ever.
    if not is_json:
        raise ApiException(400, f"The body is not JSON that can be read: {mistakes[0]['message']}")
    raise ApiException(422, "The body does not fit. Every mistake is listed, up to 100.", mistakes)


def bound_body() -> None:
    """Let the request's body be as large as JSON may be, and no larger."""
    request.max_content_length = min(LARGEST_JSON, request.max_content_length or LARGEST_JSON)


def read_query(model: type[M], extra: Extra = "refuse") -> M:
    """Return the parameters of the request's address as a model.

    :raises ApiException: 422 with every mistake if they do not fit.
    """
    mistakes = [*_sent_twice()]
    try:
        found = model.model_validate_strings(request.args.to_dict(), strict=True, extra=_EXTRA[extra])
    except ValidationError as error:
        told = {each["parameter"] for each in mistakes}
        more = mistakes_of(error, model.model_fields, parameters=True)
        mistakes += [each for each in more if each["parameter"] not in told]
    if mistakes:
        raise ApiException(422, "The parameters do not fit. Every mistake is listed, up to 100.", mistakes)
    return found


def _sent_twice() -> Iterator[dict[str, str]]:
    for name, values in request.args.lists():
        if len(values) > 1:
            yield {"parameter": name, "message": "It stands there twice; expected it once."}


def unset() -> Any:
    """Return the default of a field that may be left out, and then is not changed: ``name: Name = unset()``."""
    return Field(default=None, json_schema_extra=_forget_default)


def _forget_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _whole(value: Any, info: ValidationInfo) -> Any:
    """Take ``5.0`` for 5, as JSON Schema does; in an address, digits, and not all that Python reads as a number."""
    if type(value) is float and value.is_integer():
        return int(value)
    if info.mode != "json" and isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    return value


def _day(text: str) -> date:
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        raise ValueError("There is no such day.") from None
    raise ValueError(f"Found {text[:40]!r}; expected a day, as {date(2026, 2, 28)}.")


_DAY = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", re.ASCII)
_DIGITS = re.compile(r"-?(0|[1-9][0-9]{0,30})", re.ASCII)
#: Marks a whole number that is sent, as the last mark: ``Annotated[int, Field(ge=1), WHOLE]``.
WHOLE = BeforeValidator(_whole)
#: The number of a row, as it is sent.
SentId = Annotated[int, Field(ge=1, le=LARGEST_ID), WHOLE]
#: A day that is sent, as a date: in the one form that JSON Schema has, of which pydantic would take some more.
Day = Annotated[
    str,
    Field(json_schema_extra={"format": "date", "pattern": _DAY.pattern}),
    AfterValidator(_day),
]
#: The number of a row as it is answered; and a moment as the database keeps it, with its zone.
Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Moment = Annotated[datetime, AfterValidator(_in_utc)]
