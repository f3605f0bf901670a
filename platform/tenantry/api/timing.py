"""How long a view took, said in a header."""

from __future__ import annotations

import functools
from collections.abc import Callable
from time import perf_counter
from typing import ParamSpec

from flask import Response, current_app
from flask.typing import ResponseReturnValue

P = ParamSpec("P")


def timed(view: Callable[P, ResponseReturnValue]) -> Callable[P, Response]:
    """Let the answers of a view say in ``X-Runtime`` how many seconds it took."""

    @functools.wraps(view)
    def timed_view(*args: P.args, **kwargs: P.kwargs) -> Response:
        began = perf_counter()
        response = current_app.make_response(view(*args, **kwargs))
        response.headers["X-Runtime"] = f"{perf_counter() - began:.6f}"
        return response

    return timed_view
