"""``TenantApp``: a Flask that belongs to one tenant. Everything that works on ``flask.Flask`` works on it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from gettext import NullTranslations
from inspect import CO_COROUTINE
from pathlib import Path
from types import FunctionType, MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, Request, Response, request, send_from_directory
from flask.ctx import RequestContext
from flask.templating import Environment
from jinja2 import BaseLoader, FileSystemLoader
from werkzeug.exceptions import Aborter, HTTPException, NotFound
from werkzeug.routing import MapAdapter, Rule
from werkzeug.test import create_environ
from werkzeug.utils import cached_property
from werkzeug.wsgi import FileWrapper

from . import dates, db
from .alternates import alternates, language_links
from .api.results import ApiJSONProvider, convert
from .binding import bind_to_home, bind_to_request
from .error_pages import LateAborter, error_page
from .errors import DatabaseFull, DatabaseUnavailable
from .floor_plan import PlannedRule, TenantMap
from .languages import current_language, language_name, words_for_templates
from .requests import TenantRequest
from .sessions import TenantSessionInterface
from .suspension import Stream
from .template_code import TemplateCache, TenantEnvironment
from .users.current import current_user

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask.sansio.blueprints import Blueprint

    from .app import Platform
    from .registry import Tenant
    from .signing import TenantSigner
    from .sqlite import DatabaseFile


#: The words of all those tenants that have none of their own.
_NO_WORDS: Mapping[str, NullTranslations] = MappingProxyType({})


class TenantApp(Flask):
    """One tenant's Flask app, made by :func:`tenantry.create_app`. Takes what ``Flask`` takes.

    :ivar tenant: the tenant, with its deed. ``None`` on an app that the factory did not make.
    :ivar source: the tenant as the registry holds it, by which a change of its configuration shows.
    :ivar platform: the platform that serves it.
    :ivar signer: signs and verifies with this tenant's keys.
    :ivar database: the tenant's database, as the file that it was when the app was built.
    :ivar former_slugs: what the tenant was called before, by which browsers know its cookies still.
    :ivar sure_until: time, of the monotonic clock, until which that file need not be looked at again.
    :ivar overlay: the tenant's own folder, searched for templates and static files before the shared ones.
    :ivar own_words: by language, the catalogue of words that the tenant has of its own, with the shared one behind it.
    :ivar safety_headers: added to each answer that does not have them.
    :ivar navigation: endpoint and title of each page that the shipped look links at the top.
    :ivar first_content: blueprint and function of what is written once into the tenant's database.
    """

    jinja_environment = TenantEnvironment
    request_class = TenantRequest
    json_provider_class = ApiJSONProvider
    database: DatabaseFile

    # With these beside it, an app's dictionary stays as small as a plain Flask's: thirty keys, which Python packs.
    __slots__ = (
        "_canonical",
        "_url_rule_class",
        "database",
        "first_content",
        "former_slugs",
        "jinja_options",
        "navigation",
        "overlay",
        "own_words",
        "platform",
        "safety_headers",
        "session_interface",
        "signer",
        "source",
        "sure_until",
        "tenant",
        "url_map_class",
    )

    def __init__(
        self, *args: Any, tenant: Tenant | None = None, platform: Platform | None = None, **kwargs: Any
    ) -> None:
        self.tenant: Tenant = tenant  # type: ignore[assignment]  # always there on the factory's apps
        self.platform: Platform = platform  # type: ignore[assignment]  # as above
        self.signer: TenantSigner = None  # type: ignore[assignment]  # as above
        self.overlay: Path | None = None
        self.own_words: Mapping[str, NullTranslations] = _NO_WORDS
        self.source: Tenant | None = None
        self.former_slugs: tuple[str, ...] = ()
        self.sure_until = 0.0
        self._canonical: MapAdapter | None = None
        self.first_content: list[tuple[str, Callable[[], None]]] = []
        self.navigation: list[tuple[str, str]] = []
        self.safety_headers: list[tuple[str, str]] = []
        self.url_map_class, self._url_rule_class = self._inherited("url_map_class"), self._inherited("url_rule_class")
        self.session_interface = self._inherited("session_interface")
        # An object of its own, as an extension that changes the class's would change it for every tenant.
        self.jinja_options = {**self._inherited("jinja_options")}
        if platform is not None:
            self._share(platform)
        super().__init__(*args, **kwargs)

    @classmethod
    def _inherited(cls, name: str) -> Any:
        """Return what a class sets, past the place that ``__slots__`` keeps here for each app's own."""
        return next(
            found for each in cls.__mro__ if each is not TenantApp and (found := vars(each).get(name)) is not None
        )

    def _share(self, platform: Platform) -> None:
        """Take what all tenants share."""
        self.overlay = self.tenant.folder if self.tenant.folder.is_dir() else None
        self.url_map_class = platform.floor_plan.url_map_class
        self._url_rule_class = PlannedRule
        self.jinja_options |= {"cache_size": -1, "bytecode_cache": platform.template_code}

    @property
    def url_rule_class(self) -> type[Rule]:
        """The class of URL rules. An app that sets its own has rules of its own, those that were added before too."""
        return cast(type[Rule], self._url_rule_class)

    @url_rule_class.setter
    def url_rule_class(self, value: type[Rule]) -> None:
        self._url_rule_class = value
        if isinstance(self.url_map, TenantMap):
            self.url_map.share_nothing()

    def make_aborter(self) -> Aborter:
        """Flask's, but its table of all errors is made when it is first used."""
        return LateAborter() if self.aborter_class is Aborter else super().make_aborter()

    def add_url_rule(self, rule: str, endpoint: str | None = None, *args: Any, **options: Any) -> None:
        """Flask's, but an endpoint's name is one string for all tenants."""
        super().add_url_rule(rule, sys.intern(endpoint) if type(endpoint) is str else endpoint, *args, **options)

    @cached_property
    def name(self) -> str:
        """The import name, and the slug: loggers are found by name, and no two tenants may share one."""
        return f"{self.import_name}.{self.tenant.slug}" if self.platform is not None else super().name

    @cached_property
    def jinja_loader(self) -> BaseLoader | None:
        """The tenant's own templates, then those of the app's package; the blueprints' come after both."""
        folders = [str(self.overlay / "templates")] if self.overlay else []
        if self.template_folder is not None:
            folders.append(str(Path(self.root_path) / self.template_folder))
        return FileSystemLoader(folders) if folders else None

    def send_static_file(self, filename: str) -> Response:
        """Serve the tenant's own file of that name, else the app's package's."""
        return self.overlay_file(filename) or super().send_static_file(filename)

    def overlay_file(self, filename: str) -> Response | None:
        """Return the tenant's own static file of that name, if there is one."""
        if self.overlay is None:
            return None
        try:
            max_age = self.get_send_file_max_age(filename)
            return send_from_directory(self.overlay / "static", filename, max_age=max_age)
        except NotFound:
            return None

    def request_context(self, environ: WSGIEnvironment) -> RequestContext:
        """Flask's, but the session is opened when it is first used."""
        interface = self.session_interface
        if type(interface) is not TenantSessionInterface:  # one that an extension put in its place
            return super().request_context(environ)
        request = self.request_class(environ)
        request.json_module = self.json
        return RequestContext(self, environ, request, interface.open_later(self, request))

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Flask's, but links made outside a request lead to the tenant's canonical door.

        Inside one, nothing of a host is worked out again that was seen before.
        """
        if self.platform is None or self.config["SERVER_NAME"] is not None:
            return super().create_url_adapter(request)
        if request is not None:
            return bind_to_request(self, request) or super().create_url_adapter(request)
        if self._canonical is None or self._canonical.map is not self.url_map:
            self._canonical = bind_to_home(self)
        return self._canonical

    @property
    def home(self) -> str:
        """Address of the tenant's canonical door, without a slash at its end."""
        tenant = self.tenant
        return f"{tenant.settings.scheme}://{tenant.canonical_host}{self.platform.public_port}{tenant.canonical_path}"

    def internal_context(self) -> RequestContext:
        """Return the frame of this tenant's work inside another's request: a request that nobody sent, at its home.

        With a plain app context the other's request would stay in sight, and its session and links with it.
        """
        return self.request_context(
            create_environ("/", base_url=f"{self.home}/", environ_overrides={db.INTERNAL: True})
        )

    def create_jinja_environment(self) -> Environment:
        """Flask's environment, with the tenant and its language's words in it."""
        environment = super().create_jinja_environment()
        if self.platform is not None:
            environment.add_extension("jinja2.ext.i18n")
            environment.newstyle_gettext = True  # type: ignore[attr-defined]  # added by i18n
            environment.filters |= dates.FILTERS
            environment.globals |= {
                **words_for_templates(),
                "has_endpoint": self.view_functions.__contains__,
                "csrf_token": _csrf_token,
                "current_user": current_user,
                "current_tenant": self.tenant,
                "current_language": current_language,
                "language_links": language_links,
                "alternates": alternates,
                "language_name": language_name,
                "navigation": self.navigation,
            }
            if type(environment.cache) is dict:  # unless an extension chose another
                environment.cache = TemplateCache()
        return environment

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Flask's, but what is a plain function at first sight is not looked at again for each request."""
        if type(func) is FunctionType and not func.__dict__ and not func.__code__.co_flags & CO_COROUTINE:
            return func
        return super().ensure_sync(func)

    def preprocess_request(self) -> Any:
        """Flask's, but what a hook that raises has written is undone."""
        try:
            return super().preprocess_request()
        except BaseException:
            self._undo()
            raise

    def dispatch_request(self) -> Any:
        """Flask's, but what a view that raises has written is undone: it has not done its work."""
        try:
            return super().dispatch_request()
        except BaseException:
            self._undo()
            raise

    def handle_exception(self, e: Exception) -> Response:
        """Flask's, but what the failed commit, or a hook after the view, has left is undone before the page is made."""
        self._undo()
        return super().handle_exception(e)

    def log_exception(self, exc_info: Any) -> None:
        """Flask's, but what only says that the database cannot be used just now is one line, and no traceback."""
        if isinstance(exc_info[1], (DatabaseUnavailable, DatabaseFull)):
            self.logger.error("%s %r: %s", request.method, request.path, exc_info[1])
        else:
            super().log_exception(exc_info)

    def _undo(self) -> None:
        if self.platform is not None:
            db.rollback()

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Flask's, but every answer has the headers that keep pages safe, unless the app set them otherwise."""
        if self.platform is not None:
            start_response = start_safely(start_response, self.safety_headers)
        return super().wsgi_app(environ, start_response)

    def process_response(self, response: Response) -> Response:
        """Flask's, but a body that is made while it is sent ends when the tenant is no longer served."""
        response = super().process_response(response)
        if type(response.response) is not list and self.platform is not None:  # a page's is one
            self._look_after(response)
        return response

    def _look_after(self, response: Response) -> None:
        environ, body = request.environ, response.response
        is_file = isinstance(body, environ.get("wsgi.file_wrapper", FileWrapper))  # which the server sends by itself
        if response.is_streamed and not is_file:
            streams, connection = self.platform.streams, environ.get("gunicorn.socket")
            response.response = Stream(streams, self.tenant.slug, body, connection)

    def make_response(self, rv: Any) -> Response:
        """Flask's, but objects with ``to_json`` become JSON, and an error that nobody has answered is answered here."""
        if isinstance(rv, HTTPException) and self.platform is not None:
            rv = error_page(rv)
        return super().make_response(rv if isinstance(rv, (str, Response)) else convert(rv))


