"""What the report says in a few lines, for one who wants to know what a tenant and a page cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .api import growths

#: Result files, by their names.
Results = Mapping[str, dict[str, Any]]


def describe(results: Results) -> str:
    """Return the lines for those results that there are."""
    lines = [say(results[name]) for name, say in _LINES.items() if name in results]
    return "\n".join(["## In short", "", *lines, ""]) if lines else ""


def _build(result: dict[str, Any]) -> str:
    ours, plain = result["sets"][0]["tenantry"], result["sets"][0]["plain"]
    registered = result["registered"]["traced_bytes_each"]["median"]
    return (
        f"- **A tenant** that nobody visits takes {registered:,.0f} bytes in a worker. Its app of 60 rules is built in "
        f"{ours['median_us']['median'] / 1e3:.2f} ms and keeps {ours['traced_bytes_each']['median'] / 1024:.0f} KiB; a "
        f"plain Flask app takes {plain['median_us']['median'] / 1e3:.0f} ms and "
        f"{plain['traced_bytes_each']['median'] / 1024:.0f} KiB."
    )


def _scale(result: dict[str, Any]) -> str:
    largest = result["sizes"][-1]
    visits = largest["first_visits"].values()
    right, wrong = (sum(each[kind] for each in visits) for kind in ("right", "wrong"))
    seconds, kib = (largest[name]["median"] for name in ("first_answer_seconds", "worker_private_kib"))
    return (
        f"- **{largest['tenants']:,} tenants** answer {seconds:.1f} s after the start. With all of them live a worker "
        f"has {kib / 1024:.0f} MiB of its own. Asked for their pages in random order, {right:,} answers were right and "
        f"{wrong:,} wrong."
    )


def _pages(result: dict[str, Any]) -> str:
    ratios = [page["ratios"]["tenantry/plain"]["median"] for page in result["pages"]]
    return (
        f"- **A page** is served {min(ratios):.2f} to {max(ratios):.2f} times as often in a second as in one plain "
        "Flask app on the same server, by page and load."
    )


def _instructions(result: dict[str, Any]) -> str:
    ratios = {page["page"]: page["ratio"]["median"] for page in result["pages"]}
    least, most = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
    return (
        f"- In processor instructions, which noise does not move, it takes {ratios[least]:.2f} ({least}) to "
        f"{ratios[most]:.2f} ({most}) of what plain Flask takes."
    )


def _api(result: dict[str, Any]) -> str:
    ratios = [page["ratios"]["tenantry/plain"]["median"] for page in result["list"]["pages"]]
    served = (
        f"- **The API's list** of 50 tasks is served {min(ratios):.2f} to {max(ratios):.2f} times as often in a second "
        f"as by plain Flask with Flask-SQLAlchemy{_counted(result['list']['instructions'])}."
    )
    return f"{served} {_exports(result['export']['cases'])}" if "export" in result else served


def _counted(pages: list[dict[str, Any]]) -> str:
    ratios = [page["ratio"]["median"] for page in pages]
    return f", and takes {min(ratios):.2f} to {max(ratios):.2f} of its processor instructions" if ratios else ""


def _exports(cases: list[dict[str, Any]]) -> str:
    ours, plain = (growths(cases, side, "csv") for side in ("tenantry", "plain"))
    return (
        f"An export of {max(ours):,} rows lets a worker grow by {ours[max(ours)]:.0f} MiB, where plain Flask takes "
        f"{plain[max(plain)]:.0f} MiB."
    )


_LINES: dict[str, Callable[[dict[str, Any]], str]] = {
    "build": _build,
    "scale": _scale,
    "pages": _pages,
    "instructions": _instructions,
    "api": _api,
}
