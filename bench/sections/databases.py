"""The section on P13: a page that reads its tenant's own SQLite database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..markdown import machine, range_, scaled, table, verdict

#: Milliseconds of the page while the tenants' connections are open, and KiB that a tenant keeps without one.
HOT_MILLISECONDS, COLD_KIB = 0.35, 8.0

_SIDES = {
    "tenantry": "Tenantry",
    "tenantry_all": "Tenantry, all open",
    "engines": "engine per tenant",
    "opened": "opened per request",
}


def describe(result: dict[str, Any]) -> str:
    """Return the section; times in milliseconds a request, memory in KiB a tenant."""
    queries, settings, kept = result["queries"], result["settings"], result["open_databases"]
    traced, private = (result["footprints"]["tenantry"][name] for name in ("traced", "private"))
    said = ", ".join(f"`{name}` {value}" for name, value in settings.items())
    return f"""\
## The tenant's database (P13)

Milliseconds for a page that reads one row by its key, through SQLAlchemy's ORM, called in one process without a server
around it; requests go to so many tenants in turn. Tenantry keeps {kept} connections open, or, *all open*, one for each
tenant. Its peers are one plain Flask app with an engine for each tenant, whose connection stays open, and the same with
a connection opened for each request. Each answer is checked to be the tenant's own. All connections have
{said}.

{_time_table(result["times"])}

*Nothing* is a page without a database, on one tenant. The query alone, without Flask, takes SQLAlchemy
{range_(scaled(queries["sqlalchemy_us"], 1e3), 3)} ms with a session of its own, and `sqlite3`
{range_(scaled(queries["sqlite3_us"], 1e3), 3)} ms on an open connection. Times of Tenantry ÷ those of its peers, within
each round; below 1 it is faster:

{_ratio_table(result["ratios"])}

What one more tenant keeps in memory once it has been asked, in KiB, beyond its app: the mean of the second half of the
tenants, asked one after the other. *Private* is the growth of the process's private memory, over {private["tenants"]:,}
tenants. *Objects* are Python's, by `tracemalloc`, over {traced["tenants"]:,}; *closed* is what all of them keep when no
connection is open. *Descriptors* is the most that were open over {private["tenants"]:,}; a connection has three.

{_footprint_table(result["footprints"])}

{_verdicts(result)}

{machine(result)}
"""


def _time_table(times: dict[str, Any]) -> str:
    header = ("tenants in turn", *_SIDES.values())
    return table(header, [(_case(name), *(_ms(times[side][name]) for side in _SIDES)) for name in times["tenantry"]])


def _ratio_table(ratios: dict[str, Any]) -> str:
    header = ("tenants in turn", *(f"÷ {_SIDES[side]}" for side in ratios))
    names = next(iter(ratios.values()))
    return table(header, [(_case(name), *(range_(found[name]) for found in ratios.values())) for name in names])


def _case(name: str) -> str:
    return f"{int(name):,}" if name.isdecimal() else f"*{name}*"


def _footprint_table(footprints: dict[str, Any]) -> str:
    header = ("", "objects", "private", "objects, closed", "private, closed", "descriptors")
    return table(header, [(title, *_footprint_row(footprints[side])) for side, title in _SIDES.items()])


def _footprint_row(found: dict[str, Any]) -> Iterator[str]:
    traced, private = found["traced"], found["private"]
    for figure in ("one_more_bytes", "closed_bytes"):
        for measured in (traced, private):
            yield f"{measured[figure] / 1024:,.1f}"
    yield f"{private['descriptors']:,}"


def _verdicts(result: dict[str, Any]) -> str:
    times, found = result["times"]["tenantry"], result["footprints"]["tenantry"]
    hot = [name for name in times if name.isdecimal() and int(name) <= result["open_databases"]]
    cold = {"objects": found["traced"]["one_more_bytes"], "private": found["private"]["one_more_bytes"]}
    return "\n".join(
        [
            *(verdict(f"{_case(n)} in turn", times[n]["median"] / 1e3, HOT_MILLISECONDS, "ms", 3) for n in hot),
            *(verdict(f"A cold tenant, {name}", size / 1024, COLD_KIB, "KiB", 1) for name, size in cold.items()),
            _descriptors(result["tenants"], found["private"]["descriptors"], 3 * result["open_databases"]),
        ]
    )


def _descriptors(tenants: int, most: int, limit: int) -> str:
    outcome = "reached" if most <= limit else f"falls short by {most - limit}"
    return (
        f"- Open descriptors over {tenants:,} tenants: {most:,}; to reach: ≤ {limit}, three for each kept ({outcome})."
    )


def _ms(found: dict[str, Any]) -> str:
    return range_(scaled(found, 1e3), 3)
