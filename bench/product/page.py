"""The page that takes ten templates: it extends one, includes seven and imports one."""

from __future__ import annotations

from typing import Any

from flask import current_app, render_template

#: Rows in the page's table.
_ROWS = 5
_STATES = ("open", "late", "done", "held")


def render(area: str, language: str) -> str:
    """Return an area's page as HTML."""
    return render_template(
        "product/page.html",
        area=area,
        language=language,
        rows=[_row(number) for number in range(1, _ROWS + 1)],
        filters={"state": "open", "owner": "", "since": "2026-01-01"},
        states=_STATES,
        current=3,
        pages=7,
    )


def values_of_every_page() -> dict[str, Any]:
    """Return what the area's context processor adds: the app's name, by which a page says whose it is."""
    return {"owner": current_app.name, "areas": [name for name in current_app.blueprints if name != "tenantry"]}


def _row(number: int) -> dict[str, Any]:
    return {
        "number": number,
        "title": f"Item {number} <draft>",
        "state": _STATES[number % 4],
        "amount": number * 12.5,
        "people": ["Ada", "Grace", "Edsger"][: number % 4],
        "note": "Lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy eirmod. " * 2,
    }
