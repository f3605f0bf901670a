"""Operations of the API: what each takes and answers, declared beside its route, and carried out in one way."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flask import Response, current_app, request
from pydantic import BaseModel, TypeAdapter

from .admission import admit, require_password
from .conditions import tagged
from .idempotency import once
from .results import ApiResult
from .schemas import bound_body, read_json, read_query
from .timing import timed

View = Callable[..., Any]


@dataclass(frozen=True)
class Operation:
    """One operation: a method of a route.

    :ivar function: the view. It gets the values of the route, ``query`` and ``data`` where these are declared.
    :ivar returns: what it answers as JSON: a model, or a type that pydantic knows; ``None`` for no body.
    :ivar status: of an answer that is none of an error.
    :ivar body: what is to be sent, as JSON.
    :ivar query: the parameters of the address.
    :ivar role: who may use it: ``member``, ``staff``, ``admin``; ``None`` for everybody.
    :ivar errors: statuses of errors beside those that follow from the rest.
    :ivar produces: media type of its answer.
    :ivar secret: whether its answer holds a secret, which is nowhere kept.
    :ivar conditional: whether it may be told by ``If-Match`` what is to be changed.
    :ivar password: whether it is only for those who send their password with it, by HTTP Basic.
    """

    method: str
    rule: str
    function: View
    returns: Any = None
    status: int = 200
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    role: str | None = "member"
    errors: tuple[int, ...] = ()
    produces: str = "application/json"
    secret: bool = False
    conditional: bool = False
    password: bool = False

    def __post_init__(self) -> None:
        if self.method == "POST" and self.role is None:  # whose key would be everybody's
            raise ValueError(f"'POST {self.rule}' needs a role, as an Idempotency-Key belongs to a user")

    @property
    def tag(self) -> str:
        """What it is about: the first part of its address."""
        return self.rule.split("/")[1].partition(".")[0]

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """What makes JSON of its value."""
        return TypeAdapter(self.returns)

    def make_view(self) -> View:
        """Return the view that Flask calls."""

        @timed
        @functools.wraps(self.function)
        def view(**values: Any) -> Response:
            if self.writes:
                bound_body()
                request.get_data()  # before the tenant's lock is taken: who sends slowly holds nobody up
            admit(self.role)
            if self.query is not None:
                values["query"] = read_query(self.query)
            if self.method == "POST":
                return once(lambda: self._carry_out(values), self.secret)
            return self._carry_out(values)

        return view

    def _carry_out(self, values: dict[str, Any]) -> Response:
        if self.body is not None:
            values["data"] = read_json(self.body)
        if self.password:
            require_password()
        return self._answer(self.function(**values))

    def _answer(self, value: Any) -> Response:
        if isinstance(value, Response):
            return value
        result = value if isinstance(value, ApiResult) else ApiResult(value, self.status)
        if self.returns is None:
            return result.to_response()
        item = self.adapter.validate_python(result.value)
        body = self.adapter.dump_json(item)
        response = current_app.response_class(body, result.status, result.headers, content_type=self.produces)
        return response if self.secret else tagged(response, body)

    @property
    def writes(self) -> bool:
        """Whether it changes something."""
        return self.method != "GET"
