"""The tables of single tenants in a TOML text, cut out of it by their headers, so that one is read or changed alone.

A text is cut only where that is sure to be right: no string of several lines stands in it, and from the first tenant on
each line that begins with a bracket is the header of a tenant's table. Then each part is TOML by itself, and all parts
together say what the whole does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BRACKET = re.compile(r"^[ \t]*\[.*$", re.MULTILINE)
_OF_TENANTS = re.compile(r"[ \t]*\[+[ \t]*[\"']?tenants\b")
_KEY = r"[A-Za-z0-9_-]+"
_TENANT = re.compile(rf"[ \t]*\[tenants\.(?:({_KEY})|\"({_KEY})\")(?:\.(?:{_KEY}|\"[^\"\\\]]*\"))*\][ \t]*(?:#.*)?")


@dataclass(frozen=True, slots=True)
class Cut:
    """A text in parts: what stands before the tenants, and each tenant's tables, in their order."""

    head: str
    tables: dict[str, str]

    @property
    def text(self) -> str:
        """The whole again."""
        return self.head + "".join(self.tables.values())


def cut(text: str) -> Cut | None:
    """Cut a text into its tenants' tables; ``None`` where it cannot be cut, and has to be read as a whole."""
    if '"""' in text or "'''" in text:
        return None
    starts: list[tuple[str, int]] = []
    for found in _BRACKET.finditer(text):
        header = _TENANT.fullmatch(found[0].rstrip("\r"))
        if header is None:
            if starts or _OF_TENANTS.match(found[0]):  # written in another way
                return None
            continue
        slug = header[1] or header[2]
        if not starts or starts[-1][0] != slug:
            starts.append((slug, found.start()))
    if not starts:
        return Cut(text, {})
    if len(dict(starts)) != len(starts):  # a tenant with tables in two places
        return None
    ends = [start for _, start in starts[1:]] + [len(text)]
    tables = {slug: text[start:end] for (slug, start), end in zip(starts, ends, strict=True)}
    return Cut(text[: starts[0][1]], tables)
