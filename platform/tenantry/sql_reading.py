"""Reads SQL as far as has to be known of it: where it asks for certain tables, and which of these places are filtered.

It is read as words and brackets, select by select. A filter counts for a place in the same select, under the name that
the table has there, and where nothing weakens it: joined to other conditions by AND, in WHERE, or in ON for what is
joined by that. What is not understood counts as not filtered. The grammar is SQLite's (sqlite.org/lang.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple, TypeGuard

from sqlalchemy.dialects.sqlite.base import SQLiteIdentifierPreparer

#: What a table must not be known by, as it stands for something else in SQL; in quotes it may.
_KEYWORDS = frozenset(SQLiteIdentifierPreparer.reserved_words)
_TOKEN = re.compile(
    r"""/\*.*?(?:\*/|\Z)|--[^\n]*|'(?P<text>(?:[^']|'')*)'
    |"(?P<double>(?:[^"]|"")*)"|`(?P<tick>(?:[^`]|``)*)`|\[(?P<bracket>[^\]]*)\]|(?P<word>\w+)|(?P<sign>\S)""",
    re.DOTALL | re.VERBOSE,
)
#: Each begins another part of a select, and so ends what was before.
_CLAUSES = frozenset(
    (
        *("select", "from", "where", "group", "having", "order", "limit", "returning"),
        *("join", "on", "using", "into", "values", "update", "set"),
    )
)
#: What may stand before JOIN.
_JOINING = frozenset(("left", "right", "full", "inner", "outer", "cross", "natural"))
#: Where tables stand.
_ASKING = frozenset(("", "from", "join", "into", "update"))
_COMPOUND = frozenset(("union", "except", "intersect"))
#: Words after a table that are no other name for it.
_NO_NAMES = _CLAUSES | _JOINING | _COMPOUND | frozenset(("as", "default", "do", "indexed", "not", "window"))


class Token(NamedTuple):
    """A word, a name in quotes, or a sign; words and names in lower case."""

    kind: str
    text: str


#: Tokens, and what stands in brackets as a list of its own.
Items = list["Token | Items"]


class Place(NamedTuple):
    """Where a table is asked for, and under which name; nothing filters what is inserted into."""

    table: str
    name: str
    is_target: bool


class Reader:
    """Reads SQL for certain tables.

    :param tables: name to the column that is filtered by; in lower case.
    :param filtered: the word that stands after that column for a filter.
    """

    def __init__(self, tables: Mapping[str, str], filtered: str) -> None:
        self._tables, self._filtered = tables, filtered

    def unfiltered(self, sql: str) -> Iterator[str]:
        """Yield a table for each place where it is not filtered, and for each statement that moves its rows."""
        bare = sql.lower()
        if any(table in bare for table in self._tables):  # most statements name none, and need not be read
            yield from self._in_selects(tree_of(self._tokens(sql)))

    def first_words(self, sql: str) -> list[str]:
        """Return the two words with which it begins."""
        return [each.text for _, each in zip(range(2), self._tokens(sql), strict=False)]

    def _tokens(self, sql: str) -> Iterator[Token]:
        for found in _TOKEN.finditer(sql):
            kind, text = found.lastgroup, (found[found.lastgroup] if found.lastgroup else "").lower()
            if kind == "text":  # SQLite takes it for a name, where only a name can stand
                yield Token("name" if text in self._tables else "text", text)
            elif kind is not None:
                yield Token(kind if kind in ("word", "sign") else "name", text)

    def _in_selects(self, items: Items) -> Iterator[str]:
        for part in _split(items, _COMPOUND):
            places = list(self._places(part))
            filtered = set() if _lets_past(part) else set(self._filters(part))
            for place in places:
                if place.is_target or (place.name, place.table) not in filtered:
                    yield place.table
            yield from self._moved(part, places)
            for group in _selects_in(part):
                yield from self._in_selects(group)

    def _places(self, items: Items, clause: str = "") -> Iterator[Place]:
        for number, item in enumerate(items):
            if isinstance(item, list):
                if not _is_select(item) and clause != "into":
                    yield from self._places(item, clause)
            elif place := self._place(items, number, clause):
                yield place
            clause = _clause_after(items, number, clause)

    def _place(self, items: Items, number: int, clause: str) -> Place | None:
        """Return the place that a token is, if it is one: where tables stand, and after IN."""
        item, after = items[number], _at(items, number + 1)
        is_qualified = _is(_at(items, number - 1), ".")  # by the name of a schema, or it is a column
        before = _at(items, number - 3 if is_qualified else number - 1)
        if not self._is_table(item) or _is(before, "as") or _is(after, ".", "="):
            return None
        if clause not in _ASKING and not _is(before, "in"):
            return None
        named = _at(items, number + 2) if _is(after, "as") else after
        is_name = isinstance(named, Token) and (
            named.kind == "name" or (named.kind == "word" and named.text not in _NO_NAMES)
        )
        return Place(item.text, named.text if is_name else item.text, _is(before, "into"))  # type: ignore[union-attr]

    def _is_table(self, item: object) -> TypeGuard[Token]:
        if not isinstance(item, Token) or item.text not in self._tables:
            return False
        return item.kind == "name" or (item.kind == "word" and item.text not in _KEYWORDS)

    def _filters(self, items: Items, clause: str = "") -> Iterator[tuple[str, str]]:
        """Yield the names, and tables, of which rows that are not to be seen cannot be in what a select gives."""
        condition: Items = []
        joined: list[Place] = []
        for number, item in enumerate([*items, Token("sign", "")]):
            following = _clause_after(items, number, clause)
            if following != clause or item == ("sign", ""):
                yield from self._sure(condition, clause, joined if clause == "on" else list(self._places(items)))
                condition = []
            else:
                condition.append(item)
            if _is(item, "join", ",") and following in _ASKING:
                joined = []
            if isinstance(item, list) and clause in _ASKING and not _is_select(item):
                joined.extend(self._places(item, clause))
                yield from self._filters(item, clause)
            elif clause in _ASKING and number < len(items) and (place := self._place(items, number, clause)):
                joined.append(place)
            clause = following

    def _sure(self, condition: Items, clause: str, places: Iterable[Place]) -> Iterator[tuple[str, str]]:
        """Yield the names, and tables, for which a condition cannot hold without their filter."""
        if clause not in ("where", "on"):
            return
        for term in _terms(condition, self._filtered):
            match term:
                case [list() as group] if not _is_select(group):
                    yield from self._sure(group, clause, places)
                case [Token(_, name), Token("sign", "."), Token(_, column), Token("word", self._filtered)]:
                    yield from (
                        (name, each.table)
                        for each in places
                        if each.name == name and self._tables[each.table] == column
                    )

    def _moved(self, part: Items, places: list[Place]) -> Iterator[str]:
        """Yield the table whose rows an update gives to others."""
        clause, columns = "", {self._tables[place.table]: place.table for place in places}
        for number, (one, other) in enumerate(pairwise(part)):
            clause = _clause_after(part, number, clause)
            assigned = one if isinstance(one, list) else [one]
            if clause == "set" and _is(other, "="):
                yield from (columns[each.text] for each in assigned if isinstance(each, Token) and each.text in columns)


