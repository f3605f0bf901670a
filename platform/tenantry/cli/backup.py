"""``tenantry backup``: archives of tenants, made while they are served."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click
from rich.console import Console
from rich.progress import Progress

from ..backups import Backup, back_up, backups_in, configured, default_folder, thin_out, verify, write_backup
from ..backups.contents import Tables
from ..backups.drafts import draft
from ..backups.encryption import read_recipient
from ..explaining import explain
from ..registry import Registry, Tenant
from .output import Commands, as_json, print_json, print_table, relative

identity_option = click.option(
    "--identity", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="File with the key that opens it."
)


@click.group(cls=Commands)
def backup() -> None:
    """Archives of tenants: each holds a database, uploads, overlay and configuration of one moment."""


@backup.command()
@click.argument("slugs", nargs=-1, metavar="[SLUG]…")
@click.option("--all", "everyone", is_flag=True, help="Every tenant that is not archived, and has a database.")
@click.option("--to", metavar="DIR|-", help="Another folder of backups; '-' writes one archive to standard output.")
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="How many at once.")
@click.option("--keep", type=click.IntRange(1), help="Of each tenant, keep so many of the newest archives.")
@click.option("--recipient", "recipients", multiple=True, metavar="KEY", help="Encrypt to this public key (age1…).")
@as_json
@click.pass_context
def create(
    context: click.Context,
    slugs: tuple[str, ...],
    everyone: bool,
    to: str | None,
    jobs: int,
    keep: int | None,
    recipients: tuple[str, ...],
    as_json: bool,
) -> None:
    """Back tenants up, while they are served.

    Each archive is read back before it counts, unless it is encrypted. One tenant's fault does not stop the others.
    """
    if bool(slugs) is everyone:
        raise click.UsageError("Give either the slugs of tenants, or --all.")
    for recipient in recipients:
        read_recipient(recipient)
    registry, tables = configured(Path(context.obj).absolute())
    chosen = [registry[slug] for slug in dict.fromkeys(slugs)] or _with_database(registry)
    if to == "-":
        _write_one(chosen, tables, recipients)
        return
    folder = Path(to) if to else default_folder(registry.settings)

    def run(tenant: Tenant) -> Backup:
        made = back_up(tenant, tables.get(tenant.slug, {}), folder, recipients)
        if keep:
            thin_out(folder, tenant.slug, keep)
        return made

    results = _run_all(run, chosen, jobs)
    _print_results(results, as_json)
    context.exit(1 if any(isinstance(result, Exception) for result in results.values()) else 0)


@backup.command("list")
@click.argument("slug", required=False)
@click.option("--from", "folder", type=click.Path(path_type=Path), help="Another folder of backups.")
@as_json
@click.pass_context
def list_backups(context: click.Context, slug: str | None, folder: Path | None, as_json: bool) -> None:
    """List archives, of one tenant or of all, newest first."""
    settings = configured(Path(context.obj).absolute())[0].settings
    rows = [_summary(each) for each in backups_in(folder or default_folder(settings), slug)]
    if as_json:
        print_json(rows)
    else:
        columns = ("SLUG", "MOMENT", "BYTES", "ENCRYPTED", "ARCHIVE")
        cells = ("slug", "created_at", "bytes", "encrypted", "archive")
        print_table(columns, [tuple(_text(row[cell]) for cell in cells) for row in rows])


@backup.command("verify")
@click.argument("archives", nargs=-1, required=True, metavar="ARCHIVE…")
@identity_option
@as_json
@click.pass_context
def verify_archives(context: click.Context, archives: tuple[str, ...], identity: Path | None, as_json: bool) -> None:
    """Read archives to their end, and look at all that is in them: could they be restored?"""
    settings = configured(Path(context.obj).absolute())[0].settings
    rows: list[dict[str, Any]] = []
    for archive in archives:
        try:
            with opened(archive) as stream, draft(settings, "verify", "archive") as folder:
                manifest = verify(stream, folder, identity.read_text() if identity else "")
            found = {"result": "sound", "slug": manifest.slug, "created_at": manifest.created_at, "reason": None}
        except Exception as error:  # one archive's fault is told, and the others are looked at all the same
            found = {"result": "failed", "slug": None, "created_at": None, "reason": explain(error)}
        rows.append({"archive": archive, **found})
    if as_json:
        print_json(rows)
    else:
        columns = ("ARCHIVE", "RESULT", "TENANT", "MOMENT", "")
        cells = ("archive", "result", "slug", "created_at", "reason")
        print_table(columns, [tuple(_text(row[cell]) for cell in cells) for row in rows])
    context.exit(1 if any(row["result"] == "failed" for row in rows) else 0)


@contextmanager
def opened(archive: str) -> Iterator[BinaryIO]:
    """Open an archive, or standard input for '-'."""
    if archive == "-":
        yield sys.stdin.buffer
        return
    try:
        file = open(archive, "rb")  # noqa: SIM115  # it is closed below
    except OSError as error:
        raise click.ClickException(f"{archive} cannot be read ({error.strerror}).") from None
    with file:
        yield file


def _with_database(registry: Registry) -> list[Tenant]:
    return [tenant for tenant in registry.served() if tenant.database_file.exists()]


def _write_one(chosen: Sequence[Tenant], tables: Tables, recipients: Sequence[str]) -> None:
    if len(chosen) != 1:
        raise click.UsageError("Standard output takes one archive: give one slug.")
    if sys.stdout.isatty():
        raise click.UsageError("An archive is no text for a terminal. Send it to a file or a program.")
    write_backup(chosen[0], tables.get(chosen[0].slug, {}), sys.stdout.buffer, recipients)


def _run_all(run: Any, chosen: Sequence[Tenant], jobs: int) -> dict[str, Backup | Exception]:
    """Do it for each tenant, several at once. Threads do, as copying, hashing and compressing let each other run."""
    results: dict[str, Backup | Exception] = {}
    console = Console(stderr=True)
    with ExitStack() as stack:
        progress = stack.enter_context(Progress(console=console, disable=not console.is_terminal, transient=True))
        bar = progress.add_task("Backing up", total=len(chosen))
        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        waiting = {pool.submit(run, tenant): tenant.slug for tenant in chosen}
        for done in as_completed(waiting):
            error = done.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            results[waiting[done]] = error or done.result()
            progress.advance(bar)
    return {tenant.slug: results[tenant.slug] for tenant in chosen}


def _print_results(results: dict[str, Backup | Exception], as_json: bool) -> None:
    rows = [_result(slug, result) for slug, result in results.items()]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("SLUG", "RESULT", "BYTES", "ARCHIVE"),
        [(row["slug"], row["result"], _text(row.get("bytes")), row.get("archive") or row["reason"]) for row in rows],
    )
    failed = sum(row["result"] == "failed" for row in rows)
    click.echo(f"{len(rows) - failed} backed up, {failed} failed.", err=True)


def _result(slug: str, result: Backup | Exception) -> dict[str, Any]:
    if isinstance(result, Exception):
        return {"slug": slug, "result": "failed", "reason": explain(result)}
    return {"result": "created", **_summary(result)}


def _summary(backup: Backup) -> dict[str, Any]:
    return {
        "slug": backup.slug,
        "created_at": backup.created_at.isoformat().replace("+00:00", "Z"),
        "bytes": backup.size,
        "encrypted": backup.is_encrypted,
        "archive": relative(backup.path),
    }


def _text(value: Any) -> str:
    return "" if value is None else "yes" if value is True else "no" if value is False else str(value)
