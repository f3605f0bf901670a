"""The live apps: built on first use, one build a tenant however many wait, kept in a bounded table.

An app that was pushed out of the table lives on while a request is inside it, as the request holds it. Should its
tenant be asked for meanwhile, that same app comes back instead of a second one.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from .errors import SchemaBehind, TenantClosed, TenantUnavailable
from .explaining import explain

if TYPE_CHECKING:
    from .registry import Tenant
    from .tenant_app import TenantApp

#: Seconds before a tenant whose app could not be built is tried again: doubled each time, from the first to the last.
FIRST_PAUSE, LAST_PAUSE = 1.0, 60.0
#: Seconds for which a request waits for another one that builds its tenant's app, as each that waits holds a thread.
LONGEST_WAIT = 2.0


@dataclass(frozen=True, slots=True)
class _Failure:
    tenant: Tenant
    reason: str
    pause: float
    until: float


class LiveApps:
    """The apps of one worker.

    :param build: makes a tenant's app; may raise anything.
    :param limit: how many apps are kept; may be changed.
    :param on_failure: told each time that a build failed.
    """

    def __init__(
        self,
        build: Callable[[Tenant], TenantApp],
        limit: int,
        on_failure: Callable[[TenantUnavailable], None] = lambda failure: None,
    ) -> None:
        self._build = build
        self.limit = limit
        self._on_failure = on_failure
        self._apps: OrderedDict[str, tuple[Tenant, TenantApp]] = OrderedDict()
        self._leaving: WeakValueDictionary[str, TenantApp] = WeakValueDictionary()
        self._locks: dict[str, threading.Lock] = {}
        self._failures: dict[str, _Failure] = {}

    def __len__(self) -> int:
        return len(self._apps)

    def __contains__(self, slug: object) -> bool:
        return slug in self._apps

    def get(self, tenant: Tenant) -> TenantApp:
        """Return the tenant's app, built if need be.

        :raises TenantUnavailable: if it cannot be built, or could not a moment ago.
        """
        found = self._apps.get(tenant.slug)
        if found is None or found[0] is not tenant:
            return self._get_slowly(tenant)
        if len(self._apps) >= self.limit:
            self._touch(tenant.slug)
        return found[1]

    def drop(self, app: TenantApp) -> None:
        """Drop one app, unless another was built in its place already."""
        slug = app.tenant.slug
        if (found := self._apps.get(slug)) is not None and found[1] is app:
            self._apps.pop(slug, None)
        if self._leaving.get(slug) is app:
            self._leaving.pop(slug, None)

    def forgive(self, slug: str) -> None:
        """Try a tenant at once that could not be built, as the reason is gone."""
        self._failures.pop(slug, None)

    def apps(self) -> list[TenantApp]:
        """Return the apps that are in the table now."""
        return [app for _, app in list(self._apps.values())]

    def _touch(self, slug: str) -> None:
        with suppress(KeyError):  # another thread may have dropped it since
            self._apps.move_to_end(slug)

    def _get_slowly(self, tenant: Tenant) -> TenantApp:
        lock = self._locks.setdefault(tenant.slug, threading.Lock())
        if not lock.acquire(timeout=LONGEST_WAIT):
            raise TenantUnavailable(tenant.slug, "another request has been building its app for too long.", 1.0)
        try:
            found = self._apps.get(tenant.slug)
            if found is not None and found[0] is tenant:
                return found[1]  # built by the one we waited for
            try:
                app = self._leaving.get(tenant.slug)
                if app is None or app.source is not tenant:
                    app = self._build_or_fail(tenant)
                self._keep(tenant, app)
            finally:
                # Only now, when whoever comes finds the app; and only ours, as a waiter may come after a newer one.
                if self._locks.get(tenant.slug) is lock:
                    del self._locks[tenant.slug]
            return app
        finally:
            lock.release()

    def _build_or_fail(self, tenant: Tenant) -> TenantApp:
        failure = self._failures.get(tenant.slug)
        if failure and failure.tenant is not tenant:
            failure = None  # the configuration changed since
        if failure and time.monotonic() < failure.until:
            raise TenantUnavailable(tenant.slug, failure.reason, failure.until - time.monotonic())
        try:
            app = self._build(tenant)
        except (Exception, SystemExit) as error:  # an extension that exits must not take the worker with it
            raise self._note_failure(tenant, error, failure) from error
        self._failures.pop(tenant.slug, None)
        return app

    def _note_failure(self, tenant: Tenant, error: BaseException, last: _Failure | None) -> TenantUnavailable:
        is_over_soon = isinstance(error, (TenantClosed, SchemaBehind))  # once a command has done its work
        pause = FIRST_PAUSE if last is None or is_over_soon else min(last.pause * 2, LAST_PAUSE)
        # Its words are kept and not the error, whose traceback would keep the half-built app.
        reason = explain(error)
        self._failures[tenant.slug] = _Failure(tenant, reason, pause, time.monotonic() + pause)
        unavailable = TenantUnavailable(tenant.slug, reason, pause)
        self._on_failure(unavailable)
        return unavailable

    def _keep(self, tenant: Tenant, app: TenantApp) -> None:
        self._apps[tenant.slug] = (tenant, app)
        while len(self._apps) > self.limit:
            try:
                slug, (_, oldest) = self._apps.popitem(last=False)
            except KeyError:
                break
            self._leaving[slug] = oldest
