"""The section on the API: its list of 50 tasks, what the security context costs, and the memory of exports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..markdown import machine, range_, scaled, table, verdict, verdict_on_ratio

#: Requests a second of the list ÷ those of the same page in plain Flask.
RATIO = 1.0
#: Most that the security context should take of a page that has nothing to do with it.
SCOPE_SHARE = 0.03
#: Most MiB by which an export of the most rows may grow more than one of the fewest, to be called flat.
FLAT_MIB = 4
_EXPORT_COLUMNS = ("form", "rows", "side", "before", "at most", "growth", "after", "rows/s", "first byte, ms")
_NAMES = {"tenantry": "Tenantry", "plain": "plain Flask"}


def describe(result: dict[str, Any]) -> str:
    """Return the section; rates in requests a second, processor times in microseconds, memory in MiB."""
    parts = {"list": _list, "scope": _scope, "export": _export}
    told = (tell(result[part]) for part, tell in parts.items() if part in result)
    return "\n".join(("## The API\n", *told, machine(result), ""))


def _list(found: dict[str, Any]) -> str:
    pages, server, client = found["pages"], found["server"], found["client"]
    rounds = len(pages[0]["ratios"]["tenantry/plain"]["rounds"])
    return f"""\
### A list of 50 tasks (P5)

The tasks of one project, sorted, asked for with a token, of a tenant that has the whole shipped set and
{found["organizations"]} organizations, {found["projects"]} projects and {found["tasks"]:,} tasks; the one who asks sees
one organization's. The peer is the same page in plain Flask with Flask-SQLAlchemy as its documentation shows it: it
looks the token up by its digest, filters by the asker's organizations, and has `paginate` count and fetch, on a SQLite
file with the same tables, rows and settings. Both were checked to give the same JSON but for addresses, and to know
their entity tags. *50 tasks* is the first part, as it comes by default; *page 2* is asked for by number. gunicorn has
{server["workers"]} × {server["threads"]} threads ({server["worker_class"]}),
wrk {client["wrk"]} asks, in {rounds} rounds of {client["slices"]} × {client["seconds"]} s
with new servers in every round. Tenantry also counts the asker's requests and says in headers what is left, which its
peer does not. Requests a second, then microseconds of the workers' processor time for an answer:

{_page_table(pages)}

{_instructions(found["instructions"])}
Requests a second, Tenantry ÷ plain. Where the rounds of one line lie far apart, other programs were at work; the
instructions tell more then.

{_verdicts(pages)}
- {_errors(pages)}

{_profile(found["profile"])}
"""


def _page_table(pages: Iterable[dict[str, Any]]) -> str:
    sides = [f"{name}, {what}" for what in ("requests/s", "µs") for name in _NAMES.values()]
    return table(("page", "connections", *sides, "Tenantry ÷ plain"), map(_page_row, pages))


def _page_row(page: dict[str, Any]) -> tuple[str, ...]:
    figures = [range_(page[kind][side], 0) for kind in ("requests_per_second", "cpu_us_per_answer") for side in _NAMES]
    return (page["page"], str(page["connections"]), *figures, range_(page["ratios"]["tenantry/plain"]))


def _instructions(pages: list[dict[str, Any]]) -> str:
    if not pages:
        return ""
    rows = [
        (page["page"], *(range_(scaled(page[side], 1e3), 0) for side in _NAMES), range_(page["ratio"], 3))
        for page in pages
    ]
    head = "Thousands of instructions of the processor a request, counted as above, so that no noise is in them:"
    told = (
        verdict(f"{page['page']}, instructions, Tenantry ÷ plain", page["ratio"]["median"], 1 / RATIO, "", 3)
        for page in pages
    )
    return "\n".join((head, "", table(("page", *_NAMES.values(), "Tenantry ÷ plain"), rows), "", *told, ""))


def _verdicts(pages: Iterable[dict[str, Any]]) -> str:
    return "\n".join(
        verdict_on_ratio(
            f"{page['page']}, {page['connections']} connections, requests/s", page["ratios"]["tenantry/plain"], RATIO
        )
        for page in pages
    )


def _errors(pages: list[dict[str, Any]]) -> str:
    answers, bad, broken = (
        sum(sum(page[kind].values()) for page in pages) for kind in ("answers", "bad_answers", "socket_errors")
    )
    return f"Of {answers:,} answers {bad:,} had a status of 400 or above; {broken:,} socket errors. To reach: 0 each."


def _profile(profiles: dict[str, Any]) -> str:
    (page, found), *_ = profiles.items()
    parts = [f"{name} {part['share'] * 100:.0f} %" for name, part in found.items() if part["share"] >= 0.01]
    return f"Where the time of *{page}* goes in Tenantry, by the library whose code runs: {', '.join(parts)}."


def _scope(found: dict[str, Any]) -> str:
    return f"""\
