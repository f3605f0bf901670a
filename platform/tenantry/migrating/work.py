"""What runs in the processes that migrate: some tenants at a time, as the command hands them over."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from itertools import zip_longest
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from ..explaining import explain
from ..imports import make_importable
from ..schema_versions import SchemaVersions
from ..sqlite import SqliteDatabases
from ..updating import closed, update_database, update_held
from .ledger import Result

if TYPE_CHECKING:
    from ..registry import Tenant

#: Seconds after which tenants that are closed together, and were not begun, are opened again for another round.
_LONGEST = 2.5


@dataclass(frozen=True)
class Batch:
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
    worker = Worker(folders)
    try:
        connection.send(None)  # ready: whatever happens from here on is a tenant's fault
        while True:
            for result in worker.migrate(connection.recv()):
                connection.send(result)
    except (EOFError, OSError):  # the command is done, or was killed
        return


class Worker:
    """One such process.

    :param folders: the blueprints' migrations folders.
    """

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self._schema = SchemaVersions(folders)
        self._databases = SqliteDatabases(0)
        self._together = 8  # then as many as proved to be done in time

    def migrate(self, batch: Batch) -> Iterator[Result]:
        """Migrate some tenants, and give what became of each as it becomes known."""
        todo = batch.tenants
        while todo and batch.closing:
            results = self._closed_together(todo[: self._together])
            todo = todo[(yield from results) :]
        for tenant, versions in todo:
            yield self._one(tenant, versions, is_closed=False)

    def _closed_together(self, tenants: Sequence[tuple[Tenant, frozenset[str]]]) -> Generator[Result, None, int]:
        """Migrate as many of some closed tenants as the time allows. Return how many that were; the others are open."""
        done, begun = 0, time.monotonic()
        with ExitStack() as stack:
            holds = self._close(stack, [tenant for tenant, _ in tenants])
            for (tenant, versions), hold in zip_longest(tenants, holds):
                if done and time.monotonic() - begun > _LONGEST:
                    break
                with hold or nullcontext():
                    result = self._one(tenant, versions, is_closed=bool(hold))
                yield result
                done += 1
        self._together = done if done < len(tenants) else 2 * self._together
        return done

    def _close(self, stack: ExitStack, tenants: Sequence[Tenant]) -> list[ExitStack]:
        """Close all at once; where one cannot be had, each is closed for itself, so that only that one fails."""
        try:
            return stack.enter_context(closed(tenants))
        except Exception:
            return []

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
