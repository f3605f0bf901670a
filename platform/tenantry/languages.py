"""Languages: which one the current page is in, and its words.

Words are looked up in gettext catalogues, ``translations/<language>/LC_MESSAGES/messages.po``, of the look and of each
blueprint. They are read from their sources, so that there is no step of compiling to forget, once in a process, and
shared by all tenants, as they hold no tenant's data.
"""

from __future__ import annotations

from functools import cached_property
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from babel.core import Locale, UnknownLocaleError
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from babel.support import Translations
from flask import has_request_context, session
from flask.globals import app_ctx

from .context import current_tenant_app
from .errors import BadSetup

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Where a session keeps the visitor's choice.
_CHOICE = "_language"
_OURS = Path(__file__).parent / "look" / "translations"


class Catalogues:
    """All catalogues of a platform, by language.

    :param folders: the blueprints' ``translations`` folders.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = (_OURS, *folders)
        self._loaded: dict[str, NullTranslations] = {}

    def get(self, language: str) -> NullTranslations:
        """Return the words of a language; English, which stands in the sources, where there is no catalogue."""
        found = self._loaded.get(language)
        if found is None:
            found = self._loaded[language] = self._load(language)
        return found

    @cached_property
    def languages(self) -> frozenset[str]:
        """The languages that there are catalogues for, and English."""
        found = (
            path.parent.parent.name for folder in self._folders for path in folder.glob("*/LC_MESSAGES/messages.po")
        )
        return frozenset(("en", *(name.replace("_", "-") for name in found)))

    def _load(self, language: str) -> NullTranslations:
        paths = (folder / language.replace("-", "_") / "LC_MESSAGES" / "messages.po" for folder in self._folders)
        found = [_read(path) for path in paths if path.is_file()]
        if not found:
            return NullTranslations()
        for more in found[1:]:  # into the first, as a merge keeps the plural rule of what it goes into
            found[0].merge(more)
        return found[0]


def _read(path: Path) -> Translations:
    compiled = BytesIO()
    try:
        with path.open("rb") as file:
            write_mo(compiled, read_po(file, abort_invalid=True))
    except (PoFileError, UnicodeDecodeError) as error:
        raise BadSetup(f"The catalogue {path} is not valid: {error}") from None
    compiled.seek(0)
    return Translations(compiled)


def current_language() -> str:
    """Return the language of the current page: that of its address, else the visitor's choice, else the tenant's first.

    :raises NoTenantContext: outside a tenant's context.
    """
    known = current_tenant_app("current_language").tenant.languages
    chosen: str | None = getattr(app_ctx, "_tenantry_language", None)
    if chosen is None and len(known) > 1 and has_request_context():
        chosen = session.get(_CHOICE)
    return chosen if chosen in known else known[0]


def use_language(language: str, remember: bool = False) -> None:
    """Let the current page be in ``language``, one of the tenant's.

    :param remember: let the visitor's other pages be in it, too.

    :raises ValueError: if the tenant has no such language.
    """
    known = current_tenant_app("use_language").tenant.languages
    if language not in known:
        raise ValueError(f"'{language}' is not a language of this tenant; expected one of {', '.join(known)}")
    if remember and session.get(_CHOICE) != language:
        session[_CHOICE] = language
    app_ctx._tenantry_language = language  # type: ignore[attr-defined]  # ours, and not in g, which is the application's


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


def _words() -> NullTranslations:
    return current_tenant_app("gettext").platform.catalogues.get(current_language())
