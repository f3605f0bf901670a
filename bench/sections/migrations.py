"""The section on P11: migrating many tenants."""

from __future__ import annotations

from typing import Any

from ..markdown import machine, range_, table, verdict

#: Seconds for the whole command.
NOTHING_SECONDS, TWO_SECONDS = 2.0, 15.0


def describe(result: dict[str, Any]) -> str:
    """Return the section; times in seconds for all tenants."""
    ours, loop = result["seconds"]["tenantry"], result["seconds"]["loop"]
    rows = [
        (case, range_(found), range_(loop[case]), range_(result["ratios"][case]))
        if case in loop
        else (case, range_(found), "–", "–")
        for case, found in ours.items()
    ]
    return f"""\
## Migrating tenants (P11)

Seconds for a whole command, from its start to its end, over {result["tenants"]:,} SQLite tenants with the tables of the
shipped blueprints and of one more. *Tenantry* is `tenantry migrate --all`, in {result["processes"]} processes; *report*
is `tenantry migrate --report`, which compares the tables of all. The *loop* is one process that opens an engine for
each tenant and runs Alembic on it. It notes nothing, stops at the first failure, and lets older code run on what it has
changed; where a revision does more than add, Tenantry takes a good second to close some tenants at a time first.

{table(("", "Tenantry", "loop", "÷"), rows)}

{verdict("Nothing to do", ours["nothing to do"]["median"], NOTHING_SECONDS, "s")}
{verdict("Two revisions", ours["two revisions"]["median"], TWO_SECONDS, "s")}

{machine(result)}
"""
