"""The section on P5: a tenant's page against plain Flask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..markdown import machine, range_, table

#: Requests a second of a tenant's page ÷ those of the same page in one plain Flask app: first this, then parity.
RATIO, RATIO_LATER = 0.97, 1.0


def describe(result: dict[str, Any]) -> str:
    """Return the section on P5; rates in requests a second, processor times in microseconds an answer."""
    pages, server, client = result["pages"], result["server"], result["client"]
    place = f"gunicorn with {server['workers']} × {server['threads']} threads ({server['worker_class']})"
    rounds = len(pages[0]["ratios"]["tenantry/plain"]["rounds"])
    return f"""\
## A tenant's page against plain Flask (P5)

Requests a second on {place}, asked by wrk {client["wrk"]} from
{client["where"]}, in {rounds} rounds of {client["slices"]} × {client["seconds"]} s, with new servers in every round.
Both sides run the same view code and were checked to give the same pages. *hello* is a constant; *session* reads and
changes `flask.session`, with a cookie that the client sends; *template* extends another, with a loop of ten rows, links
and escaped values; *JSON* is a message and ten small objects; *database read* is one row by its key and a list of ten;
*database write* counts a row up and commits. On the database pages, plain Flask has Flask-SQLAlchemy, as its
documentation shows it, on a SQLite file with the same settings as the tenant's
({_settings(result["database"])});
on the other pages it is Flask alone. *Bare* is a WSGI function without any framework, the limit of this server.
*Headers* is the plain app with the safety headers that Tenantry adds to every page, set in `after_request`; plain Flask
as shipped has none. wrk opens all its connections at once, and often one worker takes every one of them; such a second
is ended soon, and begun anew.

{_page_table(pages, "requests_per_second", 0)}

Ratios of these rates, taken within each round; above 1 the first is faster:

{_ratio_table(pages)}

Processor time of the workers for an answer, in microseconds. It depends less than the rates on
what else the machine does:

{_page_table(pages, "cpu_us_per_answer", 0)}

How much of it is more than plain Flask's, and what of that the headers alone take, again within each round:

{_gap_table(pages)}

Tenantry ÷ plain, in requests a second:

{_verdicts(pages)}
- {_errors(pages)}

{machine(result)}
"""


_VARIANTS = {"tenantry": "Tenantry", "plain": "plain Flask", "plain_headers": "headers", "bare": "bare"}
_RATIOS = {
    "tenantry/plain": "Tenantry ÷ plain",
    "plain_headers/plain": "headers ÷ plain",
    "tenantry/plain_headers": "Tenantry ÷ headers",
    "plain/bare": "plain ÷ bare",
}


def _page_table(pages: list[dict[str, Any]], figure: str, digits: int) -> str:
    rows = [(*_page_name(page), *(_cell(page[figure].get(name), digits) for name in _VARIANTS)) for page in pages]
    return table(("page", "connections", *_VARIANTS.values()), rows)


def _ratio_table(pages: list[dict[str, Any]]) -> str:
    rows = [(*_page_name(page), *(_cell(page["ratios"].get(name), 2) for name in _RATIOS)) for page in pages]
    return table(("page", "connections", *_RATIOS.values()), rows)


def _page_name(page: dict[str, Any]) -> tuple[str, str]:
    return page["page"], str(page["connections"])


def _cell(found: dict[str, Any] | None, digits: int) -> str:
    return range_(found, digits) if found else "–"


def _gap_table(pages: Iterable[dict[str, Any]]) -> str:
    rows = [
        (
            *_page_name(page),
            range_(page["cpu_gaps_us"]["tenantry"], 0),
            _cell(page["cpu_gaps_us"].get("plain_headers"), 0),
            range_(page["cpu_ratio"]),
        )
        for page in pages
    ]
    return table(("page", "connections", "Tenantry − plain", "headers − plain", "plain ÷ Tenantry"), rows)


def _settings(found: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in found.items())


def _verdicts(pages: list[dict[str, Any]]) -> str:
    names = dict.fromkeys(page["page"] for page in pages)
    return "\n".join(_verdict([page for page in pages if page["page"] == name]) for name in names)


def _verdict(counts: list[dict[str, Any]]) -> str:
    """Return the line of one page, which was measured with several numbers of connections."""
    found = {str(each["connections"]): each["ratios"]["tenantry/plain"] for each in counts}
    figures = ", ".join(f"{range_(ratio, 3)} at {connections} connections" for connections, ratio in found.items())
    targets = "; ".join(f"≥ {target:g} {_outcome(found, target)}" for target in (RATIO, RATIO_LATER))
    return f"- {counts[0]['page']}: {figures}. To reach: {targets}."


def _outcome(found: dict[str, dict[str, Any]], target: float) -> str:
    missed = [connections for connections, ratio in found.items() if ratio["median"] < target]
    return f"(not reached at {' and '.join(missed)})" if missed else "(reached)"


def _errors(pages: Iterable[dict[str, Any]]) -> str:
    answers, bad, broken, lost, unasked, repeated = (
        sum(sum(page[kind].values()) for page in pages)
        for kind in ("answers", "bad_answers", "socket_errors", "lost_writes", "unasked_writes", "repeated_slices")
    )
    return (
        f"Of {answers:,} answers {bad:,} had a status of 400 or above; {broken:,} socket errors. Of the answered "
        f"writes, {lost:,} were not in the database, and {unasked:,} in it were never asked for. To reach: 0 each. "
        f"{repeated:,} slices were begun anew, as one worker had taken all connections."
    )
