"""The section on P1, P2 and P3: building apps, their first page, and tenants that nobody has asked for yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..markdown import machine, range_, scaled, table, verdict

#: Milliseconds and KiB that a tenant's app may take, and how many times less than plain Flask's that was to be.
MILLISECONDS, KIB, TIMES = 0.6, 16.0, 40.0
#: "Linear" is not given as a figure there: the same allowance as for "flat".
LINEAR = 1.1
#: Milliseconds and KiB that the first page may take.
PAGE_MILLISECONDS, PAGE_KIB = 4.0, 12.0
#: KiB of a tenant that is registered only.
REGISTERED_KIB = 2.0


def describe(result: dict[str, Any]) -> str:
    """Return the section; times in milliseconds, memory in KiB."""
    sizes, live, pages = result["sizes"], result["live"], result["pages"]
    return f"""\
## Building a tenant's app (P1)

Milliseconds to build an app with 60 rules, and what it keeps in memory, in KiB, when so many are built one after the
other and all are kept; the garbage collector runs as in a server. *First* compiles what all share. *Each* is any other:
the median, then the mean, which has the collector's work in it. *Private* is the growth of the process's private
memory. Plain Flask has the same blueprints, registered in an app for each tenant. A dash is what was not measured:
there are too few apps, or they would take a side longer than 40 s.

{_size_table(sizes)}
{_extrapolated(sizes)}
![Seconds to build all apps, by number of tenants](build-time.svg)

![Memory of all apps, by number of tenants](build-memory.svg)

The same at {result["sets"][0]["tenants"]:,} tenants, for three sets of blueprints: a product of two sizes, and the one
that is in this repository. Rules are all that the apps have, first Tenantry's, with those of its look. Here memory is
what Python's objects take, by `tracemalloc`, without the first app's. The ratio is of the times, within each round.

{_set_table(result["sets"])}

That is an app without its database, as plain Flask opens none. With a look at the tenant's own database, as a first
request has it, {live["tenants"]:,} apps of {live["rules"]} rules take {_ms(live["median_us"])} ms and
{_kib(live["traced_bytes_each"])} KiB each.

## The first page of a new app (P2)

A page of ten templates of some 2 KB each, which extend, include and import one another; milliseconds, and KiB of
Python's objects that stay, for {pages["tenants"]:,} tenants. *Again* is the same page once more: what rendering takes
when everything is there.

{_page_table(pages)}

## Tenants that are registered only (P3)

{_registered(result["registered"])}

## What was to be reached of P1 to P3

{_verdicts(result)}

{machine(result)}
"""


def _size_table(sizes: list[dict[str, Any]]) -> str:
    header = ("tenants", *(f"{side}, {figure}" for side in _SIDES.values() for figure in _FIGURES.values()))
    return table(header, [(f"{size['tenants']:,}", *_size_row(size)) for size in sizes])


def _extrapolated(sizes: list[dict[str, Any]]) -> str:
    """Return, in words, what the largest size would take plain Flask, where that was not measured."""
    largest = sizes[-1]["tenants"]
    measured = [size for size in sizes if "private_bytes_each" in size.get("plain", {})]
    if not measured or "plain" in sizes[-1]:
        return ""
    last = measured[-1]["plain"]
    minutes = last["mean_us"]["median"] * largest / 60e6
    gib = last["private_bytes_each"]["median"] * largest / 1024**3
    return f"""
