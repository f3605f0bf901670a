"""The version of a tenant's tables: Alembic's revisions, those of Tenantry and those of each blueprint.

A blueprint keeps its revisions in its own folder ``migrations/``, as a branch of its own name. Every tenant has the
tables of every blueprint, whether it has the feature or not, so that there is one version for all.
"""

from __future__ import annotations

import os
import threading
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Select, column, select, table, text
from sqlalchemy.exc import OperationalError

from . import revision_notes
from .db import Model
from .errors import StateError, TenantryError
from .explaining import explain
from .mail import outbox as _outbox  # noqa: F401  # its table is one of Tenantry's own, whoever imports it
from .migration_plan import MigrationPlan, Step, make_plan
from .revision_notes import RevisionNote

#: While it runs, Alembic keeps its connection in variables of the process, so two threads would mix two tenants.
_ONE_AT_A_TIME = threading.Lock()
#: Tenantry's own revisions, and what a new one is made of.
HOME = Path(__file__).parent / "migrations"

#: The versions that a database has: the table in which Alembic notes them, under the name that it documents.
_VERSIONS: Select[Any] = select(column("version_num")).select_from(table("alembic_version"))


class SchemaVersions:
    """The revisions that a platform's blueprints bring.

    :param folders: the blueprints' migrations folders, beside Tenantry's own.
    """

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self.folders = (HOME / "versions", *folders)

    def upgrade(self, connection: Connection) -> list[str]:
        """Bring a tenant's tables to the newest version, in one transaction. Return the revisions that were applied.

        :param connection: one that does not enforce foreign keys, or making a parent table anew, as SQLite's way of
            altering it is, would delete its children.
        :raises StateError: if a row would be left that refers to none.
        """
        steps, applied = self.steps, list[str]()
        with connection.begin():
            self.run(connection, applied.append)
            if applied:
                revision_notes.write(connection, {name: steps[name].note for name in applied})
            if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise StateError(
                    f"The migration would leave rows of '{broken[0]}' that refer to none in '{broken[2]}'."
                )
        return applied

    def run(self, connection: Connection, on_applied: Callable[[str], None]) -> None:
        """Run the revisions that a database does not have, in the transaction that is open.

        Alembic's own ``upgrade`` would read all files anew each time, which takes longer than what is in them.

        :param on_applied: called with each revision, once it has run.
        """

        def find(revision: Any, context: Any) -> Any:
            return self.script._upgrade_revs("heads", revision)  # as alembic.command.upgrade does

        with _ONE_AT_A_TIME, _in_our_words(), EnvironmentContext(self._config, self.script, fn=find) as environment:
            environment.configure(
                connection=connection,
                target_metadata=Model.metadata,
                render_as_batch=True,  # SQLite alters a table by making it anew
                on_version_apply=lambda step, **_: on_applied(str(step.up_revision_id)),
            )
            environment.run_migrations()

    def state(self, connection: Connection) -> str:
        """Return what a tenant's tables are to this code, as :meth:`judge` does.

        Asked for each app that is built, so it reads Alembic's table itself, which takes a tenth of the time.
        """
        found = _rows(connection, _VERSIONS)
        return self.judge((name for (name,) in found), lambda: read_notes(connection))

    def judge(self, found: Iterable[str], notes: Callable[[], Mapping[str, RevisionNote]]) -> str:
        """Return what a database is to this code: ``current``, ``behind``, ``newer`` or ``unknown``.

        :param found: its versions.
        :param notes: gives what it notes of them; asked only where they are not all known here.
        """
        versions = set(found)
        if versions == self.heads:
            return "current"
        if versions <= self.known:
            return "behind"
        return "newer" if revision_notes.may_be_used(versions, notes(), self.known, self.heads) else "unknown"

    def pending(self, connection: Connection) -> list[Step]:
        """Return what is to be applied to a database, in order.

        :raises StateError: if it was never given its tables, or has revisions that there are none of here.
        """
        found = frozenset(name for (name,) in _rows(connection, _VERSIONS))
        return self.pending_from(found, lambda: read_notes(connection))

    def pending_from(self, found: frozenset[str], notes: Callable[[], Mapping[str, RevisionNote]]) -> list[Step]:
        """Return what is to be applied to a database of these versions, in order.

        :raises StateError: as :meth:`pending`.
        """
        if not found:
            raise StateError("It has no table of versions, so it is no database that Tenantry has made.")
        state = self.judge(found, notes)
        if state == "unknown":
            raise StateError(unknown_versions(found - self.known))
        if state != "behind":
            return []
        with _in_our_words():
            todo = self.script._upgrade_revs("heads", tuple(found))  # type: ignore[arg-type]  # it takes several
        return [self.steps[str(step.revision.revision)] for step in todo]

    def check_known(self, versions: Iterable[str]) -> None:
        """Look whether a database with these versions could be brought to the newest one.

        :raises StateError: if there is no such version here, as the database is of newer code, or of other blueprints.
        """
        if unknown := set(versions) - self.known:
            raise StateError(unknown_versions(unknown))

    def check(self) -> None:
        """Read all revisions.

        :raises StateError: if they do not fit together.
        """
        _ = self.heads  # reading them is the check; an assert would not run under -O

    @property
    def steps(self) -> Mapping[str, Step]:
        """What each revision does to the tables, by its name, in an order in which they can be applied.

        :raises Exception: whatever a revision raises.
        """
        return self._plan.steps

    def plan(self) -> MigrationPlan:
        """Return what all revisions do, for an operator.

        :raises StateError: if one fails.
        """
        try:
            return self._plan
        except TenantryError:
            raise
        except Exception as error:
            said = f"A revision fails on an empty database, so no tenant was touched: {explain(error)}"
            raise StateError(said) from error

    @cached_property
    def _plan(self) -> MigrationPlan:
        return make_plan(self)

    @cached_property
    def script(self) -> ScriptDirectory:
        """Alembic's view of all files."""
        return ScriptDirectory.from_config(self._config)

    @cached_property
    def heads(self) -> frozenset[str]:
        """The newest revisions, as Alembic writes them into a database."""
        # get_heads() would also list those that others depend on, which Alembic does not write into the database.
        with _in_our_words(), warnings.catch_warnings(action="error"):  # it only warns of two revisions of one name
            return frozenset(script.revision for script in self.script.get_revisions("heads") if script)

    @cached_property
    def known(self) -> frozenset[str]:
        """All revisions."""
        with _in_our_words():
            return frozenset(script.revision for script in self.scripts())

    def scripts(self) -> list[Script]:
        """Return the files, each as Alembic has it."""
        return list(self.script.walk_revisions())

    @cached_property
    def _config(self) -> Config:
        config = Config(cmd_opts=Namespace(quiet=True))
        config.set_main_option("script_location", str(HOME).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.set_main_option("file_template", "%%(rev)s")
        config.set_main_option("version_locations", os.pathsep.join(map(str, self.folders)).replace("%", "%%"))
        return config


def unknown_versions(names: Iterable[str]) -> str:
    """Say that a database is of a version that there is none of here."""
    listed = ", ".join(f"'{name}'" for name in sorted(names))
    return (
        f"Its tables have the revision {listed}, which is not among the blueprints' migrations here: they are of newer "
        "code, which did more than add to them, or of a blueprint that is no longer there. Bring that code back, or "
        "the database of before from a backup."
    )


def read_notes(connection: Connection) -> dict[str, RevisionNote]:
    """Return what a database notes of its revisions; nothing if it is older than these notes."""
    return revision_notes.read(_rows(connection, text(revision_notes.QUERY)))


def _rows(connection: Connection, query: Any) -> list[Any]:
    try:
        return list(connection.execute(query))
    except OperationalError as error:
        if "no such table" in str(error.orig):
            return []
        raise


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except (CommandError, UserWarning) as error:
        raise StateError(
            f"The migrations do not fit together, or not the database: {error}. Look whether a file of the blueprints' "
            "migrations folders is missing, or has the revision of another."
        ) from error
