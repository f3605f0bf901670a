"""The section on what the time of an answer tells about an account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..markdown import machine, range_, table


def describe(result: dict[str, Any]) -> str:
    """Return the section; times in milliseconds an answer."""
    return f"""\
## What the time of an answer tells

Whether an account is there must not be told by the time that a wrong password, or a forgotten one, takes to answer
(row 32 of the attack matrix). {result["each"]} answers for known names and as many for unknown ones, in random order,
over real sockets, each from an address of its own, while a worker sends the mails. *Longer* is how often a known name
took longer than an unknown one, over all pairs: 0.5 if nothing can be told, give or take what chance alone does in 19
of 20 cases.

{table(("form", "known, ms", "unknown, ms", "longer", "by chance"), _rows(result["forms"]))}

{_verdict(result["forms"])}

{machine(result)}
"""


def _rows(forms: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, found in forms.items():
        chance = f"0.5 ± {found['by_chance']:.3f}"
        yield name, range_(found["known"], 1), range_(found["unknown"], 1), f"{found['longer']:.3f}", chance


def _verdict(forms: dict[str, Any]) -> str:
    lines = []
    for name, found in forms.items():
        told = abs(found["longer"] - 0.5) > found["by_chance"]
        alike = "all of one length and status" if len(found["answers"]) == 1 else f"**different**: {found['answers']}"
        lines.append(f"- {name}: the times can{'' if told else 'not'} be told apart; the answers are {alike}.")
    return "\n".join(lines)
