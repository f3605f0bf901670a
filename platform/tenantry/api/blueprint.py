"""``ApiBlueprint``: routes of the API, which every blueprint may have beside its pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint, Response
from flask.sansio.scaffold import setupmethod

from ..pages import API_ROOT
from ..users.refusals import LoginRequired
from .admission import say_what_is_left
from .collections import Collection
from .cors import allow_origin
from .operations import Operation, View
from .pagination import part_model_of

F = TypeVar("F", bound=View)

#: Where the API stands.
PREFIX = f"{API_ROOT}v1.0"
#: What :class:`Operation` is given, beside what Flask's routes take.
_OURS = ("returns", "status", "body", "query", "role", "errors", "produces", "secret", "conditional", "password")
#: What stands in a file of all that a collection has, by its form.
_CONTENTS = {
    "csv": "A line for each, below one of names, which are those of `{}`.",
    "jsonl": "An object in each line, as `{}` says.",
}


class ApiBlueprint(Blueprint):
    """Operations of the API. A package of the blueprint set has one as ``api_bp``, beside its ``bp``. ::

        api_bp = ApiBlueprint("notes_api", __name__)


        @api_bp.get("/notes/<int:note_id>", returns=NoteOut)
        def get_note(note_id):
            \"\"\"Get a note.\"\"\"
            return find(note_id)

    It is registered for the tenants that have both the package and the API among their features.

    :ivar operations: by method and rule.
    """

    def __init__(self, name: str, import_name: str, **options: Any) -> None:
        super().__init__(name, import_name, **{"url_prefix": PREFIX, **options})
        self.operations: dict[tuple[str, str], Operation] = {}
        self.after_request(_finish)
        self.register_error_handler(LoginRequired, _answer_as_it_is)

    @setupmethod
    def route(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Flask's, with what is said of the operation: see :class:`~tenantry.api.operations.Operation`."""
        ours = {name: options.pop(name) for name in _OURS if name in options}
        (method,) = options.get("methods") or ("GET",)

        def decorate(function: F) -> F:
            operation = Operation(method, rule, function, **ours)
            self.operations[method, rule] = operation
            self.add_url_rule(rule, options.pop("endpoint", None), operation.make_view(), **options)
            return function

        return decorate

    # Flask's own say that a view returns what Flask can answer; here the operation makes that of anything.
    def get(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Declare an operation that reads."""
        return self.route(rule, methods=["GET"], **options)

    def post(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Declare an operation that makes something, or does something."""
        return self.route(rule, methods=["POST"], **options)

    def patch(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Declare an operation that changes some of an item."""
        return self.route(rule, methods=["PATCH"], **options)

    def delete(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Declare an operation that deletes an item."""
        return self.route(rule, methods=["DELETE"], **options)

    def collection(self, rule: str, collection: Collection, **options: Any) -> Callable[[F], F]:
        """Serve a collection by a function that returns the select of all that may be seen of it.

        There are three operations: a part of it as JSON, and all of it as a CSV file and as JSON lines.
        """

        def decorate(function: F) -> F:
            self._serve_part(rule, collection, function, options)
            self._serve_whole(rule, collection, function, "csv", "text/csv", options)
            self._serve_whole(rule, collection, function, "jsonl", "application/jsonl", options)
            return function

        return decorate

    def _serve_part(self, rule: str, collection: Collection, function: View, options: dict[str, Any]) -> None:
        def view(query: Any, **values: Any) -> Any:
            return collection.part(function(**values), query)

        view.__name__, view.__doc__ = function.__name__, function.__doc__
        more = {"query": collection.query, "returns": part_model_of(collection.schema), "errors": (400, 404), **options}
        self.get(rule, **more)(view)

    def _serve_whole(
        self, rule: str, collection: Collection, function: View, form: Any, media_type: str, options: dict[str, Any]
    ) -> None:
        def view(query: Any, **values: Any) -> Any:
            return collection.whole(function(**values), query, form)

        view.__name__ = f"{function.__name__}_{form}"
        summary, name = (function.__doc__ or "").splitlines()[0].rstrip("."), collection.schema.__name__
        view.__doc__ = f"{summary}: all of them, as a {form.upper()} file.\n\n{_CONTENTS[form].format(name)}"
        more = {"query": collection.whole_query, "returns": str, "produces": media_type, **options}
        self.get(f"{rule}.{form}", **more)(view)


def _finish(response: Response) -> Response:
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "private, no-cache"
    response.vary.update(("Accept", "Authorization", "Cookie"))
    return allow_origin(say_what_is_left(response))


def _answer_as_it_is(error: LoginRequired) -> LoginRequired:
    """Answer 401, where the pages of a tenant would lead to the log-in."""
    return error
