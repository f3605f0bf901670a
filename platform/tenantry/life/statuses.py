"""The status of tenants, changed by command."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..closing import check_open
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
    :raises TenantClosed: if another command is at work on one of them, or was cut short there: it goes by the status.
    """
    with editing(file) as editor:
        before = {slug: editor.registry[slug].status for slug in slugs}
        for slug in before:
            check_open(editor.registry.settings, slug)
        changed = [slug for slug, was in before.items() if was != status and only in ("", was)]
        # First, as whoever was logged in before a suspension must not be after it; nobody logs in meanwhile.
        resumed = [slug for slug in changed if before[slug] == "suspended" and status != "archived"]
        failed = _end_log_ins(file, resumed, time.time())
        changed = [slug for slug in changed if slug not in failed]
        for slug in changed:
            set_status(editor, slug, status)
        generation = editor.save(*changed)
    if failed:
        raise StateError(f"Log-ins could not be ended, so these stay suspended: {_told(failed)}. Try it again.")
    if status == "suspended" and (failed := _end_log_ins(file, changed, generation.since)):
        raise StateError(
            f"The status is in force, but log-ins could not be ended of {_told(failed)}. They are when it is resumed."
        )
    return before, generation


def _end_log_ins(file: Path, slugs: list[str], since: float) -> dict[str, str]:
    """End log-ins, also where no process serves that would; return the tenants with which it fails, and why."""
    from ..app import Platform
    from ..suspension import close_sessions

    failed: dict[str, str] = {}
    if not slugs:
        return failed
    platform = Platform.from_file(file)
    for slug in slugs:
        try:
            close_sessions(platform, platform.registry[slug], since)
        except Exception as error:  # what is wrong with one tenant's database is told, and the others are done
            failed[slug] = explain(error)
    return failed


def _told(failed: Mapping[str, str]) -> str:
    return ", ".join(f"'{slug}' ({reason})" for slug, reason in failed.items())