def _csrf_token() -> str:
    from .forms import csrf_token  # the form library is for those who have forms

    return csrf_token()


def start_safely(start_response: StartResponse, more: list[tuple[str, str]]) -> StartResponse:
    """Let an answer have more headers, where it has none of their names."""
    return cast("StartResponse", partial(_start_safely, start_response, more))


def _start_safely(
    start_response: StartResponse,
    more: list[tuple[str, str]],
    status: str,
    headers: list[tuple[str, str]],
    exc_info: Any = None,
) -> Any:
    # On the finished list, as four look-ups in Werkzeug's Headers would cost more than some views do.
    present = {name.lower() for name, _ in headers}
    headers.extend(pair for pair in more if pair[0].lower() not in present)
    return start_response(status, headers, exc_info)


def add_to_navigation(blueprint: Blueprint, endpoint: str = "index", title: str = "") -> None:
    """Link a page of a blueprint at the top of the shipped look, once for each registration.

    :param endpoint: its name within the blueprint.
    :param title: what the link says, to be translated; the name of the registration where it is left out.
    """

    def link(state: Any) -> None:
        if isinstance(state.app, TenantApp):
            state.app.navigation.append((f"{state.name}.{endpoint}", title or state.name.capitalize()))

    blueprint.record(link)


def on_provision(blueprint: Blueprint) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Mark a function that writes a blueprint's first content into a new tenant's database.

    It runs once for each tenant that has the blueprint, old or new, in the tenant's context. What several blueprints
    write at once is one transaction. ::

        @on_provision(bp)
        def write_first_pages() -> None:
            db.session.add(Page(title="Welcome"))
    """

    def decorate(function: Callable[[], None]) -> Callable[[], None]:
        def add(state: Any) -> None:
            if isinstance(state.app, TenantApp):  # the same blueprint also runs in a plain Flask app
                state.app.first_content.append((blueprint.name, function))

        blueprint.record_once(add)
        return function

    return decorate
