"""Jobs as authors write them: a function that is marked, called plainly, or put on the queue."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import update_wrapper
from inspect import iscoroutinefunction, signature
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload
from uuid import UUID

from .. import db, plain_values
from ..context import current_tenant_app
from ..errors import BadArguments, BadSetup, UnknownJob
from ..explaining import explain
from .calls import Call

if TYPE_CHECKING:
    from ..app import Platform

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger("tenantry")

#: Seconds before the first and the longest pause between two attempts.
BACKOFF, LONGEST_BACKOFF = 10.0, 3600.0
#: How often a job is tried again after it failed.
RETRIES = 3
#: Seconds by which a job may be put off at most.
_LONGEST_DELAY = 10 * 366 * 86400

#: Every function that was marked, by its name. Nothing else can be named by an entry of the queue.
_marked: dict[str, Job[Any, Any]] = {}


class Job(Generic[P, R]):
    """A function that can be put on the queue. Made by :func:`job`; calling it runs the function, here and now.

    :ivar name: ``module:function``.
    :ivar retries: how often it is tried again after it failed.
    :ivar backoff: seconds until it is tried again; doubled each time.
    :ivar swept: whether something else sees to it that its work is done in the end, as with mails.
    """

    def __init__(self, function: Callable[P, R], retries: int, backoff: float, swept: bool) -> None:
        self.name = f"{function.__module__}:{function.__qualname__}"
        self.retries = retries
        self.backoff = backoff
        self.swept = swept
        self._function = function
        self._signature = signature(function)
        update_wrapper(self, function)
        _check(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Job {self.name}>"

    def enqueue(self, *args: Any, delay: float = 0, **kwargs: Any) -> None:
        """Let a worker run it for the current tenant, once what is being written is kept; never if it is undone.

        :param delay: seconds after which it is to run.
        :raises NoTenantContext: outside a tenant's context.
        :raises BadArguments: if the arguments do not fit the function, or cannot be put on the queue.
        """
        app = current_tenant_app(f"{self._function.__name__}.enqueue")
        if not 0 <= delay < _LONGEST_DELAY:
            raise BadArguments(self.name, f"delay is {delay!r}; expected a number of seconds from 0 on")
        call = self.call_for(app.tenant.slug, cast(UUID, app.tenant.deed), *args, **kwargs)
        platform = app.platform
        db.after_commit(lambda: push(platform, call, delay))

    def call_for(self, slug: str, deed: UUID, /, *args: Any, **kwargs: Any) -> Call:
        """Return a call of it for a tenant, which :func:`push` puts on the queue.

        :raises BadArguments: as :meth:`enqueue`.
        """
        return Call(self.name, slug, deed.hex, self._written(args, kwargs))

    def pause(self, attempt: int) -> float:
        """Return the seconds to wait after so many failures."""
        return float(min(self.backoff * 2 ** max(attempt - 1, 0), LONGEST_BACKOFF))

    def argument_names(self, call: Call) -> str:
        """Return the names of a call's arguments, for the log; their values may be secrets."""
        try:
            args, kwargs = call.values()
            found = self._signature.bind(*args, **kwargs).arguments
        except (TypeError, ValueError):
            return "unknown"
        return ", ".join(found) or "none"

    def _written(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise BadArguments(self.name, f"{error}; expected {self._function.__name__}{self._signature}") from None
        for name, value in bound.arguments.items():
            _check_value(self.name, name, value)
        return plain_values.write([list(args), kwargs]).decode()


def _check_value(job: str, name: str, value: Any) -> None:
    try:
        plain_values.write(value)
    except TypeError as error:
        raise BadArguments(job, f"its argument '{name}' cannot be put on the queue. {error}") from None


def _check(job: Job[..., Any], function: Callable[..., Any]) -> None:
    name = job.name
    if not name.partition(":")[2].isidentifier():  # as of a method, or of a function within a function
        raise BadSetup(f"The job '{name}' is not a function of a module, so no worker could find it. Move it there.")
    if iscoroutinefunction(function):
        raise BadSetup(f"The job '{name}' is asynchronous; expected a plain function, which may call asyncio.run().")
    if "delay" in signature(function).parameters:
        raise BadSetup(f"The job '{name}' has a parameter 'delay', which enqueue() takes for itself. Rename it.")


@overload
def job(function: Callable[P, R], /) -> Job[P, R]: ...
@overload
def job(*, retries: int = ..., backoff: float = ..., swept: bool = ...) -> Callable[[Callable[P, R]], Job[P, R]]: ...
def job(
    function: Callable[P, R] | None = None,
    /,
    *,
    retries: int = RETRIES,
    backoff: float = BACKOFF,
    swept: bool = False,
) -> Job[P, R] | Callable[[Callable[P, R]], Job[P, R]]:
    """Mark a function of a module as a job: ``@jobs.job``, or ``@jobs.job(retries=5, backoff=60)``.

    :param retries: how often it is tried again after it failed.
    :param backoff: seconds until it is tried again; doubled each time, to an hour.
    :param swept: whether something else sees to it that its work is done in the end; it then waits for no tenant that
        is suspended.
    :raises BadSetup: if no worker could find it, or it is asynchronous.
    """

    def mark(function: Callable[P, R]) -> Job[P, R]:
        made = Job(function, retries, backoff, swept)
        _marked[made.name] = made
        return made

    return mark if function is None else mark(function)


def find(name: str) -> Job[..., Any]:
    """Return the job of a name.

    :raises UnknownJob: if no function of that name was marked.
    """
    try:
        return _marked[name]
    except KeyError:
        raise UnknownJob(name, _marked) from None


def push(platform: Platform, call: Call, delay: float = 0) -> None:
    """Put a call on the queue. What was written is kept already, so an error is told in the log and goes no further."""
    try:
        platform.queue.push(call, delay)
    except Exception as error:
        swept = call.job in _marked and _marked[call.job].swept
        log.error(
            "The job '%s' of tenant '%s' could not be put on the queue (%s). %s See whether the disk of the state "
            "folder is full, or, with [platform] redis, whether Redis answers.",
            call.job,
            call.tenant,
            explain(error).rstrip("."),
            "Nothing is lost: a worker finds its work within a minute." if swept else "It will not run.",
        )
