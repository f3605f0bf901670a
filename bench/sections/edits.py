"""The section on edits of the configuration."""

from __future__ import annotations

from typing import Any

from ..markdown import machine, range_, table, verdict


def describe(result: dict[str, Any]) -> str:
    """Return the section; seconds until an edit is live, milliseconds of the neighbours' pages."""
    return f"""\
## P9: an edit of tenants.toml

gunicorn with the shipped files and their hooks, two workers. In each of {result["rounds"]} rounds {result["edits"]}
edits give one tenant another title, while {result["visitors"]} others are visited, after as long a time in quiet.
*Live* is when each worker serves the edit, from the moment of writing, settling included; *by HUP* is the same by a
reload of gunicorn, which looks at all that the configuration names and starts new workers. *p99* is that of the
neighbours' pages.

{table(_COLUMNS, [_row(size) for size in result["sizes"]])}

Seconds that commands take, from start to end:

{table(("tenants", *_commands(result)), [_command_row(size) for size in result["sizes"]])}

{_verdicts(result["sizes"])}

{machine(result)}
"""


_COLUMNS = ("tenants", "live, s", "by HUP, s", "p99 in quiet, ms", "p99 while edited, ms", "ratio")


def _row(size: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{size['tenants']:,}",
        range_(size["live_seconds"]),
        range_(size["reload_seconds"]),
        range_(size["p99_quiet_ms"]),
        range_(size["p99_edited_ms"]),
        range_(size["p99_ratio"]),
    )


def _commands(result: dict[str, Any]) -> tuple[str, ...]:
    return tuple(result["sizes"][0]["commands"])


def _command_row(size: dict[str, Any]) -> tuple[str, ...]:
    return (f"{size['tenants']:,}", *(range_(found) for found in size["commands"].values()))


def _verdicts(sizes: list[dict[str, Any]]) -> str:
    lines = []
    for size in sizes:
        who = f"{size['tenants']:,} tenants"
        lines.append(verdict(f"{who}, live in every worker, the slowest edit", size["live_seconds"]["max"], 1.0, "s"))
        lines.append(verdict(f"{who}, neighbours' p99 while edited ÷ in quiet", size["p99_ratio"]["median"], 2.0, ""))
        slowest = max(found["median"] for found in size["commands"].values())
        lines.append(verdict(f"{who}, the slowest of the commands", slowest, 2.0, "s"))
    answers, wrong = (sum(size[kind] for size in sizes) for kind in ("answers", "wrong"))
    lines.append(f"- Of {answers:,} answers {wrong:,} were not the page that was asked for. To reach: 0.")
    return "\n".join(lines)
