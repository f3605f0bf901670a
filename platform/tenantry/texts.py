"""What may stand in a text that somebody sends, by a form or by the API: what can be seen, in one form, and bounded."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

#: Characters that turn the direction of the text around them, by which one text can pass for another (UAX #9).
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
#: The same characters, with those that control, and what parts lines, for a set in a pattern: of ECMA-262, which is
#: what JSON Schema has, and of Rust, which is what pydantic has. JSON has no halves of surrogates.
_HIDDEN = r"\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_IN_A_LINE = rf"[^\u0000-\u001f{_HIDDEN}]"
_IN_LINES = rf"([^\u0000-\u0008\u000b-\u001f{_HIDDEN}]|\r\n)"
#: Space, and what is as invisible as that.
_EMPTY = (
    r"\s\u0000-\u0020\u00a0\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2060-\u206f\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
_SEEN = f"[^{_EMPTY}{_HIDDEN}]"


def is_hidden(character: str) -> bool:
    """Whether a character cannot be seen and is not space: it controls, parts lines, or turns what is around it."""
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in TURNING


def unified(text: str) -> str:
    """Return a text in one form of what can be written in several ways, with line ends as Unix has them (UAX #15)."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n"))


def _clean(text: str) -> str:
    return unified(text).strip()


#: A text of one line, with something to be seen in it; and of several, which may be empty. Both need a ``max_length``.
Line = Annotated[str, Field(min_length=1, pattern=f"^{_IN_A_LINE}*{_SEEN}{_IN_A_LINE}*$"), AfterValidator(_clean)]
Lines = Annotated[str, Field(pattern=f"^{_IN_LINES}*$"), AfterValidator(_clean)]
#: A text of several lines, with something to be seen in it.
Text = Annotated[str, Field(min_length=1, pattern=f"^{_IN_LINES}*{_SEEN}{_IN_LINES}*$"), AfterValidator(_clean)]
