"""The section on P4: finding a request's tenant."""

from __future__ import annotations

from typing import Any

from ..markdown import machine, range_, table, verdict

#: Microseconds to find a tenant, without and with the strict path check, and on 4 KiB.
WITHOUT_CHECK, IN_ALL, HOSTILE = 1.5, 3.0, 10.0
#: "Flat" is not given as a figure; P6 calls within 10 % of one tenant the same.
FLAT = 1.1


def describe(result: dict[str, Any]) -> str:
    """Return the section on P4; times in microseconds a call."""
    sizes, checks = result["sizes"], result["checks"]
    columns = ("tenants", *(title for title, _ in _COLUMNS.values()))
    rows = [
        (f"{size['tenants']:,}", *(range_(size[case], digits) for case, (_, digits) in _COLUMNS.items()))
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

{_verdicts(sizes, checks)}

{machine(result)}
"""


#: Case to its title, and to the decimals that it is worth.
_COLUMNS = {
    "werkzeug_path": ("Werkzeug, path", 2),
    "tenantry_path": ("Tenantry, path", 2),
    "tenantry_host": ("Tenantry, host", 2),
    "tenantry_host_port": ("Tenantry, host:port", 2),
    "werkzeug_hostile": ("Werkzeug, hostile", 0),
    "tenantry_hostile": ("Tenantry, hostile", 1),
}


def _verdicts(sizes: list[dict[str, Any]], checks: dict[str, Any]) -> str:
    in_all = max(
        size[door]["median"] for size in sizes for door in ("tenantry_path", "tenantry_host", "tenantry_host_port")
    )
    hostile = max(size["tenantry_hostile"]["median"] for size in sizes)
    grown = {case: sizes[-1][case]["median"] / sizes[0][case]["median"] for case in _COLUMNS}
    largest = f"At {sizes[-1]['tenants']:,} tenants ÷ at {sizes[0]['tenants']:,}"
    low, high = (pick(size["path_ratio"]["median"] for size in sizes) for pick in (min, max))
    lines = (
        verdict("In all, slowest median", in_all, IN_ALL),
        verdict("The same without the path check", in_all - checks["path"]["median"], WITHOUT_CHECK),
        verdict("Hostile path, slowest median", hostile, HOSTILE),
        *(
            f"- {largest}, {_COLUMNS[case][0]}: {grown[case]:.2f}; to reach: flat, ≤ {FLAT} "
            f"({'reached' if grown[case] <= FLAT else f'falls short by {grown[case] - FLAT:.2f}'})."
            for case in ("tenantry_path", "tenantry_host", "tenantry_host_port", "tenantry_hostile")
        ),
        f"- {largest}, Werkzeug, path: {grown['werkzeug_path']:.2f}, for comparison.",
        f"- On ordinary paths Tenantry takes {low:.2f} to {high:.2f} times as long as Werkzeug, which checks nothing.",
    )
    return "\n".join(lines)
