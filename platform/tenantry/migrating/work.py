"""What runs in the processes that migrate: some tenants at a time, as the command hands them over."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import explain
from ..imports import make_importable
from ..schema_versions import SchemaVersions
from ..sqlite import SqliteDatabases
from ..updating import closed, update_database, update_held
from .ledger import Result

if TYPE_CHECKING:
    from ..registry import Tenant


@dataclass(frozen=True)
class Task:
    """Some tenants to migrate, each with the versions that it has.

    :ivar closing: whether they are closed to the workers first, as what is to be applied does more than add.
    """

    tenants: tuple[tuple[Tenant, frozenset[str]], ...]
    closing: bool


def bare(tenant: Tenant) -> Tenant:
    """Return a tenant with no more than a migration needs: its tables of configuration cannot be handed over."""
    return replace(tenant, overrides={}, config={})


def main(connection: Connection, root: Path, folders: tuple[Path, ...]) -> None:
    """Migrate what comes, and tell of each tenant what became of it, until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the command's; a tenant that was begun is finished
    logging.getLogger("alembic").setLevel(logging.WARNING)
    make_importable(root)
    worker = _Worker(folders)
    try:
        connection.send(None)  # ready: whatever happens from here on is a tenant's fault
        while True:
            for result in worker.migrate(connection.recv()):
                connection.send(result)
    except (EOFError, OSError):  # the command is done, or was killed
        return


class _Worker:
    def __init__(self, folders: tuple[Path, ...]) -> None:
        self._schema = SchemaVersions(folders)
        self._databases = SqliteDatabases(0)

    def migrate(self, task: Task) -> Iterator[Result]:
        with ExitStack() as stack:
            is_closed = task.closing and self._close(stack, [tenant for tenant, _ in task.tenants])
            for tenant, versions in task.tenants:
                yield self._one(tenant, versions, is_closed)

    def _close(self, stack: ExitStack, tenants: Sequence[Tenant]) -> bool:
        """Close all at once; where one cannot be had, each is closed for itself, so that only that one fails."""
        try:
            stack.enter_context(closed(tenants))
        except Exception:
            return False
        return True

    def _one(self, tenant: Tenant, versions: frozenset[str], is_closed: bool) -> Result:
        before, begun = tuple(sorted(versions)), time.monotonic()
        try:
            if is_closed:
                applied = update_held(self._schema, self._databases, tenant, is_closed=True)
            else:
                applied = update_database(self._schema, self._databases, tenant)
        except (Exception, SystemExit) as error:
            return Result(tenant.slug, "failed", before, before, time.monotonic() - begun, explain(error))
        outcome = "migrated" if applied else "current"
        return Result(tenant.slug, outcome, before, tuple(sorted(self._schema.heads)), time.monotonic() - begun)
