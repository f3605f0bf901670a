"""``tenantry migrate``: bring the tables of many tenants up to date, and tell how they stand."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..app import Platform
from ..migrating.ledger import Ledger, Result, Run
from ..migrating.report import DriftReport, make_report
from ..migrating.run import Selection, Summary, carry_out, select_tenants
from ..registry import Tenant
from .output import as_json, load_platform, print_json, print_table

#: So many tenants are named for each thing that is wrong; ``--json`` names all.
_NAMED = 20
#: Twice as many processes as processors, as half of the time they wait for the disk.
_JOBS = min(2 * (os.cpu_count() or 1), 64)
_STATES = {
    "current": "current",
    "behind": "behind",
    "missing": "without a database yet",
    "newer": "newer than this code, which only lacks additions",
    "unknown": "of a version that this code does not know",
    "broken": "broken",
}


@click.command()
@click.argument("slugs", nargs=-1, metavar="[SLUG]...")
@click.option("--all", "everyone", is_flag=True, help="Every tenant that is not archived.")
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=_JOBS, show_default="two for each processor", help="Processes."
)
@click.option(
    "--canary", type=click.IntRange(0), default=0, metavar="K", help="So many first; if one fails, no others."
)
@click.option("--report", is_flag=True, help="Migrate nothing; tell how the tables of all, or of those named, stand.")
@as_json
@click.pass_context
def migrate(
    context: click.Context, slugs: Sequence[str], everyone: bool, jobs: int, canary: int, report: bool, as_json: bool
) -> None:
    """Bring the tables of tenants up to date.

    Where one fails, nothing of it is kept, and the others go on. Run it again, and it does what is left.
    """
    if (slugs and everyone) or not (slugs or everyone or report):
        raise click.UsageError("Give either slugs of tenants, or --all.")
    platform = load_platform(context)
    chosen = [platform.registry[slug] for slug in dict.fromkeys(slugs)] or platform.registry.served()
    ledger = Ledger(platform.registry.settings.state_dir)
    if report:
        _report(make_report(platform.schema, chosen, ledger), as_json)
        return
    with ledger.alone():
        try:
            summary = _migrate(platform, chosen, ledger, jobs, canary, as_json)
        except KeyboardInterrupt:
            click.echo("Stopped. What was begun comes to its end; run this again for the others.", err=True)
            raise
    context.exit(0 if summary.is_good else 1)


def _migrate(
    platform: Platform, chosen: Sequence[Tenant], ledger: Ledger, jobs: int, canary: int, as_json: bool
) -> Summary:
    selection, begun = select_tenants(platform.schema, chosen), time.monotonic()
    if not as_json:
        _say_selection(selection)
    with _progress(len(selection.having("behind", "broken", "unknown"))) as advance:
        if selection.having("behind", "broken", "unknown"):
            summary = carry_out(platform, selection, ledger, jobs, canary, advance)
        else:
            summary = Summary()
    if as_json:
        print_json(_as_json(selection, summary))
    else:
        _say_summary(summary, time.monotonic() - begun)
    return summary


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Result], None]]:
    """Show how far it is, its rate and the time left, on a terminal. Give what is told of each tenant."""
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    failed, begun = Counter[bool](), time.monotonic()
    with Progress(*columns, console=console, disable=not console.is_terminal or not total) as bar:
        task = bar.add_task("", total=total, rate="")

        def advance(result: Result) -> None:
            failed[result.outcome == "failed"] += 1
            rate = f"{failed.total() / max(time.monotonic() - begun, 0.001):.0f} a second, {failed[True]} failed"
            bar.update(task, advance=1, rate=rate)

        yield advance


def _say_selection(selection: Selection) -> None:
    for step in selection.steps:
        if step.additive:
            click.echo(f"{step.revision} adds to the tables; tenants are served meanwhile.")
        else:
            click.echo(
                f"{step.revision} does more than add to the tables ({_listed(step.breaks, 3)}): each tenant is closed "
                "for a moment, and workers with older code answer 503 for it from then on."
            )
    counts = Counter(each.state for each in selection.found)
    click.echo(
        f"Tenants: {', '.join(f'{counts[state]} {words}' for state, words in _STATES.items() if counts[state])}."
    )


def _say_summary(summary: Summary, seconds: float) -> None:
    if failed := summary.having("failed"):
        print_table(("SLUG", "RESULT", ""), [(each.slug, "failed", each.reason) for each in failed])
    if summary.not_begun:
        click.echo(f"A canary has failed, so {summary.not_begun} others were not begun.")
    if summary.results:
        click.echo(f"{len(summary.having('migrated'))} migrated, {len(failed)} failed, in {seconds:.1f} s.")


def _as_json(selection: Selection, summary: Summary) -> dict[str, Any]:
    return {
        "revisions": [
            {"revision": each.revision, "additive": each.additive, "breaks": each.breaks} for each in selection.steps
        ],
        "tenants": dict(Counter(each.state for each in selection.found)),
        "results": [
            {
                "slug": each.slug,
                "result": each.outcome,
                "before": each.before,
                "after": each.after,
                "seconds": round(each.seconds, 3),
                "reason": each.reason or None,
            }
            for each in sorted(summary.results, key=lambda each: each.slug)
        ],
        "not_begun": summary.not_begun,
    }


def _report(report: DriftReport, as_json: bool) -> None:
    if as_json:
        print_json(report.to_json())
        return
    print_table(
        ("TENANTS", "ARE", "VERSIONS"),
        [(str(count), _STATES[state], " ".join(names)) for state, names, count in report.versions],
    )
    for state, slugs in report.slugs.items():
        if slugs:
            click.echo(f"\n{_STATES[state].capitalize()}: {_listed(slugs)}")
    _say_each("Why", report.reasons.items())
    _say_each("Failed the last time", ((slug, f"{at} UTC: {why}") for slug, (why, at) in report.failed.items()))
    _say_each("Have other tables than a new database", ((s, _listed(w, 5)) for s, w in report.differing.items()))
    _say_runs(report.runs)


def _say_runs(runs: Sequence[Run]) -> None:
    if runs:
        click.echo("")
        head = ("RUN", "BEGAN (UTC)", "ENDED", "TENANTS", "BEHIND", "MIGRATED", "FAILED")
        print_table(head, [_run_row(run) for run in runs])


def _run_row(run: Run) -> tuple[str, ...]:
    ended = run.outcome if run.outcome != "finished" else run.ended or ""
    return str(run.id), run.began, ended, *map(str, (run.chosen, run.behind, run.migrated, run.failed))


def _say_each(title: str, rows: Iterable[tuple[str, str]]) -> None:
    found = list(rows)
    if found:
        click.echo(f"\n{title}:")
        print_table(("SLUG", ""), found[:_NAMED])
    if len(found) > _NAMED:
        click.echo(f"… and {len(found) - _NAMED} more; --json has them all")


def _listed(words: Sequence[str], most: int = _NAMED) -> str:
    more = f", and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
