"""Pages for errors, in the tenant's look, where the app's own blueprints and extensions made none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, current_app, render_template, request
from flask.globals import request_ctx
from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkSize, NoMoreData, ParseException
from werkzeug.exceptions import (
    Aborter,
    BadRequest,
    Forbidden,
    HTTPException,
    InternalServerError,
    NotFound,
    ServiceUnavailable,
    default_exceptions,
)
from werkzeug.utils import cached_property

from . import pages
from .api.problems import problem_response, wants_problem
from .errors import DatabaseFull, DatabaseUnavailable, ForeignOrganization, RoleTooLow, TenantReadOnly
from .users.current import forget_who_asks


class LateAborter(Aborter):
    """Werkzeug's, whose table of all errors is made when it is first used. Most tenants never abort."""

    def __init__(self) -> None:
        pass

    @cached_property
    def mapping(self) -> dict[int, type[HTTPException]]:
        """Status code to exception; the app's own, to be changed as it likes."""
        return dict(default_exceptions)


def error_page(error: HTTPException) -> HTTPException | Response:
    """Return the page of an HTTP error; the error itself where it carries a response or a body of its own.

    A page that cannot be made, as its template or a context processor fails, is logged, and the error answers plainly.
    """
    if not _is_plain(error):
        return error
    try:
        return _answer(error)
    except Exception:
        current_app.logger.exception("The page for %s could not be made", error)
        return error


def bad_body(error: Exception) -> HTTPException:
    """Return the answer to a body that gunicorn found to be framed wrongly while a view was reading it."""
    return BadRequest()


#: What gunicorn raises then. Not all of them have a base of their own.
BAD_BODIES = (InvalidChunkSize, ChunkMissingTerminator, NoMoreData, ParseException)


def busy_page(error: DatabaseUnavailable) -> HTTPException:
    """Return the answer where the database cannot be used just now: try again."""
    return ServiceUnavailable(str(error), retry_after=1)


class InsufficientStorage(HTTPException):
    """507, which Werkzeug does not have (RFC 4918 section 11.5)."""

    code = 507
    description = "There is no room left for this."


def full_page(error: DatabaseFull) -> HTTPException:
    """Return the answer where the database has no room left."""
    return InsufficientStorage()


def read_only_page(error: TenantReadOnly) -> HTTPException:
    """Return the gate's own answer to what would write."""
    return HTTPException(response=Response.from_app(pages.READ_ONLY, request.environ))


def _forbidden(error: RoleTooLow) -> HTTPException:
    current_app.logger.warning("%s", error)
    return Forbidden()


def _not_found(error: ForeignOrganization) -> HTTPException:
    current_app.logger.warning("%s", error)
    return NotFound()


#: What is answered to errors that are none of the server's, in a view or while its work is committed.
ANSWERS: dict[type[Exception], Callable[[Any], HTTPException]] = {
    DatabaseUnavailable: busy_page,
    DatabaseFull: full_page,
    TenantReadOnly: read_only_page,
    ForeignOrganization: _not_found,
    RoleTooLow: _forbidden,
    **dict.fromkeys(BAD_BODIES, bad_body),
}


def _is_plain(error: HTTPException) -> bool:
    own_body = type(error).get_body is not HTTPException.get_body
    return error.response is None and error.code is not None and error.code >= 400 and not own_body and _can_link()


def _can_link() -> bool:
    """Whether links can be made at all: not where the request was refused before it was routed."""
    return bool(request_ctx) and request_ctx.url_adapter is not None


def _answer(error: HTTPException) -> Response:
    if isinstance(error, InternalServerError):
        original = error.original_exception
        error = next((answer(original) for kind, answer in ANSWERS.items() if isinstance(original, kind)), error)
        if isinstance(error.response, Response):
            return error.response
    if (error.code or 0) >= 500 or "Authorization" in request.headers:
        forget_who_asks()  # looking for a user may be what fails, or fail once more
    return problem_response(error) if wants_problem() else _render(error)


def _render(error: HTTPException) -> Response:
    response = error.get_response()
    said = error.description if error.description != type(error).description else None
    response.data = render_template("tenantry/error.html", error=error, said=said)
    response.content_type = "text/html; charset=utf-8"
    response.vary.add("Accept")
    return current_app.make_response(response)
