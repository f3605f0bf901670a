"""The status of tenants, changed by command."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..editing import editing, set_status
from ..errors import StateError
from ..explaining import explain
from ..generations import Generation


def set_statuses(file: Path, slugs: Iterable[str], status: str, only: str = "") -> tuple[dict[str, str], Generation]:
    """Give tenants a status, in one edit, and put it into force.

    :param file: tenants.toml.
    :param only: the status out of which they may be taken, where it is not any.
    :return: what each one was before, and the generation.
    :raises UnknownTenant: if one of them is not there. Nothing is changed then.
    """
    with editing(file) as editor:
        before = {slug: editor.registry[slug].status for slug in slugs}
        changed = [slug for slug, was in before.items() if was != status and only in ("", was)]
        for slug in changed:
            set_status(editor, slug, status)
        generation = editor.save(*changed)
    if changed and "suspended" in (status, *before.values()):
        _end_log_ins(file, [slug for slug in changed if "suspended" in (status, before[slug])], generation.since)
    return before, generation


def _end_log_ins(file: Path, slugs: list[str], since: float) -> None:
    """End the log-ins of tenants that were suspended, also where no process serves that would do it."""
    from ..app import Platform
    from ..suspension import close_sessions

    platform, failed = Platform.from_file(file), []
    for slug in slugs:
        try:
            close_sessions(platform, platform.registry[slug], since)
        except Exception as error:  # what is wrong with one tenant's database is told, and the others are done
            failed.append(f"'{slug}' ({explain(error)})")
    if failed:
        raise StateError(
            f"The status is in force, but log-ins could not be ended of {', '.join(failed)}. They are once more when "
            "the tenant is resumed."
        )
