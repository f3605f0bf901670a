"""Writes docs/performance.md from bench/results/*.json: what was to be reached, and what was measured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .common import ROOT, read
from .markdown import machine, range_, table, verdict, verdict_on_ratio

#: The figures to reach, P4: microseconds to find a tenant, without and with the strict path check, and on 4 KiB.
DISPATCH, DISPATCH_IN_ALL, DISPATCH_HOSTILE = 1.5, 3.0, 10.0
#: "Flat" is not given as a figure there; P6 calls within 10 % of one tenant the same.
FLAT = 1.1
#: P5: requests a second of a tenant's page ÷ those of the same page in one plain Flask app: first this, then parity.
PAGE_RATIO, PAGE_RATIO_LATER = 0.97, 1.0

_TITLE = """\
# Performance

Written by `make bench` from the files in `bench/results/`; do not edit it. Every figure was measured beside its peer in
the same run, and is the median of several rounds, with the smallest and the largest in brackets. Compare ratios, not
times: times belong to the machine.
"""


def run() -> None:
    """Write the report of whatever results there are."""
    sections = [_TITLE]
    for name, describe in (("dispatch", describe_dispatch), ("pages", describe_pages)):
        result = read(name)
        if result is not None:
            sections.append(describe(result))
    (ROOT / "docs" / "performance.md").write_text("\n".join(sections), encoding="utf-8")


def describe_dispatch(result: dict[str, Any]) -> str:
    """Return the section on P4; times in microseconds a call."""
    sizes, checks = result["sizes"], result["checks"]
    columns = ("tenants", *(title for title, _ in _DISPATCH_COLUMNS.values()))
    rows = [
        (f"{size['tenants']:,}", *(range_(size[case], digits) for case, (_, digits) in _DISPATCH_COLUMNS.items()))
        for size in sizes
    ]
    return f"""\
## Finding the tenant (P4)

Microseconds a request, over {len(checks["path"]["rounds"])} interleaved rounds; what is around the call is measured in
the same round and taken away. *Hostile* is a path of 4 KiB, `/a/a/a…`, at which no tenant is. Werkzeug's dispatcher has
no host doors. A Host field with a port, as where no proxy stands in front, has to be taken apart.

{table(columns, rows)}

Of Tenantry's time the strict path check takes {range_(checks["path"])} µs, on the hostile path
{range_(checks["hostile_path"])} µs. Reading the Host field, which Werkzeug's dispatcher does not do, takes
{range_(checks["host"])} µs.

{_dispatch_verdicts(sizes, checks)}

{machine(result)}
"""


#: Case to its title, and to the decimals that it is worth.
_DISPATCH_COLUMNS = {
    "werkzeug_path": ("Werkzeug, path", 2),
    "tenantry_path": ("Tenantry, path", 2),
    "tenantry_host": ("Tenantry, host", 2),
    "tenantry_host_port": ("Tenantry, host:port", 2),
    "werkzeug_hostile": ("Werkzeug, hostile", 0),
    "tenantry_hostile": ("Tenantry, hostile", 1),
}


def _dispatch_verdicts(sizes: list[dict[str, Any]], checks: dict[str, Any]) -> str:
    in_all = max(
        size[door]["median"] for size in sizes for door in ("tenantry_path", "tenantry_host", "tenantry_host_port")
    )
    hostile = max(size["tenantry_hostile"]["median"] for size in sizes)
    grown = {case: sizes[-1][case]["median"] / sizes[0][case]["median"] for case in _DISPATCH_COLUMNS}
    largest = f"At {sizes[-1]['tenants']:,} tenants ÷ at {sizes[0]['tenants']:,}"
    low, high = (pick(size["path_ratio"]["median"] for size in sizes) for pick in (min, max))
    lines = (
        verdict("In all, slowest median", in_all, DISPATCH_IN_ALL),
        verdict("The same without the path check", in_all - checks["path"]["median"], DISPATCH),
        verdict("Hostile path, slowest median", hostile, DISPATCH_HOSTILE),
        *(
            f"- {largest}, {_DISPATCH_COLUMNS[case][0]}: {grown[case]:.2f}; to reach: flat, ≤ {FLAT} "
            f"({'reached' if grown[case] <= FLAT else f'falls short by {grown[case] - FLAT:.2f}'})."
            for case in ("tenantry_path", "tenantry_host", "tenantry_host_port", "tenantry_hostile")
        ),
        f"- {largest}, Werkzeug, path: {grown['werkzeug_path']:.2f}, for comparison.",
        f"- On ordinary paths Tenantry takes {low:.2f} to {high:.2f} times as long as Werkzeug, which checks nothing.",
    )
    return "\n".join(lines)


def describe_pages(result: dict[str, Any]) -> str:
    """Return the section on P5; rates in requests a second, processor times in microseconds an answer."""
    pages, server, client = result["pages"], result["server"], result["client"]
    place = f"gunicorn with {server['workers']} × {server['threads']} threads ({server['worker_class']})"
    rounds = len(pages[0]["ratios"]["tenantry/plain"]["rounds"])
    return f"""\
## A tenant's page against plain Flask (P5)

Requests a second on {place}, asked by wrk {client["wrk"]} from
{client["where"]}, in {rounds} rounds of {client["slices"]} × {client["seconds"]} s, with new servers in every round.
*hello* is a constant; *session* reads and changes `flask.session`, with a cookie that the client sends. Both sides run
the same view code. *Bare* is a WSGI function without any framework, the limit of this server. *Headers* is the plain
app with the safety headers that Tenantry adds to every page, set in `after_request`; plain Flask as shipped has none.
wrk keeps its connections, and the server does not share them out evenly: the fewer there are, the more chance decides.

{_page_table(pages, "requests_per_second", 0)}

Ratios of these rates, taken within each round; above 1 the first is faster:

{_ratio_table(pages)}

Processor time of the workers for an answer, in microseconds. It depends less than the rates on
what else the machine does:

{_page_table(pages, "cpu_us_per_answer", 0)}

How much of it is more than plain Flask's, and what of that the headers alone take, again within each round:

{_gap_table(pages)}

Tenantry ÷ plain, in requests a second:

{_page_verdicts(pages)}
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
            range_(page["cpu_gaps_us"]["plain_headers"], 0),
            range_(page["cpu_ratio"]),
        )
        for page in pages
    ]
    return table(("page", "connections", "Tenantry − plain", "headers − plain", "plain ÷ Tenantry"), rows)


def _page_verdicts(pages: Iterable[dict[str, Any]]) -> str:
    return "\n".join(
        verdict_on_ratio(f"{page['page']}, {page['connections']} connections", page["ratios"]["tenantry/plain"], target)
        for target in (PAGE_RATIO, PAGE_RATIO_LATER)
        for page in pages
    )


def _errors(pages: Iterable[dict[str, Any]]) -> str:
    answers, bad, broken = (
        sum(sum(page[kind].values()) for page in pages) for kind in ("answers", "bad_answers", "socket_errors")
    )
    return f"Of {answers:,} answers {bad:,} had a status of 400 or above; {broken:,} socket errors. To reach: 0 and 0."


if __name__ == "__main__":
    run()
