"""The section on P6 and P10: many tenants."""

from __future__ import annotations

from typing import Any

from ..markdown import machine, range_, table, verdict, verdict_on_ratio

#: P6: a tenant's page among many ÷ the same page where there is one tenant, in requests a second, at least.
RATIO = 0.9
#: The same in processor time an answer, at most.
CPU_RATIO = 1.1
#: P10: seconds from the start of gunicorn to the first answer.
START = 3.0


def describe(result: dict[str, Any]) -> str:
    """Return the section; rates in requests a second, processor times in microseconds, memory in MiB and KiB."""
    sizes, load, server, client = result["sizes"], result["load"], result["server"], result["client"]
    place = f"gunicorn with {server['workers']} × {server['threads']} threads ({server['worker_class']})"
    return f"""\
## Many tenants (P6, P10)

{place}, the shipped files with their hooks, at each number of tenants, each of
them with a database of its own; all apps are kept (`live_tenants` is the number of tenants), of the databases'
connections those that `open_databases` keeps by default. *name* is a short text with the tenant's name, *template* and
*database read* are those of P5, with the name in them. Which tenant a request goes to is drawn *uniform*ly or after
*Zipf*: to the n-th most popular n times less often than to the first. *Plain* is one plain Flask app with the same
pages, Flask-SQLAlchemy, and no tenant.

### Start, first visits and memory

Seconds from the start of gunicorn to its first answer. Then each worker was asked for each page of each tenant once;
the first visit, in milliseconds, builds the tenant's app. Memory is that of one worker after the load below, when all
apps had been used, open database connections included: *private* is what it shares with no other process, *resident* is
all that it sees. Making the databases beforehand took
{_provisioning(sizes)}.

{table(_SIZE_COLUMNS, [_size_row(size, sizes[0]) for size in sizes])}

### Warm

Requests a second over {client["connections"]} connections, by wrk {client["wrk"]} on the same machine, which looked at
each answer, in {client["rounds"]} rounds of {client["seconds"]} s; all servers ran, one was asked at a time.

{table(_LOAD_COLUMNS, [_load_row(each) for each in load])}

{_verdicts(sizes, load)}

{machine(result)}
"""


_SIZE_COLUMNS = (
    "tenants",
    "first answer, s",
    "first visit, median, ms",
    "99 %, ms",
    "private, MiB",
    "private a tenant, KiB",
    "resident, MiB",
)
_LOAD_COLUMNS = (
    "page",
    "tenants",
    "drawn",
    "requests a second",
    "÷ one tenant's",
    "processor time, µs",
    "÷ one tenant's",
)


def _size_row(size: dict[str, Any], one: dict[str, Any]) -> tuple[str, ...]:
    first, private, resident = size["first_visits"]["name"], size["worker_private_kib"], size["worker_resident_kib"]
    more = size["tenants"] - one["tenants"]
    a_tenant = f"{(private['median'] - one['worker_private_kib']['median']) / more:,.1f}" if more else "–"
    return (
        f"{size['tenants']:,}",
        range_(size["first_answer_seconds"]),
        f"{first['p50_ms']:.2f}" if more else "–",
        f"{first['p99_ms']:.2f}" if more else "–",
        f"{private['median'] / 1024:,.1f}",
        a_tenant,
        f"{resident['median'] / 1024:,.1f}",
    )


def _load_row(found: dict[str, Any]) -> tuple[str, ...]:
    return (
        found["page"],
        f"{found['tenants']:,}" if found["tenants"] else "plain",
        found["distribution"] if found["tenants"] > 1 else "–",
        range_(found["requests_per_second"], 0),
        range_(found["rate_ratio"]),
        range_(found["cpu_us_per_answer"], 0),
        range_(found["cpu_ratio"]),
    )


def _provisioning(sizes: list[dict[str, Any]]) -> str:
    return ", ".join(f"{size['provision_seconds']:,.1f} s for {size['tenants']:,}" for size in sizes)


def _verdicts(sizes: list[dict[str, Any]], load: list[dict[str, Any]]) -> str:
    many = [each for each in load if each["tenants"] > 1]
    lines = [
        verdict(
            f"Start to first answer, number of tenants {size['tenants']:,}",
            size["first_answer_seconds"]["median"],
            START,
            "s",
        )
        for size in (sizes[0], sizes[-1])
    ]
    lines += [_verdict(each) for each in many if each["tenants"] == sizes[-1]["tenants"]]
    near = {
        "requests a second": [each["rate_ratio"]["median"] >= RATIO for each in many],
        "processor time": [each["cpu_ratio"]["median"] <= CPU_RATIO for each in many],
    }
    for what, reached in near.items():
        lines.append(
            f"- Within 10 % of one tenant in {what}: {sum(reached)} of {len(reached)} rows with several tenants."
        )
    return "\n".join([*lines, *_answers(sizes, load)])


def _verdict(found: dict[str, Any]) -> str:
    what = f"{found['page']}, {found['tenants']:,} tenants, {found['distribution']} ÷ one tenant, requests a second"
    return verdict_on_ratio(what, found["rate_ratio"], RATIO)


def _answers(sizes: list[dict[str, Any]], load: list[dict[str, Any]]) -> list[str]:
    tours = [tour for size in sizes for tour in (*size["first_visits"].values(), size["last_visits"])]
    right, wrong = (sum(tour[kind] for tour in tours) for kind in ("right", "wrong"))
    answers, false, broken, repeated = (
        sum(each[kind] for each in load) for kind in ("answers", "wrong_answers", "socket_errors", "repeated_slices")
    )
    return [
        f"- Every tenant's pages one by one: {right:,} held that tenant's name and no other's, {wrong:,} did not. "
        "To reach: 0.",
        f"- Under load, {false:,} of {answers:,} answers had another status than 200 or a name that does not go with "
        f"the address; {broken:,} socket errors. To reach: 0 and 0.",
        f"- {repeated:,} slices were begun anew, as one worker had taken all connections.",
    ]
