"""What views return: a value with its status and headers, or any object that knows itself as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from flask import Response, current_app
from flask.json.provider import DefaultJSONProvider


class ApiResult:
    """A value, its status and headers: ``return ApiResult(task, 201, {"Location": address})``.

    :param value: what JSON can say: text, numbers, lists, dictionaries, dates, and objects with ``to_json``.
    """

    def __init__(self, value: Any = None, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.value = value
        self.status = status
        self.headers = dict(headers or {})

    def to_response(self) -> Response:
        """Return it as a response: JSON, or nothing where there is no value."""
        if self.value is None:
            nothing = current_app.response_class(status=self.status, headers=self.headers)
            nothing.headers.pop("Content-Type", None)
            return nothing
        response = cast(Response, current_app.json.response(self.value))
        response.status_code = self.status
        response.headers.update(self.headers)
        return response


def _default(value: Any) -> Any:
    to_json = getattr(value, "to_json", None)
    return to_json() if callable(to_json) else DefaultJSONProvider.default(value)


class ApiJSONProvider(DefaultJSONProvider):
    """Flask's, but objects with ``to_json`` are what that returns, wherever in a value they stand."""

    default = staticmethod(_default)


def convert(value: Any) -> Any:
    """Return what a view has returned as something that Flask can make a response of.

    An :class:`ApiResult`, an object with ``to_json``, or a tuple that begins with either, becomes JSON.
    """
    if isinstance(value, ApiResult):
        return value.to_response()
    if isinstance(value, tuple) and value:
        return (convert(value[0]), *value[1:])
    if isinstance(value, (Response, str, bytes, dict, list)) or not callable(getattr(value, "to_json", None)):
        return value
    return ApiResult(value).to_response()
