"""Finding pages by their words, with SQLite's FTS5. What somebody types is words, and never FTS5's own language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
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
#: Signs of Markdown, which would only be in the way of reading.
_SIGNS = re.compile(r"[*`~|]+|^[#>\s]+", re.MULTILINE)
_LINK = re.compile(r"!?\[([^][]*)\]\([^()\s]*\)")
#: How many characters of a page are looked through for what to show of it, and how many words are shown.
_READ, _WORDS_SHOWN, _WORDS_BEFORE = 20_000, 28, 8

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
    words = _words(query)
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
    texts = _texts(query, [row.id for row in rows])
    return [Result(row.section, row.slug, *texts[row.id], row.published_at is None) for row in rows], has_more


def _texts(query: str, ids: list[int]) -> dict[int, tuple[Markup, Markup]]:
    """Return what is shown of a few pages.

    Not by FTS5's own functions: they take seconds for a page that has a word ten thousand times.
    """
    is_wanted = _finder(query)
    beginnings = select(Page.id, Page.title, func.substr(Page.body, 1, _READ)).where(Page.id.in_(ids))
    return {
        row: (_mark(title, is_wanted), _mark(_around(_plain(body), is_wanted), is_wanted))
        for row, title, body in db.session.execute(beginnings)
    }


def _finder(query: str) -> Callable[[str], bool]:
    """Return what tells whether a word is one of a query, as the index compares them: without accents, in any case."""
    *whole, last = (_fold(word) for word in _words(query))
    return lambda word: (folded := _fold(word)) in whole or folded.startswith(last)


def _words(query: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFC", query[:_LONGEST]))[:_MOST_WORDS]


def _fold(word: str) -> str:
    parted = unicodedata.normalize("NFD", word)
    return "".join(each for each in parted if not unicodedata.combining(each)).casefold()


def _around(text: str, is_wanted: Callable[[str], bool]) -> str:
    """Return the words around the first that was found, or the first ones."""
    words = list(_WORD.finditer(text))
    found = next((number for number, word in enumerate(words) if is_wanted(word[0])), 0)
    chosen = words[max(0, found - _WORDS_BEFORE) :][:_WORDS_SHOWN]
    if not chosen:
        return text[:_WORDS_SHOWN]
    begin, end = chosen[0].start(), chosen[-1].end()
    return ("…" if begin else "") + text[begin:end] + ("…" if end < len(text.rstrip(" .")) else "")


def _mark(text: str, is_wanted: Callable[[str], bool]) -> Markup:
    """Return a text as HTML with the words that were found in ``<mark>``, whatever else is in it."""
    marked, place = Markup(), 0
    for word in _WORD.finditer(text):
        if is_wanted(word[0]):
            marked += Markup("{}<mark>{}</mark>").format(text[place : word.start()], word[0])
            place = word.end()
    return marked + escape(text[place:])


def _plain(text: str) -> str:
    return " ".join(_SIGNS.sub("", _LINK.sub(r"\1", text)).split())
