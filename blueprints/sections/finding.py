"""Finding pages by their words, with SQLite's FTS5. What somebody types is words, and never FTS5's own language."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from markupsafe import Markup, escape
from sqlalchemy import ColumnClause, column, func, literal_column, select, table

from tenantry import current_tenant, db

from .models import Page
from .pages import part_of, visible

#: Most pages in one list of results.
PER_PAGE = 20
#: Most characters of a query that are looked at, and most words.
_LONGEST, _MOST_WORDS = 200, 12
_WORD = re.compile(r"[^\W_]+")
#: What FTS5 puts around what it found. No form lets these characters into a page.
_BEGIN, _END = "\x02", "\x03"
_FOUND = re.compile(f"{_BEGIN}([^{_BEGIN}{_END}]*){_END}")
#: Signs of Markdown, which would only be in the way of reading.
_SIGNS = re.compile(r"[*`~|]+|^[#>\s]+", re.MULTILINE)
_LINK = re.compile(r"!?\[([^][]*)\]\([^()\s]*\)")
_WORDS_AROUND = 28

_INDEX = table("page_search", column("rowid"))
_TEXT: ColumnClause[str] = literal_column("page_search")
#: A word in the title counts as much as ten in the text.
_RANK = func.bm25(_TEXT, 10.0, 1.0)


class Result(NamedTuple):
    """A page that was found; ``title`` and ``snippet`` are safe HTML, with what was found in ``<mark>``."""

    section: str
    slug: str
    title: Markup
    snippet: Markup
    is_draft: bool


def to_match(query: str) -> str:
    """Return what FTS5 is asked for: every word of a query, the last as the beginning of one. Empty without words."""
    words = _WORD.findall(unicodedata.normalize("NFC", query[:_LONGEST]))[:_MOST_WORDS]
    return " ".join(f'"{word}"' for word in words) + "*" if words else ""


def find(query: str, number: int = 1) -> tuple[list[Result], bool]:
    """Return one part of the pages that have all words of a query, the best first, and whether there are more."""
    match = to_match(query)
    if not match:
        return [], False
    chosen = (
        select(Page.id, Page.section, Page.slug, Page.published_at)
        .join_from(_INDEX, Page, Page.id == _INDEX.c.rowid)
        .where(_TEXT.op("MATCH")(match), Page.section.in_(current_tenant.sections), visible())
        .order_by(_RANK, Page.id)
    )
    rows, has_more = part_of(chosen, number, PER_PAGE)
    texts = _texts(match, [row.id for row in rows])
    return [Result(row.section, row.slug, *texts[row.id], row.published_at is None) for row in rows], has_more


def _texts(match: str, ids: list[int]) -> dict[int, tuple[Markup, Markup]]:
    """Return what is shown of a few pages. FTS5 reads them whole for that, so not of all that match."""
    title = func.highlight(_TEXT, 0, _BEGIN, _END)
    snippet = func.snippet(_TEXT, 1, _BEGIN, _END, "…", _WORDS_AROUND)
    chosen = select(_INDEX.c.rowid, title, snippet).where(_TEXT.op("MATCH")(match), _INDEX.c.rowid.in_(ids))
    return {id: (mark(title), mark(_plain(text))) for id, title, text in db.session.execute(chosen)}


def mark(text: str) -> Markup:
    """Return a text as HTML with what was found in ``<mark>``, whatever else is in it."""
    marked = _FOUND.sub(r"<mark>\1</mark>", str(escape(text)))
    return Markup(marked.replace(_BEGIN, "").replace(_END, ""))  # noqa: S704  # escaped above


def _plain(text: str) -> str:
    return _SIGNS.sub("", _LINK.sub(r"\1", text))
