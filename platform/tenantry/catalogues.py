"""Words: gettext catalogues, ``translations/<language>/LC_MESSAGES/messages.po``, read from their sources.

So there is no step of compiling to forget. Those of the look and of each blueprint are read once in a process, and
shared by all tenants, as they hold no tenant's data. A tenant's own folder may have catalogues too, which override
single words for that tenant alone.
"""

from __future__ import annotations

import re
import string
from functools import cached_property
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

from .errors import BadSetup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from babel.messages.catalog import Catalog, Message

    from .registry import Tenant

_OURS = Path(__file__).parent / "look" / "translations"
_FILE = Path("LC_MESSAGES") / "messages.po"
#: The most plural forms that a language has is six (Arabic); Babel makes a list of as many as a catalogue claims.
_FORMS = re.compile(rb"nplurals\s*=\s*(?![1-6]\b)[^;\\\"]*")
#: Python reads the rule of plurals as an expression of numbers (gettext.c2py); a division may still fail, on some page.
_RISKY = re.compile(r"[/%](?!\s*[1-9])")
_NAMED = re.compile(r"%\((\w+)\)")
#: A placeholder without a name, which would be filled with all values at once.
_UNNAMED = re.compile(r"(?<!%)(?:%%)*%(?![(%])")


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
        found = (path.parent.parent.name for folder in self._folders for path in folder.glob(f"*/{_FILE}"))
        return frozenset(("en", *(name.replace("_", "-") for name in found)))

    def of_tenant(self, tenant: Tenant) -> dict[str, NullTranslations]:
        """Return a tenant's own words by language, with the shared ones behind them. Empty where it has none.

        :raises BadSetup: if one of its catalogues is not valid, or stands where none is looked for.
        """
        folder = tenant.folder / "translations"
        found: dict[str, NullTranslations] = {}
        if not folder.is_dir():
            return found
        _check_places(folder)
        for language in tenant.languages:
            path = _place(folder, language)
            if path.is_file():
                own = _compile(path, _check_placeholders(path, _read(path)))
                own.add_fallback(self.get(language))
                found[language] = own
        return found

    def _load(self, language: str) -> NullTranslations:
        paths = (_place(folder, language) for folder in self._folders)
        found = [_compile(path, _read(path)) for path in paths if path.is_file()]
        if not found:
            return NullTranslations()
        for more in found[1:]:  # into the first, as a merge keeps the plural rule of what it goes into
            found[0].merge(more)
        return found[0]


def _place(folder: Path, language: str) -> Path:
    return folder / language.replace("-", "_") / _FILE


def _check_places(folder: Path) -> None:
    for path in sorted(folder.rglob("*.po")):
        if not path.match(f"translations/*/{_FILE}"):
            raise BadSetup(f"The catalogue {path} is not where one is looked for; expected {_place(folder, 'de')}")


def _read(path: Path) -> Catalog:
    try:
        text = path.read_bytes()
        if claim := _FORMS.search(re.sub(rb'"\s*\n\s*"', b"", text)):
            raise ValueError(f"'{claim[0].decode(errors='replace')}' plural forms; expected 1 to 6")
        # Without a language Babel would leave the rule of plurals out.
        catalog = read_po(BytesIO(text), locale=path.parent.parent.name, abort_invalid=True)
        if _RISKY.search(catalog.plural_expr):
            raise ValueError(f"the rule of plurals divides by what may be nothing: {catalog.plural_expr}")
    except Exception as error:  # Babel raises a dozen kinds for what is not valid
        raise _invalid(path, error) from None
    for message in list(catalog):
        if isinstance(message.string, tuple) and not all(message.string):
            catalog.delete(message.id, message.context)  # or the sources' English would be taken for its translation
    return catalog


def _compile(path: Path, catalog: Catalog) -> Translations:
    compiled = BytesIO()
    try:
        write_mo(compiled, catalog)
        compiled.seek(0)
        return Translations(compiled)
    except Exception as error:  # gettext does so too
        raise _invalid(path, error) from None


def _invalid(path: Path, error: Exception) -> BadSetup:
    return BadSetup(f"The catalogue {path} is not valid: {' '.join(str(error).split()) or type(error).__name__}")


def _check_placeholders(path: Path, catalog: Catalog) -> Catalog:
    """A name that nobody gives a value, or a bare ``%``, would break each page that shows it, so it is told now."""
    for message in catalog:
        if message.id and not message.fuzzy:
            for misfit in _misfits(message):
                raise BadSetup(f"The catalogue {path}, line {message.lineno}, does not fit its message: {misfit}")
    return catalog


def _misfits(message: Message) -> Iterator[str]:
    ids = message.id if isinstance(message.id, (list, tuple)) else (message.id,)
    texts = message.string if isinstance(message.string, (list, tuple)) else (message.string,)
    values = dict.fromkeys(_NAMED.findall(" ".join(ids)), 1)
    fields = {name for each in ids for name in _fields(each) or ()}
    for text in filter(None, texts):
        if all(_fills(each, values) for each in ids) and not _fills(text, values):
            names = ", ".join(f"%({name})s" for name in values) or "no placeholder, and %% for a percent sign"
            yield f"'{text}'; expected {names}"
        found = _fields(text) if fields else ()
        if found is None or not fields.issuperset(found):
            yield f"'{text}'; expected {', '.join(f'{{{name}}}' for name in sorted(fields))}"


def _fills(text: str, values: dict[str, int]) -> bool:
    """Whether ``%`` can put so named values into a text, as templates do."""
    if _UNNAMED.search(text):
        return False
    try:
        text % values
    except (KeyError, TypeError, ValueError):
        return False
    return True


def _fields(text: str) -> list[str] | None:
    """Return the names in braces that ``str.format`` would fill; ``None`` if it could not."""
    try:
        return [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    except ValueError:
        return None
