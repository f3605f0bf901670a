"""Languages: which one the current page is in, and its words."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache, lru_cache
from gettext import NullTranslations
from typing import TYPE_CHECKING, Any

from babel.core import Locale, UnknownLocaleError
from flask import has_request_context, request, session
from flask.globals import app_ctx, request_ctx
from jinja2 import Environment
from werkzeug.exceptions import HTTPException

from .context import current_tenant_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .users.current import CurrentUser

#: Where a session keeps the visitor's choice, and the argument of an address that makes it.
_CHOICE, ARGUMENT = "_language", "lang"


def current_language() -> str:
    """Return the language of the current page, one of the tenant's.

    That of its address; else ``?lang=``, which is remembered; else what the visitor chose before; else that of their
    account; else the tenant's first. In a block of :func:`speaking`, that one.

    :raises NoTenantContext: outside a tenant's context.
    """
    known = current_tenant_app("current_language").tenant.languages
    chosen: str | None = getattr(app_ctx, "_tenantry_language", None)
    if chosen is None and len(known) > 1 and has_request_context():
        chosen = _of_request(known)
    return chosen if chosen in known else known[0]


def _of_request(known: tuple[str, ...]) -> str | None:
    """Return the language that a request tells by itself, found once; ``None`` while it is not known who asks."""
    context = request_ctx._get_current_object()  # type: ignore[attr-defined]  # a LocalProxy
    found: str | None = getattr(context, "_tenantry_language", None)
    if found is None:
        found = _asked_for(known) or session.get(_CHOICE)
        if found not in known:
            user = reader()
            if user is None:
                return None
            found = user.language if user.language in known else known[0]
        context._tenantry_language = found
    return found


def _asked_for(known: tuple[str, ...]) -> str | None:
    """Return the language that ``?lang=`` names, and remember it."""
    if ARGUMENT not in request.environ.get("QUERY_STRING", ""):
        return None
    language = request.args.get(ARGUMENT)
    if language not in known:
        return None
    _remember(language)
    return language


def _remember(language: str) -> None:
    if session.get(_CHOICE) != language:
        session[_CHOICE] = language


def reader() -> CurrentUser | None:
    """Return who reads the page, or nobody; ``None`` while that is not known.

    A token or password that came along is for the view to judge. Were it refused here, where pages only ask for their
    language, the view would find nobody, and might go on.
    """
    from .users.current import find

    is_known = getattr(app_ctx, "_tenantry_user", None) is not None
    if not is_known and has_request_context() and "Authorization" in request.headers:
        return None
    try:
        return find()
    except HTTPException:  # and the page that tells of it has a language, too
        return None


def use_language(language: str, remember: bool = False) -> None:
    """Let the current page be in ``language``, one of the tenant's.

    :param remember: let the visitor's other pages be in it, too.

    :raises ValueError: if the tenant has no such language.
    """
    known = current_tenant_app("use_language").tenant.languages
    if language not in known:
        raise ValueError(f"'{language}' is not a language of this tenant; expected one of {', '.join(known)}")
    if remember:
        _remember(language)
    app_ctx._tenantry_language = language  # type: ignore[attr-defined]  # ours, and not in g, which is the application's


@contextmanager
def speaking(language: str | None, timezone: str | None = None) -> Iterator[None]:
    """Let the block speak to somebody else than the one who asks, as in a mail; in jobs too. Blocks nest. ::

        with speaking(user.language, user.timezone):
            subject = gettext("Welcome")

    :param language: the tenant's first is spoken where it is ``None``, or one that the tenant does not have.
    :param timezone: that of dates in the block; the tenant's where it is left out.
    """
    known = current_tenant_app("speaking").tenant.languages
    context = app_ctx._get_current_object()  # type: ignore[attr-defined]  # a LocalProxy
    before = getattr(context, "_tenantry_language", None), getattr(context, "_tenantry_timezone", None)
    context._tenantry_language = language if language in known else known[0]
    context._tenantry_timezone = timezone or ""
    try:
        yield
    finally:
        context._tenantry_language, context._tenantry_timezone = before


@lru_cache(maxsize=256)
def language_name(language: str) -> str:
    """Return a language's name in itself, e.g. ``Deutsch`` for ``de``; the code where nobody knows it."""
    try:
        return (Locale.parse(language, sep="-").get_display_name() or language).capitalize()
    except (UnknownLocaleError, ValueError):
        return language


def gettext(message: str) -> str:
    """Return ``message`` in the language of the current page."""
    return _words().gettext(message)


def ngettext(singular: str, plural: str, n: int) -> str:
    """Return one of two messages, by what ``n`` things are called in the language of the current page."""
    return _words().ngettext(singular, plural, n)


def pgettext(context: str, message: str) -> str:
    """Return ``message`` as it is meant in a context, e.g. ``pgettext("month", "May")``."""
    return _words().pgettext(context, message)


def npgettext(context: str, singular: str, plural: str, n: int) -> str:
    """Return one of two messages as they are meant in a context."""
    return _words().npgettext(context, singular, plural, n)


@cache
def words_for_templates() -> dict[str, Any]:
    """Return the functions above as templates know them (Jinja's new style), made once for all tenants."""
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # added by i18n
        gettext, ngettext, newstyle=True, pgettext=pgettext, npgettext=npgettext
    )
    return {name: environment.globals[name] for name in ("gettext", "ngettext", "pgettext", "npgettext")}


def _words() -> NullTranslations:
    app, language = current_tenant_app("gettext"), current_language()
    return app.own_words.get(language) or app.platform.catalogues.get(language)
