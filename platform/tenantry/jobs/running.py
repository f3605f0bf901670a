"""Running a call of a job, in its tenant, and what becomes of it where that is not possible, or fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import Context
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import DatabaseReplaced, DatabaseUnavailable, TenantUnavailable, UnknownJob
from ..explaining import explain
from ..provisioning import holder_of
from .calls import Call
from .marking import RETRIES, Job, find

if TYPE_CHECKING:
    from ..app import Platform
    from ..registry import Tenant

log = logging.getLogger("tenantry")

#: Seconds after which a call for a tenant that is not active is looked at again.
INACTIVE_PAUSE = 60.0
#: How often a call is looked at, after ever longer pauses up to ``INACTIVE_PAUSE``, before it is dropped because its
#: tenant or its function is not there: for about a day. A file of tenants may be cut off while it is written, and of
#: two workers the one with the older code may find a new job first.
MOST_MISSING = round(86400 / INACTIVE_PAUSE)
#: Seconds of the longest pause before a call is tried again for a tenant that could not be served.
_LONGEST_PAUSE = 600.0


class Dropped(Exception):
    """A call that will never run. Its text says why."""


class NotActive(Exception):
    """A call whose tenant is suspended, in maintenance or read-only."""


class NotThere(NotActive):
    """A call whose tenant the configuration does not have just now."""


class CutShort(Exception):
    """A call that was begun too often, and never came to an end."""

    def __str__(self) -> str:
        return "Its worker ended while it ran, each time."


def run(platform: Platform, look: Callable[[], object], call: Call) -> tuple[Call, float] | None:
    """Run a call; return what to put back, and for how many seconds, if it is to run again. Never raises.

    :param look: looks for a configuration that is newer than the one in force.
    """
    try:
        holder = holder_of(platform.registry.settings, call.tenant, call.deed)
        call = call if holder == call.tenant else replace(call, tenant=holder)  # it was renamed since
        if call.tenant not in platform.registry:
            look()
        perform(platform, call)
    except Dropped as reason:
        log.warning("The job '%s' of tenant '%s' was dropped: %s", *_who(call), reason)
    except (NotThere, UnknownJob) as reason:
        return _wait_for_missing(call, reason)
    except NotActive as reason:
        return _wait_for_activity(call, reason)
    except (TenantUnavailable, DatabaseUnavailable) as error:
        return _wait_for_tenant(call, error)
    except (Exception, SystemExit) as error:  # a job that exits must not take the worker with it
        return _try_again(call, error)
    return None


def perform(platform: Platform, call: Call) -> None:
    """Run a call in its tenant's context, whose work is kept when it ends, and undone where it raises.

    In an empty context of the thread, so that nothing that a job leaves behind is there for the next.

    :raises Dropped: if it will never run.
    :raises NotThere: if there is no such tenant, which may be a mistake.
    :raises NotActive: if its tenant is not active just now.
    :raises UnknownJob: if this process has no such function.
    :raises TenantUnavailable: if its tenant cannot be served just now.
    """
    tenant = platform.registry.get(call.tenant)
    if tenant is None:
        raise NotThere("there is no such tenant.")
    if tenant.status == "archived":
        raise Dropped("the tenant is archived.")
    if tenant.status != "active":
        raise NotActive(f"the tenant's status is '{tenant.status}'.")
    Context().run(_perform_in, platform, call)


def _perform_in(platform: Platform, call: Call) -> None:
    with platform.tenant(call.tenant) as tenant:
        _check_deed(platform, tenant, call)
        job = find(call.job)
        if call.attempt > job.retries:
            raise CutShort()
        args, kwargs = call.values()
        job(*args, **kwargs)


def _check_deed(platform: Platform, tenant: Tenant, call: Call) -> None:
    if not platform.tenant_app(call.tenant).database.is_there():
        raise DatabaseReplaced()  # a moment ago; whose this call is shows when the app is the new one's
    if tenant.deed is None or tenant.deed.hex != call.deed:
        raise Dropped("it was for an earlier tenant of that name.")


def _wait_for_activity(call: Call, reason: NotActive) -> tuple[Call, float] | None:
    if not call.waits:
        log.debug("The job '%s' of tenant '%s' waits, as %s", *_who(call), reason)
    if _is_swept(call):
        return None
    return replace(call, waits=call.waits + 1, missing=0), INACTIVE_PAUSE


def _wait_for_missing(call: Call, reason: Exception) -> tuple[Call, float] | None:
    """Look again and again, for about a day, whether what is not there comes, or comes back."""
    if _is_swept(call):
        return None
    if call.missing >= MOST_MISSING:
        log.error("The job '%s' of tenant '%s' was dropped after it waited for a day: %s", *_who(call), reason)
        return None
    if not call.missing:
        log.warning("The job '%s' of tenant '%s' waits, for a day at most: %s", *_who(call), reason)
    pause = min(2.0 ** min(call.missing, 30), INACTIVE_PAUSE)
    return replace(call, waits=call.waits + 1, missing=call.missing + 1), pause


def _who(call: Call) -> tuple[str, str]:
    return call.job, call.tenant


def _is_swept(call: Call) -> bool:
    job = _known(call)
    return job is not None and job.swept


def _known(call: Call) -> Job[..., Any] | None:
    try:
        return find(call.job)
    except UnknownJob:
        return None


def _wait_for_tenant(call: Call, error: Exception) -> tuple[Call, float]:
    log.debug("The job '%s' of tenant '%s' waits: %s", *_who(call), error)
    return replace(call, waits=call.waits + 1, missing=0), min(2.0 ** min(call.waits, 30), _LONGEST_PAUSE)


def _try_again(call: Call, error: BaseException) -> tuple[Call, float] | None:
    failed, job = replace(call, attempt=call.attempt + 1, missing=0), _known(call)
    retries, pause = (job.retries, job.pause(failed.attempt)) if job else (RETRIES, INACTIVE_PAUSE)
    if failed.attempt > retries:
        log.error(
            "The job '%s' of tenant '%s' failed for good, after %d attempts (arguments: %s). %s",
            *_who(call),
            min(failed.attempt, retries + 1),
            job.argument_names(call) if job else "unknown",
            explain(error),
            exc_info=error,
        )
        return None
    log.warning("The job '%s' of tenant '%s' failed, and runs again in %.0f s. %s", *_who(call), pause, explain(error))
    return failed, pause
