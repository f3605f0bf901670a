"""Errors in one form, RFC 9457's problem details; for those who ask for HTML, the tenant's page instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, current_app, request
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.http import HTTP_STATUS_CODES

from ..pages import API_ROOT, PROBLEM, takes_problem
from .cors import allow_origin
from .results import ApiResult


class Mistake(BaseModel):
    """One thing that is wrong with what was sent."""

    pointer: str | None = Field(None, description="Where in the body, as a JSON pointer (RFC 6901).")
    parameter: str | None = Field(None, description="Which parameter of the address, or which header.")
    message: str = Field(description="What is wrong with it, in words.")


_EXAMPLE: dict[str, JsonValue] = {
    "type": "about:blank",
    "title": "Unprocessable Entity",
    "status": 422,
    "detail": "The body does not fit. Every mistake is listed, up to 100.",
    "errors": [{"pointer": "/name", "message": "Field required"}],
}


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    type: str = Field(description="What kind of problem; about:blank where the status says it all.")
    title: str = Field(description="The status in words.")
    status: int = Field(ge=400, le=599, description="The status of the answer.")
    detail: str = Field(description="What went wrong this time, in words.")
    errors: list[Mistake] | None = Field(None, description="Everything that is wrong with what was sent.")


class ApiException(HTTPException):
    """An error to be answered: ``raise ApiException(409, "This task is done already.")``.

    :param status: from 400 on.
    :param detail: what went wrong, in words; it is shown to whoever asked.
    :param errors: each mistake in what was sent, as ``{"pointer": "/title", "message": "…"}``.
    :param headers: more headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str = "",
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or None)
        self.code = status
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        """Return the headers of its answer."""
        return [*super().get_headers(*args, **kwargs), *self.headers.items()]


def problem_of(error: HTTPException) -> dict[str, Any]:
    """Return the problem details of any HTTP error."""
    status = error.code or 500
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTP_STATUS_CODES.get(status, "Error"),
        "status": status,
        "detail": _detail_of(error, status),
    }
    if mistakes := getattr(error, "errors", ()):
        problem["errors"] = [dict(each) for each in mistakes]
    return problem


#: What is said where nobody has said anything else: Werkzeug's own words are for people with a browser.
_DETAILS = {
    403: "You may not do this.",
    404: "There is nothing at this address, or it is not yours to see.",
    405: "What is at this address does not answer this method.",
    413: "The body is too large.",
    429: "You have sent too many requests. Try again in as many seconds as Retry-After says.",
    500: "Something went wrong, and was noted. Nothing of this request was kept.",
}


def _detail_of(error: HTTPException, status: int) -> str:
    if status == 413 and request.max_content_length:
        return f"The body is too large; the most is {request.max_content_length // 1024} KiB."
    own = error.description if error.description != type(error).description or status not in _DETAILS else None
    return own or _DETAILS.get(status) or HTTP_STATUS_CODES.get(status, "Error")


def problem_response(error: HTTPException) -> Response:
    """Return the answer to an error in the form of a problem, with the headers that the error brings."""
    response = ApiResult(problem_of(error), error.code or 500).to_response()
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    if isinstance(error, MethodNotAllowed) and "Allow" not in response.headers:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    response.content_type = PROBLEM
    response.vary.add("Accept")
    # Where there is no operation, as for an unknown address, nobody else would say so.
    return allow_origin(response) if request.path.startswith(API_ROOT) else response


def wants_problem() -> bool:
    """Whether the one who asks takes errors as problems."""
    return takes_problem(request.headers.get("Accept", ""), request.path.startswith(API_ROOT) or _is_of_api())


def _is_of_api() -> bool:
    from .blueprint import ApiBlueprint  # which needs what is here

    return any(isinstance(current_app.blueprints.get(name), ApiBlueprint) for name in request.blueprints)
