"""``tenantry status``: what is in force, who serves it, and what was refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ..closing import Note, closed_slugs, note_of
from ..errors import ConfigError
from ..following import kept_in_words, pending_in_words
from ..generations import Generation, Generations, Rejection, state_dir_of
from ..life.making import settings_of
from ..presence import Report, reports
from .output import as_json, print_json, print_table

#: What is told of a command at work on a tenant; what it was asked for may be secret.
_TOLD = ("task", "since", "pid")


@click.command()
@as_json
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """Show what is in force, and who serves it.

    The status is 1 where the file was refused, or a process does not have what is in force.
    """
    file = Path(context.obj).absolute()
    generations = Generations(state_dir_of(file), file)
    settings = settings_of(file)
    current, refused, processes = generations.current(), generations.rejection(), reports(settings)
    closed = {slug: note for slug in sorted(closed_slugs(settings)) if (note := note_of(settings, slug))}
    if as_json:
        print_json(_as_data(current, refused, processes, closed))
    else:
        for paragraph in _paragraphs(current, refused, processes, closed):
            click.echo(paragraph)
        if processes:
            print_table(("PROCESS", "KIND", "GENERATION", "UP", "MEMORY", "LIVE TENANTS", ""), map(_row, processes))
    behind = current is not None and any(report.generation != current.number for report in processes)
    context.exit(1 if behind or (refused and refused.mended is None) else 0)


def _as_data(
    current: Generation | None, refused: Rejection | None, processes: list[Report], closed: dict[str, Note]
) -> dict[str, Any]:
    return {
        "generation": asdict(current) if current else None,
        "refused": asdict(refused) if refused else None,
        "processes": [asdict(report) for report in processes],
        "closed": {slug: {key: getattr(note, key) for key in _TOLD} for slug, note in closed.items()},
    }


def _paragraphs(
    current: Generation | None, refused: Rejection | None, processes: list[Report], closed: dict[str, Note]
) -> Iterator[str]:
    if current:
        yield f"Generation {current.number} is in force, since {moment(current.since)}."
    else:
        yield "Nothing has been served yet. The first generation is made when gunicorn starts."
    if current and current.kept:
        yield kept_in_words(current.kept)
    if refused and refused.mended:
        yield f"The last edit that was refused, at {moment(refused.at)}, was mended at {moment(refused.mended)}."
    elif refused:
        yield f"Refused at {moment(refused.at)}, and not mended yet. {ConfigError(refused.problems)}"
    for keys in {report.pending for report in processes if report.pending}:
        yield pending_in_words(keys)
    for report in processes:
        if report.tries:
            yield (
                f"Process {report.pid} is trying an edit: what the file newly names for {report.tries} is imported by "
                "another process first. It is taken up or refused after that."
            )
    for slug, note in closed.items():
        yield (
            f"'{slug}' is closed by 'tenantry {note.task}' (process {note.pid}) since {moment(note.since)}. Where that "
            "no longer runs, run it again: it goes on."
        )
    if not processes:
        yield "No process serves it."


def _row(report: Report) -> tuple[str, ...]:
    return (
        str(report.pid),
        report.kind,
        str(report.generation),
        _duration(time.time() - report.since),
        f"{report.memory / 2**20:.0f} MiB",
        str(report.live),
        "watches the file" if report.watches else "",
    )


def moment(seconds: float) -> str:
    """Return a moment of Unix time as the operator's clock shows it."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
