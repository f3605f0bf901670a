"""What is wrong with what was sent: each mistake with its place, in words for a person."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from pydantic import ValidationError

from ..errors import did_you_mean
from ..texts import is_hidden

#: More mistakes than anybody reads are not told, and a longer message about a pattern says nothing to a person.
_MOST_MISTAKES, _LONGEST_PATTERN = 100, 100


def mistakes_of(error: ValidationError, known: Iterable[str], *, parameters: bool = False) -> list[dict[str, str]]:
    """Return every mistake that pydantic has found.

    :param known: the names that are expected, of which the nearest is told.
    :param parameters: whether it was the address that was looked at, and not the body.
    """
    found = []
    for each in islice(error.errors(include_url=False), _MOST_MISTAKES):
        name = str(each["loc"][-1]) if each["loc"] else ""
        place = {"parameter": name} if parameters else {"pointer": pointer(each["loc"])}
        found.append({**place, "message": _message(dict(each), name[:80], known)})
    return found


def _message(mistake: dict[str, Any], name: str, known: Iterable[str]) -> str:
    sent, told = mistake["input"], mistake.get("ctx", {})
    match mistake["type"]:
        case "extra_forbidden":
            return f"There is no '{name}' here{did_you_mean(name, known) or '.'}"
        case "too_long" | "string_too_long" if isinstance(sent, str):
            return f"It has {len(sent):,} characters; expected {told['max_length']} at the most."
        case "string_pattern_mismatch" if len(mistake["msg"]) > _LONGEST_PATTERN:
            return _unseen(sent)
        case "json_invalid" if not sent:
            return "It is empty; expected an object."
    return str(mistake["msg"]).removeprefix("Value error, ")


def _unseen(text: str) -> str:
    """Return what is wrong with a text that is not one of those that can be seen."""
    if not text.strip():
        return "It is empty; expected some text."
    # Ends of lines and tabs come last, as a text of several lines may have them.
    hidden = sorted(filter(is_hidden, text), key="\t\r\n".find)
    if not hidden:
        return "It has nothing that can be seen; expected some text."
    if hidden[0] in "\r\n":
        return "It has an end of a line; expected one line, or, where there may be several, the usual ends."
    return f"It has a character that cannot be seen (U+{ord(hidden[0]):04X}); expected none."


def pointer(location: Iterable[int | str]) -> str:
    """Return a place in a document as a JSON pointer (RFC 6901); empty for the whole of it."""
    return "".join("/" + str(each).replace("~", "~0").replace("/", "~1") for each in location)
