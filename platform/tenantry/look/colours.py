"""Colours that can be read: contrast as WCAG 2.2 measures it, and a tenant's colour brought as far as it must be.

A colour is text like ``#0b6e99``. Source: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

#: The least contrast to its ground of text, and of what must be seen but not read, as outlines (1.4.3, 1.4.11).
TEXT, EDGE = 4.5, 3.0
_STEPS = 32


@dataclass(frozen=True, slots=True)
class Scheme:
    """The grounds of a page and the ink on them, as ``tenantry.css`` has them."""

    paper: str
    sheet: str
    ink: str


LIGHT = Scheme(paper="#fbfbfa", sheet="#ffffff", ink="#1d2126")
DARK = Scheme(paper="#16181b", sheet="#1f2226", ink="#e8e9ea")


@lru_cache(maxsize=256)
def theme_of(brand: str) -> str:
    """Return the stylesheet of a tenant's colour: itself, what is readable on it, and what of it is so on a page."""
    link, edge = (
        f"light-dark({brought_to(least, brand, LIGHT)}, {brought_to(least, brand, DARK)})" for least in (TEXT, EDGE)
    )
    return f":root {{ --brand: {brand}; --on-brand: {readable_on(brand)}; --link: {link}; --edge: {edge}; }}\n"


def readable_on(color: str) -> str:
    """Return black or white, whichever has more contrast to a colour."""
    return max("#ffffff", "#000000", key=lambda ink: contrast(ink, color))


def brought_to(least: float, color: str, scheme: Scheme) -> str:
    """Return the colour nearest to another, on the way to the ink, that has the least contrast to both grounds."""
    steps = (_between(color, scheme.ink, step / _STEPS) for step in range(_STEPS + 1))
    return next(
        (each for each in steps if min(contrast(each, scheme.paper), contrast(each, scheme.sheet)) >= least), scheme.ink
    )


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    parts = (part / 255 for part in _parts(color))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _between(one: str, other: str, share: float) -> str:
    mixed = (round(a + (b - a) * share) for a, b in zip(_parts(one), _parts(other), strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _parts(color: str) -> tuple[int, ...]:
    """Return red, green and blue, 0 to 255."""
    return tuple(bytes.fromhex(color[1:]))
