"""The section on how soon a tenant that is added by command is served."""

from __future__ import annotations

from typing import Any

from ..markdown import machine, range_, table, verdict

#: Seconds from the start of the command to the first page.
FIRST_PAGE_SECONDS = 1.0


def describe(result: dict[str, Any]) -> str:
    """Return the section; times in seconds."""
    rows = [
        ("to its first page", range_(result["first_page_seconds"])),
        ("to the end of the command", range_(result["command_seconds"])),
    ]
    return f"""\
## Adding a tenant

Seconds from the start of `tenantry add`, Python's own included, while a gunicorn with two workers serves the shipped
site and is asked for the new tenant's page over and over. Answers that were neither 404 nor the page:
{result["wrong_answers"]}.

{table(("from the start of the command", "s"), rows)}

{verdict("To the first page", result["first_page_seconds"]["median"], FIRST_PAGE_SECONDS, "s")}

{machine(result)}
"""
