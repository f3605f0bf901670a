"""Running a call of a job, in its tenant, and what becomes of it where that is not possible, or fails."""

from __future__ import annotations

import logging
from contextvars import Context
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import DatabaseReplaced, DatabaseUnavailable, TenantUnavailable, explain
from .calls import Call
from .marking import RETRIES, find, names_of
from .watch import Watch

if TYPE_CHECKING:
    from ..app import Platform
    from ..registry import Tenant

log = logging.getLogger("tenantry")

#: Seconds after which a call for a tenant that is not active is looked at again.
INACTIVE_PAUSE = 60.0
#: Seconds of the longest pause before a call is tried again for a tenant that could not be served.
_LONGEST_PAUSE = 600.0


class Dropped(Exception):
    """A call that will never run. Its text says why."""


class NotActive(Exception):
    """A call whose tenant is suspended, in maintenance or read-only."""


class CutShort(Exception):
    """A call that was begun too often, and never came to an end."""

    def __str__(self) -> str:
        return "Its worker ended while it ran, each time."


def run(watch: Watch, call: Call) -> tuple[Call, float] | None:
    """Run a call; return what to put back, and for how many seconds, if it is to run again. Never raises.

    :param watch: gives the platform as the present configuration has it.
    """
    try:
        perform(_platform_for(watch, call.tenant), call)
    except Dropped as reason:
        log.warning("The job '%s' of tenant '%s' was dropped: %s", call.job, call.tenant, reason)
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
    :raises NotActive: if its tenant is not active just now.
    :raises TenantUnavailable: if its tenant cannot be served just now.
    """
    tenant = platform.registry.get(call.tenant)
    if tenant is None or tenant.status == "archived":
        raise Dropped("there is no such tenant.")
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


def _platform_for(watch: Watch, slug: str) -> Platform:
    """Return the platform, with a look at the configuration that may be newer than the one in force."""
    watch.look()
    if slug not in watch.platform.registry:
        watch.look(at_once=True)
    return watch.platform


def _wait_for_activity(call: Call, reason: NotActive) -> tuple[Call, float] | None:
    if not call.waits:
        log.debug("The job '%s' of tenant '%s' waits, as %s", call.job, call.tenant, reason)
    if _is_swept(call):
        return None
    return replace(call, waits=call.waits + 1), INACTIVE_PAUSE


def _is_swept(call: Call) -> bool:
    try:
        return find(call.job).swept
    except Exception:
        return False


def _wait_for_tenant(call: Call, error: Exception) -> tuple[Call, float]:
    log.debug("The job '%s' of tenant '%s' waits: %s", call.job, call.tenant, error)
    return replace(call, waits=call.waits + 1), min(2.0 ** min(call.waits, 30), _LONGEST_PAUSE)


def _try_again(call: Call, error: BaseException) -> tuple[Call, float] | None:
    failed = replace(call, attempt=call.attempt + 1)
    try:
        job = find(call.job)
        retries, pause = job.retries, job.pause(failed.attempt)
    except Exception:  # there is none of that name, in the code that this worker has
        retries, pause = RETRIES, INACTIVE_PAUSE
    if failed.attempt > retries:
        log.error(
            "The job '%s' of tenant '%s' failed for good, after %d attempts (arguments: %s). %s",
            call.job,
            call.tenant,
            min(failed.attempt, retries + 1),
            names_of(call),
            explain(error),
            exc_info=error,
        )
        return None
    log.warning(
        "The job '%s' of tenant '%s' failed, and runs again in %.0f s. %s", call.job, call.tenant, pause, explain(error)
    )
    return failed, pause
