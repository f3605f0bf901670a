"""``Platform``: the contained WSGI object, which owns the registry, the dispatcher and the live apps.

The request's way: ``wsgi_app`` -> dispatcher -> the tenant's entrance -> gate -> live app.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import Context
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from flask import has_app_context, has_request_context
from flask.globals import app_ctx, request_ctx
from flask.helpers import get_root_path
from werkzeug.middleware.proxy_fix import ProxyFix

from . import db, gate, last_good, pages, suspension
from .asking import Asking
from .blank import Blank
from .blueprint_set import BlueprintSet
from .cache import PlatformCache
from .cache_stores import LocalStore, RedisStore
from .catalogues import Catalogues
from .dispatcher import Dispatcher, read_host
from .environments import public_port
from .errors import ImportFailed, TenantUnavailable
from .factory import create_app, secret_keys
from .floor_plan import FloorPlan
from .holding import read_deed
from .imports import import_module, make_importable
from .keys import KeyRing
from .live import LiveApps
from .memory import Memory
from .rates import Rates
from .registry import Registry, Tenant
from .shared_redis import SharedRedis
from .sqlite import SqliteDatabases
from .template_code import TemplateCode

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from .jobs.queue import JobQueue
    from .schema_versions import SchemaVersions
    from .tenant_app import TenantApp

log = logging.getLogger("tenantry")

#: Seconds for which a tenant's database is taken to be the file that it was.
_SURE = 1.0


class Entrance:
    """Where the dispatcher forwards to: one tenant's way into its app. Holds no app, so ten thousand are cheap."""

    __slots__ = ("_serve", "tenant")

    def __init__(self, platform: Platform, tenant: Tenant) -> None:
        self.tenant = tenant
        self._serve = platform.serve

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._serve(self.tenant, environ, start_response)


