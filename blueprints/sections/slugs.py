"""Slugs: the part of an address that names a page, made of a to z, digits, and single dashes between."""

from __future__ import annotations

import re
import unicodedata

#: Most characters of a slug.
LONGEST = 64
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
#: Letters that are written with two others where they cannot be had, or that no mark can be taken off.
_SPELLED = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "œ": "oe", "ø": "oe", "å": "aa", "þ": "th"}
    | {"ð": "d", "đ": "d", "ł": "l", "ħ": "h", "ı": "i", "&": " and ", "'": "", "’": ""}
)


def is_slug(text: str) -> bool:
    """Whether a text can stand in an address as it is."""
    return len(text) <= LONGEST and _SLUG.fullmatch(text) is not None


def make_slug(title: str) -> str:
    """Return a slug for a title: ``Größe & Maß`` becomes ``groesse-and-mass``. ``page`` where nothing is left of it."""
    spelled = unicodedata.normalize("NFC", title).lower().translate(_SPELLED)
    plain = "".join(each for each in unicodedata.normalize("NFKD", spelled) if not unicodedata.combining(each))
    return _cut("-".join(re.findall(r"[a-z0-9]+", plain)), LONGEST) or "page"


def number_slug(slug: str, number: int) -> str:
    """Return a slug with a number behind it, for a page whose slug another one has."""
    return f"{_cut(slug, LONGEST - len(str(number)) - 1)}-{number}"


def _cut(slug: str, length: int) -> str:
    return slug[:length].strip("-")
