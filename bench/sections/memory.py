"""The section on the memory of forked workers."""

from __future__ import annotations

from typing import Any

from ..markdown import machine, range_, scaled, table


def describe(result: dict[str, Any]) -> str:
    """Return the section; memory in MiB, starts in seconds."""
    cases, rounds = result["cases"], result["rounds"]
    return f"""\
## Memory of forked workers

gunicorn with the shipped files and their hooks and {result["tenants"]:,} tenants, all of them live in every worker, in
{rounds} rounds. Their apps are built *on first use*, in each worker for itself, or *before the fork*, by the master,
with `[platform] warm = "all"`. *Private* is what only one worker has (USS), *with its share* adds what it shares,
divided by those who share it (PSS), both in MiB a worker; *all together* is the latter over the workers and the master.
*Started* is when each worker has answered once, *served* when each has answered {result["requests"]:,} requests for the
{result["page"]} page, for all tenants in random order.

{table(_COLUMNS, [_row(case, moment) for case in cases for moment in _MOMENTS])}

From the start to the first answer:

{table(("workers", "built", "seconds"), [_start(case) for case in cases])}

{_verdicts(cases, result["refused"])}

{machine(result)}
"""


_COLUMNS = ("workers", "built", "when", "private", "with its share", "all together")
_MOMENTS = ("started", "served")


def _row(case: dict[str, Any], moment: str) -> tuple[str, ...]:
    found = (case[moment][figure] for figure in ("worker_private_kib", "worker_share_kib", "all_share_kib"))
    return (str(case["workers"]), case["built"], moment, *(_mib(each) for each in found))


def _start(case: dict[str, Any]) -> tuple[str, ...]:
    return str(case["workers"]), case["built"], range_(case["first_answer_seconds"])


def _mib(found: dict[str, Any]) -> str:
    return range_(scaled(found, 1024), 1)


def _verdicts(cases: list[dict[str, Any]], refused: dict[str, str]) -> str:
    lines = [f"- Built {built}: not measured, as the configuration was refused." for built in refused]
    for workers in dict.fromkeys(case["workers"] for case in cases):
        found = [case["served"] for case in cases if case["workers"] == workers]
        if len(found) == 2:
            private, together = (
                found[1][key]["median"] / found[0][key]["median"] for key in ("worker_private_kib", "all_share_kib")
            )
            lines.append(
                f"- {workers} workers that have served, built before the fork ÷ built on first use: private memory "
                f"{private:.2f}, memory of all together {together:.2f}."
            )
    right, wrong = (sum(case[kind] for case in cases) for kind in ("right_answers", "wrong_answers"))
    lines.append(
        f"- Of {right + wrong:,} answers {wrong:,} were not the page of the tenant that was asked. To reach: 0."
    )
    return "\n".join(lines)