class Platform:
    """Serves the tenants of a registry. A WSGI application; wrap ``platform.wsgi_app`` to add middleware.

    :param registry: the tenants.
    :param keys: the key ring; the one in the state folder, made if need be, where it is left out.
    :ivar generation: number of the registry's generation; 0 where it was made from the files as they are.
    :ivar memory: what was read of the configuration, so that after an edit only what changed is read.
    :ivar dispatcher: finds the tenant of a request.
    :ivar live: the apps that are built.
    :ivar fronts: the apps, without a database, that make the pages of tenants in maintenance.
    :ivar keys: the key ring.
    :ivar databases: the open SQLite connections.
    :ivar floor_plan: the compiled URL rules that its apps share.
    :ivar template_code: the compiled templates that they share.
    :ivar blank_folder: where the database is kept of which new tenants get a copy.
    :ivar redis: the Redis that they share; ``None`` where [platform] redis names none.
    :ivar rates: counters of requests.
    :ivar cache: what blueprints keep by ``tenantry.cache``.
    :ivar streams: the answers that are being sent while they are made.
    :ivar unended: tenants whose log-ins are to be ended, with the moment before which they began.
    :raises StateError: if the state folder or the key ring cannot be used.
    :raises ImportFailed: if a Redis is named, and the package for it is not installed.
    """

    def __init__(self, registry: Registry, keys: KeyRing | None = None) -> None:
        self.registry = registry
        self.generation = 0
        self.memory = Memory()
        settings = registry.settings
        make_importable(settings.root)
        self.live = LiveApps(self.build, settings.live_tenants, _report)
        self.fronts = LiveApps(self._build_front, settings.live_tenants, _report)
        self.keys = keys or KeyRing(settings.key_file)
        self.keys.on_change = self._renew_keys
        self.databases = SqliteDatabases(settings.open_databases)
        self.blueprints = BlueprintSet(settings)
        self.floor_plan = FloorPlan()
        self.template_code = TemplateCode()
        self.blank_folder = settings.state_dir / "blank"
        self.redis = SharedRedis(settings.redis) if settings.redis else None
        self.rates = Rates(settings.state_dir / "rates")
        self.cache = PlatformCache(RedisStore(self.redis) if self.redis else LocalStore())
        self.streams = suspension.Streams(self)
        self.unended: dict[str, float] = {}
        self.dispatcher = self._make_dispatcher(registry)
        self._scheme = settings.scheme
        if hops := settings.trusted_proxies:
            # Not -Proto, as [platform] scheme says that. Not -Prefix, as the door is ours to find, and most proxies
            # pass a visitor's own on.
            self.wsgi_app = ProxyFix(self.wsgi_app, x_for=hops, x_proto=0, x_host=hops)  # type: ignore[method-assign]

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Platform:
        """Make the platform of a tenants.toml.

        In a worker of gunicorn it is the one that the master found good, and the file is not read.

        :raises ConfigError: with all mistakes in the file at once.
        :raises StateError: if its state folder or key ring cannot be used.
        """
        file = Path(path).absolute()
        if (good := last_good.inherited(file)) is not None:
            return good.platform
        return cls(Registry.from_file(file))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.wsgi_app(environ, start_response)

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Find the tenant that a request is for and let it answer."""
        environ["wsgi.url_scheme"] = self._scheme
        return self.dispatcher(environ, start_response)

    def serve(self, tenant: Tenant, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Let one tenant answer a request that the dispatcher found to be its own."""
        environ["tenantry.tenant"] = tenant.slug
        if tenant.status != "active":
            if (refusal := gate.refusal(self, tenant, environ)) is not None:
                return refusal(environ, start_response)
            if tenant.status == "maintenance":  # they have a pass
                start_response = gate.privately(start_response)
        try:
            app = self._find_app(tenant)
        except TenantUnavailable as error:
            reason = str(error) if tenant.settings.environment == "development" else ""
            return pages.unavailable(error.retry_after, reason)(environ, start_response)
        try:
            return app(environ, start_response)
        except SystemExit:  # out of a view: the worker, and gunicorn with it, would end for everybody
            log.exception("Tenant '%s' tried to end the process.", tenant.slug)
            return pages.ERROR(environ, start_response)

    def tenant_app(self, slug: str) -> TenantApp:
        """Return a tenant's live app, built if need be.

        :raises UnknownTenant: if there is no such tenant.
        :raises TenantUnavailable: if its app cannot be built.
        """
        return self._find_app(self.registry[slug])

    def _find_app(self, tenant: Tenant) -> TenantApp:
        """Return the live app; a new one if the tenant's database is another than the one it was built for.

        A tenant may be removed and made again, or restored, while this worker runs, and its keys and data with it.
        """
        app = self.live.get(tenant)
        now = monotonic()
        if now < app.sure_until:
            return app
        self.keys.active()  # so that a rotation reaches extensions too, where nothing is signed by us
        if not app.database.is_there():
            self._give_up(app)
            app = self.live.get(tenant)
        app.sure_until = now + _SURE
        return app

    @contextmanager
    def tenant(self, slug: str) -> Iterator[Tenant]:
        """Enter a tenant's app context: its work is committed when the block ends, rolled back if it raises.

        Contexts nest, and the outer one is current again afterwards. Inside another tenant's request, that request and
        its session are out of sight. Inside the same tenant's work the block is a part of that: undone by itself if it
        raises, committed with it. ::

            with platform.tenant("acme"):
                db.session.add(Page(title="Welcome"))
        """
        outer = app_ctx._get_current_object() if has_app_context() else None  # type: ignore[attr-defined]  # a LocalProxy
        app = self.tenant_app(slug)
        in_anothers_request = has_request_context() and request_ctx.app is not app
        with app.internal_context() if in_anothers_request else app.app_context(), db.inside(outer):
            yield app.tenant

    def take_up(self, registry: Registry, generation: int = 0, since: float | None = None) -> None:
        """Serve another registry from the next request on. What it leaves as it was keeps its apps.

        Requests that are inside an app which is replaced end there. What only a new process can take up stays as it
        is; see :data:`~tenantry.registry.LASTING`.

        :param generation: its number, where it has one.
        :param since: when it came into force, in Unix time; now, where it is left out.
        """
        before, registry = self.registry, registry.in_place_of(self.registry)
        dispatcher = self._make_dispatcher(registry)
        self.registry, self.dispatcher, self.generation = registry, dispatcher, generation
        self._scheme = registry.settings.scheme
        self.live.limit = self.fronts.limit = registry.settings.live_tenants
        for app in self.live.apps():
            if registry.get(app.tenant.slug) is not app.source:
                self._give_up(app)
        for app in self.fronts.apps():
            if registry.get(app.tenant.slug) is not app.source:
                self.fronts.drop(app)
        suspension.follow(self, before, time.time() if since is None else since)

    def close(self, slugs: Iterable[str]) -> None:
        """Give up the apps and databases of tenants whose files a command is to move.

        To be called again until the command is done, as requests that are inside give theirs up when they end.
        """
        closed = set(slugs)
        for app in self.live.apps():
            if app.tenant.slug in closed:
                self._give_up(app)
        folders = {self.registry.settings.state_dir / "tenants" / slug for slug in closed}
        for file in self.databases.idle_files():
            if Path(file.path).parent in folders:
                self.databases.close_idle(file)

    def reopen(self, slugs: Iterable[str]) -> None:
        """Serve tenants again whose files a command has moved: at once, and with nothing that was cached of before."""
        for slug in slugs:
            self.live.forgive(slug)
            if slug in self.registry and (deed := read_deed(self.registry[slug].state)) is not None:
                self.cache.clear(deed)

    def _give_up(self, app: TenantApp) -> None:
        self.live.drop(app)
        self.databases.close_idle(app.database)

    def build(self, tenant: Tenant) -> TenantApp:
        """Make a tenant's app, past the table of live ones.

        In an empty context: a request that happens to be under way, and its session, are not the new app's business.
        """
        return Context().run(create_app, tenant, platform=self)

    def _build_front(self, tenant: Tenant) -> TenantApp:
        from .maintenance import make_front

        return Context().run(make_front, self, tenant)

    @cached_property
    def schema(self) -> SchemaVersions:
        """The version of tables that the blueprints need. Alembic is imported only when it is asked for."""
        from .schema_versions import SchemaVersions

        return SchemaVersions(self.blueprints.folders("migrations"))

    @cached_property
    def blank(self) -> Blank:
        """The database that new tenants get a copy of."""
        return Blank(self.blank_folder, self.blueprints.folders("migrations"))

    @cached_property
    def catalogues(self) -> Catalogues:
        """The translations that the look and the blueprints bring; one object for all tenants."""
        return Catalogues(self.blueprints.folders("translations"))

    @cached_property
    def queue(self) -> JobQueue:
        """The jobs that wait for a worker. huey is imported, and the queue opened, only when it is asked for.

        :raises StateError: if it cannot be opened.
        """
        from .jobs.queue import open_queue

        return open_queue(self)

    @cached_property
    def package_root(self) -> str:
        """Folder of the package whose templates and static files every tenant's app uses.

        :raises ImportFailed: if there is no such package.
        """
        package = self.registry.settings.package
        import_module(package)
        try:
            return get_root_path(package)
        except RuntimeError as error:
            raise ImportFailed(package, str(error)) from None

    @cached_property
    def public_port(self) -> str:
        """``:port`` for links made outside a request."""
        port = public_port(self.registry.settings.environment)
        return f":{port}" if port else ""

    def addresses(self, tenant: Tenant) -> list[str]:
        """Return the address of each door of a tenant, host doors first, at the port that visitors use."""
        return tenant.addresses(public_port(tenant.settings.environment))

    def _renew_keys(self) -> None:
        for app in self.live.apps():
            app.config.from_mapping(secret_keys(app.signer, app.tenant))

    def _make_dispatcher(self, registry: Registry) -> Dispatcher:
        entrances = [Entrance(self, tenant) for tenant in registry.served()]
        settings = registry.settings
        in_development = settings.environment == "development"
        own = settings.hosts if isinstance(settings.hosts, tuple) else None
        hosts = {host: entrance for entrance in entrances for host in entrance.tenant.hosts}
        unknown = _first_look(registry) if in_development else pages.NOT_FOUND
        return Dispatcher(
            Asking(unknown, hosts, own or ()),
            {entrance.tenant.path: entrance for entrance in entrances if entrance.tenant.path},
            hosts=hosts,
            path_hosts=own,
            bad_request=pages.BAD_REQUEST,
        )


def _first_look(registry: Registry) -> WSGIApplication:
    """In development, ``/`` at the platform's own hosts lists the doors; everything else is not found, as ever."""
    doors, hosts = pages.doors(registry), registry.settings.hosts

    def first_look(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        at_root = environ.get("PATH_INFO") in ("", "/")
        ours = hosts == "*" or read_host(environ.get("HTTP_HOST", "")) in hosts
        return (doors if at_root and ours else pages.NOT_FOUND)(environ, start_response)

    return first_look


def _report(failure: TenantUnavailable) -> None:
    reason = str(failure).rstrip(".")
    log.error("%s. It answers 503, and is tried again in %.0f s.", reason, failure.retry_after)