Were each app of plain Flask to take what it takes at {measured[-1]["tenants"]:,}, then {largest:,} would take some
{minutes:.1f} minutes and {gib:.1f} GiB; that is reckoned, and was not measured.
"""


_SIDES = {"tenantry": "Tenantry", "plain": "plain"}
_FIGURES = {"first_us": "first", "median_us": "each", "mean_us": "mean", "private_bytes_each": "private"}


def _size_row(size: dict[str, Any]) -> Iterator[str]:
    for side in _SIDES:
        found = size.get(side, {})
        for figure in _FIGURES:
            cell = _kib if figure == "private_bytes_each" else _ms
            yield cell(found[figure]) if figure in found else "–"


def _set_table(sets: list[dict[str, Any]]) -> str:
    header = ("set", "rules", "Tenantry, ms", "plain, ms", "plain ÷ Tenantry", "Tenantry, KiB", "plain, KiB")
    return table(header, [_set_row(each) for each in sets])


def _set_row(found: dict[str, Any]) -> tuple[str, ...]:
    ours, plain = found["tenantry"], found["plain"]
    return (
        found["set"],
        f"{ours['rules']} and {plain['rules']}",
        _ms(ours["median_us"]),
        _ms(plain["median_us"]),
        range_(found["time_ratio"], 1),
        _kib(ours["traced_bytes_each"]),
        _kib(plain["traced_bytes_each"]),
    )


def _page_table(pages: dict[str, Any]) -> str:
    header = ("", "very first, ms", "first of any other, ms", "again, ms", "stays, KiB", "stays of the very first, KiB")
    return table(header, [(title, *_page_row(pages[side])) for side, title in _SIDES.items()])


def _page_row(found: dict[str, Any]) -> tuple[str, ...]:
    times = (_ms(found[name]) for name in ("first_us", "median_us", "again_us"))
    return (*times, _kib(found["traced_bytes_each"]), _kib(found["traced_bytes_first"]))


def _registered(found: dict[str, Any]) -> str:
    return f"""\
A platform of {found["tenants"]:,} tenants, each with a title, a path and a host, keeps
{range_(found["traced_bytes_each"], 0)} bytes of Python's objects for each: its entry in the registry, and its ways in.
{found["apps_built"]["max"]:.0f} apps were built. Reading and checking the file takes
{range_(found["reading_us_each"], 0)} µs a tenant, once."""


def _verdicts(result: dict[str, Any]) -> str:
    sets, pages = result["sets"], result["pages"]["tenantry"]
    lines = [
        *(line for each in sets for line in _set_verdicts(each)),
        *_growth_verdicts(result["sizes"]),
        verdict("First page, median", pages["median_us"]["median"] / 1e3, PAGE_MILLISECONDS, "ms"),
        verdict("First page, what stays", pages["traced_bytes_each"]["median"] / 1024, PAGE_KIB, "KiB", 1),
        verdict("Registered only", result["registered"]["traced_bytes_each"]["median"] / 1024, REGISTERED_KIB, "KiB"),
    ]
    return "\n".join(lines)


def _set_verdicts(found: dict[str, Any]) -> Iterator[str]:
    ours, plain = found["tenantry"], found["plain"]
    yield verdict(f"{found['set']}, median app", ours["median_us"]["median"] / 1e3, MILLISECONDS, "ms")
    yield verdict(f"{found['set']}, app in memory", ours["traced_bytes_each"]["median"] / 1024, KIB, "KiB", 1)
    less = plain["traced_bytes_each"]["median"] / ours["traced_bytes_each"]["median"]
    time = found["time_ratio"]["median"]
    yield f"- {found['set']}: {time:.0f} times less time and {less:.0f} times less memory; meant was {TIMES:g} times."


def _growth_verdicts(sizes: list[dict[str, Any]]) -> Iterator[str]:
    if len(sizes) < 2:
        return
    smaller, larger = sizes[-2:]
    if "tenantry" not in larger:
        yield f"- Tenantry was too slow to be measured at {larger['tenants']:,} tenants; to reach: linear."
        return
    ratio = larger["tenants"] / smaller["tenants"]
    total, each = (
        larger["tenantry"][figure]["median"] / smaller["tenantry"][figure]["median"]
        for figure in ("total_us", "median_us")
    )
    what = f"Linear: the time of {larger['tenants']:,} apps ÷ {ratio:g} × that of {smaller['tenants']:,}"
    yield verdict(what, total / ratio, LINEAR, "")
    yield verdict("The same of the median app, without the collector's work", each, LINEAR, "")
    mean = larger["tenantry"]["mean_us"]["median"] / 1e3
    yield verdict(f"Mean app of {larger['tenants']:,}, with the collector's work", mean, MILLISECONDS, "ms")
    private = larger["tenantry"]["private_bytes_each"]["median"] / 1024
    yield verdict(f"Private memory of an app, at {larger['tenants']:,}", private, KIB, "KiB", 1)


def _ms(found: dict[str, Any]) -> str:
    return range_(scaled(found, 1e3))


def _kib(found: dict[str, Any]) -> str:
    spread_out = scaled(found, 1024)
    return range_(spread_out, 1) if spread_out["min"] != spread_out["max"] else f"{spread_out['median']:,.1f}"