def tree_of(tokens: Iterable[Token]) -> Items:
    """Return tokens with what stands in brackets as lists of their own."""
    root: Items = []
    open_lists = [root]
    for token in tokens:
        if token == ("sign", "("):
            inner: Items = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
        elif token == ("sign", ")"):
            if len(open_lists) > 1:
                open_lists.pop()
        else:
            open_lists[-1].append(token)
    return root


def _is(item: object, *texts: str) -> bool:
    return isinstance(item, Token) and item.kind in ("word", "sign") and item.text in texts


def _at(items: Items, number: int) -> Token | Items | None:
    return items[number] if 0 <= number < len(items) else None


def _is_select(group: Items) -> bool:
    first = _at(group, 0)
    return _is_select(first) if isinstance(first, list) else _is(first, "select", "with", "values")


def _selects_in(items: Items) -> Iterator[Items]:
    for item in items:
        if isinstance(item, list):
            yield from ((item,) if _is_select(item) else _selects_in(item))


def _clause_after(items: Items, number: int, clause: str) -> str:
    """Return in which part of a select one is after an item. A comma after ON goes on with the tables."""
    item, before = _at(items, number), _at(items, number - 1)
    if not isinstance(item, Token) or item.kind != "word" or _is(before, "."):
        return "from" if clause in ("on", "using") and _is(item, ",") else clause
    if item.text in _JOINING:  # which may be the name of a column, too
        following = (_at(items, number + 1), _at(items, number + 2))
        return "join" if any(_is(each, "join") for each in following) else clause
    if item.text == "from" and _is(before, "distinct"):  # IS DISTINCT FROM
        return clause
    return item.text if item.text in _CLAUSES else clause


def _lets_past(items: Items) -> bool:
    """Whether there is a join that also gives the rows for which its condition does not hold."""
    return any(_is(one, "right", "full") and _is(other, "join", "outer") for one, other in pairwise(items)) or any(
        isinstance(item, list) and not _is_select(item) and _lets_past(item) for item in items
    )


def _split(items: Items, words: frozenset[str]) -> Iterator[Items]:
    part: Items = []
    for item in items:
        if _is(item, *words):
            yield part
            part = []
        else:
            part.append(item)
    yield part


def _terms(condition: Items, filtered: str) -> Iterator[Items]:
    """Yield what is joined by AND; nothing where there is an OR, but for that of a filter which lets NULL through."""
    terms: list[Items] = [[]]
    is_between, cases = False, 0
    for item in condition:
        cases += _is(item, "case") - _is(item, "end")
        if _is(item, "and") and not is_between and not cases:
            terms.append([])
        else:
            is_between = _is(item, "between") or (is_between and not _is(item, "and"))
            terms[-1].append(item)
    terms = [_without_null(each, filtered) for each in terms]
    if not any(_is(item, "or") for each in terms for item in each):
        yield from terms


def _without_null(term: Items, filtered: str) -> Items:
    """Return a filter without its ``OR … IS NULL``, by which it also lets through what is everybody's."""
    match term:
        case [a, b, c, Token("word", word), Token("word", "or"), *same, Token("word", "is"), Token("word", "null")] if (
            word == filtered and same == [a, b, c]
        ):
            return term[:4]
        case _:
            return term
