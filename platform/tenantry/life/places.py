"""Where a tenant has things beside its table in tenants.toml, and how they go, in steps that can be taken again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from ..backups.switching import REPLACED
from ..errors import StateError
from ..files import remove_folder
from ..holding import deed_file, read_deed
from ..registry import Settings, Tenant

#: What stays of a tenant that is gone: the lock by which it was provisioned.
_NOTHING = {"lock"}


def has_content(folder: Path) -> bool:
    """Whether there is something in a folder, or a file in its place."""
    return folder.exists() and not (folder.is_dir() and {path.name for path in folder.iterdir()} <= _NOTHING)


def mails_of(tenant: Tenant) -> Path:
    """Return the folder of mails that were written into files."""
    return tenant.settings.state_dir / "mail" / tenant.slug


def remove_state(tenant: Tenant) -> None:
    """Remove a tenant's state: its database and files, and whose its deed is.

    Its claim goes first and its database before the rest: at no point another tenant could be made of what is left.

    :raises StateError: if something cannot be removed.
    """
    try:
        if (deed := read_deed(tenant.state)) is not None:
            claim_of(tenant.settings, deed).unlink(missing_ok=True)
        deed_file(tenant).unlink(missing_ok=True)
        tenant.database_file.unlink(missing_ok=True)
        remove_folder(tenant.state)
    except OSError as error:
        raise _not_removed(error) from None


def remove_traces(tenant: Tenant) -> None:
    """Remove what is elsewhere of a tenant: its overlay, mails that were written into files, what restores have kept.

    :raises StateError: if something cannot be removed.
    """
    try:
        for folder in (tenant.folder, mails_of(tenant), *_replaced(tenant)):
            remove_folder(folder)
    except OSError as error:
        raise _not_removed(error) from None


def _not_removed(error: OSError) -> StateError:
    return StateError(f"{error.filename} cannot be removed ({error.strerror}). Run this again once it can.")


def claim_of(settings: Settings, deed: UUID) -> Path:
    """Return the file that says whose a deed is."""
    return settings.state_dir / "deeds" / deed.hex


def _replaced(tenant: Tenant) -> Iterator[Path]:
    """Yield what restores have kept of a tenant."""
    for path in (tenant.settings.state_dir / "replaced").glob(f"{tenant.slug}-*"):
        found = REPLACED.fullmatch(path.name)
        if found is not None and found[1] == tenant.slug:
            yield path