### What the security context costs a page without organizations

*Database read*, one row by its key and a list of ten, none of which any organization owns, called without a server: as
it is served, in SQLAlchemy's own session, which filters nothing, and without the look at the finished SQL as well.
Instructions in thousands, processor time in microseconds, in turn. *More* is how much more it takes as it is served.

{table(("way", "instructions", "more", "processor time", "more"), _scope_rows(found))}

{_scope_verdict(found)}
"""


def _scope_rows(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for way, time in found["us"].items():
        counted = found["instructions"].get(way)
        count = range_(scaled(counted, 1e3), 0) if counted else "–"
        yield way, count, _more(found["ratios"].get(way)), range_(time, 0), _more(found["time_ratios"].get(way))


def _more(ratio: dict[str, Any] | None) -> str:
    return f"{(ratio['median'] - 1) * 100:.1f} %" if ratio else "–"


def _scope_verdict(found: dict[str, Any]) -> str:
    ratios = found["ratios"] or found["time_ratios"]
    share = list(ratios.values())[-1]["median"] - 1
    outcome = "reached" if share <= SCOPE_SHARE else "not reached"
    return f"- The whole of it: {share * 100:.1f} % more; to reach: ≤ {SCOPE_SHARE * 100:.0f} % ({outcome})."


def _export(found: dict[str, Any]) -> str:
    return f"""\
### Exports

The resident memory of the worker that writes a file of tasks, in MiB: before, at most by the kernel's own count, and
after; in {found["rounds"]} rounds, with a new and warmed server for each case, and a client that reads as a stream. The
peer is plain Flask the usual way: all rows at once, CSV by way of a string, JSON as one list.

{table(_EXPORT_COLUMNS, _export_rows(found))}

{_export_verdicts(found["cases"])}
"""


def _export_rows(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for case in sorted(found["cases"], key=lambda case: (case["form"], case["rows"], case["variant"] == "plain")):
        memory = (f"{case[f'{name}_kib']['median'] / 1024:.1f}" for name in ("before", "most"))
        growth = range_(scaled(case["growth_kib"], 1024), 1)
        after = f"{case['after_kib']['median'] / 1024:.1f}"
        speed = range_(case["rows_per_second"], 0), range_(case["first_byte_ms"], 0)
        yield case["form"], f"{case['rows']:,}", _NAMES[case["variant"]], *memory, growth, after, *speed


def _export_verdicts(cases: list[dict[str, Any]]) -> str:
    return "\n".join(_export_verdict(cases, form) for form in dict.fromkeys(case["form"] for case in cases))


def _export_verdict(cases: list[dict[str, Any]], form: str) -> str:
    grown = growths(cases, "tenantry", form)
    (few, least), *_, (many, most) = sorted(grown.items())
    theirs = growths(cases, "plain", form)[many]
    outcome = "flat" if most - least <= FLAT_MIB else "not flat"
    return (
        f"- {form}: it grows by {most:.1f} MiB for {many:,} rows and by {least:.1f} MiB for {few:,} (plain Flask: "
        f"{theirs:.0f} MiB for {many:,}); to reach: within {FLAT_MIB} MiB of each other ({outcome})."
    )


def growths(cases: Iterable[dict[str, Any]], variant: str, form: str) -> dict[int, float]:
    """Return by how many MiB a worker grows, the median, by the number of rows."""
    return {
        case["rows"]: case["growth_kib"]["median"] / 1024
        for case in cases
        if (case["variant"], case["form"]) == (variant, form)
    }
