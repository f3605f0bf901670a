"""Holding a tenant: while one process makes, migrates or opens its database, no other does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from .files import locked, make_private_folder
from .sqlite import DEED_FILE, DatabaseFile

if TYPE_CHECKING:
    from .registry import Tenant


@contextmanager
def held(tenant: Tenant, seconds: float = 5.0) -> Iterator[None]:
    """Hold a tenant while the block runs.

    :raises StateError: if another process holds it for longer than so many seconds.
    """
    make_private_folder(tenant.state)
    with locked(tenant.state / "lock", seconds):
        yield


def database_of(tenant: Tenant) -> DatabaseFile:
    """Return a tenant's database, as the file that it is now.

    :raises FileNotFoundError: if there is none.
    """
    return DatabaseFile.at(tenant.database_file, tenant.limits.database_mb)


def deed_file(tenant: Tenant) -> Path:
    """Return where the copy of the deed is: it tells a new tenant from one whose database is gone, or another's."""
    return tenant.state / DEED_FILE


def read_deed(state: Path) -> UUID | None:
    """Return the copy of the deed in a tenant's state folder; ``None`` where none can be read."""
    try:
        return UUID((state / DEED_FILE).read_text().strip())
    except (OSError, ValueError):
        return None
