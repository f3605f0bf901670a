"""The difference between two texts, line by line, and by words within lines that changed.

:mod:`difflib` can take time with the cube of what it compares. So that any two texts are compared within a second or
so, more than ``MOST_LINES`` changed lines are shown as one block replaced, and words are only looked at while
``_MOST_PAIRS`` lasts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

#: Most lines, between what both texts begin and end with, that are compared one by one.
MOST_LINES = 1000
#: Most lines that are shown.
MOST_SHOWN = 1500
#: How many pairs of words may be compared in all, and within one line.
_MOST_PAIRS, _MOST_PAIRS_OF_LINE = 1_000_000, 160_000
#: Unchanged lines that are shown around a change.
_AROUND = 3

Pieces = list[tuple[bool, str]]


@dataclass(slots=True)
class Line:
    """A line of a difference.

    :ivar kind: ``same``, ``deleted``, ``added``; ``skipped`` for unchanged lines that are left out, ``cut`` for all
        that would be too much to show.
    :ivar pieces: its text, in pieces of which each says whether it is what changed.
    :ivar count: how many lines are left out.
    """

    kind: str
    pieces: Pieces
    count: int = 0


def compare(old: str, new: str) -> list[Line]:
    """Return what became of a text, empty if nothing."""
    if old == new:
        return []
    lines = list(_Comparison().lines(old.split("\n"), new.split("\n")))
    left_out = len(lines) - MOST_SHOWN
    return [*lines[:MOST_SHOWN], Line("cut", [], left_out)] if left_out > 0 else lines


class _Comparison:
    def __init__(self) -> None:
        self._pairs_left = _MOST_PAIRS

    def lines(self, old: list[str], new: list[str]) -> Iterator[Line]:
        blocks = list(_blocks(old, new, MOST_LINES))
        for index, (same, before, after) in enumerate(blocks):
            if same:
                yield from _shortened(before, index == 0, index == len(blocks) - 1)
            else:
                yield from self._changed(before, after)

    def _changed(self, old: list[str], new: list[str]) -> Iterator[Line]:
        pairs = [self._words(*pair) for pair in zip(old, new, strict=True)] if len(old) == len(new) else []
        yield from (Line("deleted", pieces) for pieces in ([each[0] for each in pairs] or map(_whole, old)))
        yield from (Line("added", pieces) for pieces in ([each[1] for each in pairs] or map(_whole, new)))

    def _words(self, old: str, new: str) -> tuple[Pieces, Pieces]:
        """Return both lines in pieces; whole, if there are too many words, or nothing in common."""
        before, after = _split(old), _split(new)
        pairs = len(before) * len(after)
        if pairs > min(_MOST_PAIRS_OF_LINE, self._pairs_left):
            return _whole(old), _whole(new)
        self._pairs_left -= pairs
        blocks = list(_blocks(before, after, len(before) + len(after)))
        if not any(same and "".join(words).strip() for same, words, _ in blocks):
            return _whole(old), _whole(new)
        return (
            [(not same, "".join(words)) for same, words, _ in blocks if words],
            [(not same, "".join(words)) for same, _, words in blocks if words],
        )


def _blocks(old: list[str], new: list[str], most: int) -> Iterator[tuple[bool, list[str], list[str]]]:
    """Yield what is the same, and what was replaced by what, in turn."""
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    before, after = old[start : len(old) - end], new[start : len(new) - end]
    if start:
        yield True, old[:start], new[:start]
    if max(len(before), len(after)) > most:
        yield False, before, after
    else:
        for kind, i, j, k, m in SequenceMatcher(None, before, after).get_opcodes():
            yield kind == "equal", before[i:j], after[k:m]
    if end:
        yield True, old[len(old) - end :], new[len(new) - end :]


def _common(old: list[str], new: list[str]) -> int:
    """Return how many both begin with."""
    pairs = zip(old, new, strict=False)
    return next((count for count, (one, other) in enumerate(pairs) if one != other), min(len(old), len(new)))


def _shortened(lines: list[str], first: bool, last: bool) -> Iterator[Line]:
    """Yield the lines next to the changes, and how many there are between."""
    head, tail = 0 if first else _AROUND, 0 if last else _AROUND
    between = len(lines) - head - tail
    if between <= 1:
        yield from (Line("same", [(False, line)]) for line in lines)
        return
    yield from (Line("same", [(False, line)]) for line in lines[:head])
    yield Line("skipped", [], between)
    yield from (Line("same", [(False, line)]) for line in lines[len(lines) - tail :])


def _whole(line: str) -> Pieces:
    return [(False, line)]


def _split(line: str) -> list[str]:
    return re.findall(r"\w+|\s+|[^\w\s]", line)
