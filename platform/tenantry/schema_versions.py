"""The version of a tenant's tables: Alembic's revisions, those of Tenantry and those of each blueprint.

A blueprint keeps its revisions in its own folder ``migrations/``, as a branch of its own name. Every tenant has the
tables of every blueprint, whether it has the feature or not, so that there is one version for all.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Select, column, select, table
from sqlalchemy.exc import OperationalError

from .errors import StateError
from .mail import outbox as _outbox  # noqa: F401  # its table is one of Tenantry's own, whoever imports it

#: While it runs, Alembic keeps its connection in variables of the process, so two threads would mix two tenants.
_ONE_AT_A_TIME = threading.Lock()
_HERE = Path(__file__).parent / "migrations"

#: The versions that a database has: the table in which Alembic notes them, under the name that it documents.
_VERSIONS: Select[Any] = select(column("version_num")).select_from(table("alembic_version"))


class SchemaVersions:
    """The revisions that a platform's blueprints bring.

    :param folders: the blueprints' migrations folders, beside Tenantry's own.
    """

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self.folders = (_HERE / "versions", *folders)

    def upgrade(self, connection: Connection) -> None:
        """Bring a tenant's tables to the newest version, in one transaction.

        :param connection: one that does not enforce foreign keys, or making a parent table anew, as SQLite's way of
            altering it is, would delete its children.
        :raises StateError: if a row would be left that refers to none.
        """
        config = _config(self.folders)
        config.attributes["connection"] = connection
        with _ONE_AT_A_TIME, _in_our_words(), connection.begin():
            command.upgrade(config, "heads")
            if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise StateError(
                    f"The migration would leave rows of '{broken[0]}' that refer to none in '{broken[2]}'."
                )

    def is_current(self, connection: Connection) -> bool:
        """Whether a tenant's tables have the newest version.

        Asked for each app that is built, so it reads Alembic's table itself, which takes a tenth of the time.
        """
        try:
            return set(connection.execute(_VERSIONS).scalars()) == self._heads
        except OperationalError as error:
            if "no such table" in str(error.orig):
                return False
            raise

    def check_known(self, versions: Iterable[str]) -> None:
        """Look whether a database with these versions could be brought to the newest one.

        :raises StateError: if there is no such version here, as the database is of newer code, or of other blueprints.
        """
        script = ScriptDirectory.from_config(_config(self.folders))
        known = {each.revision for each in script.walk_revisions()}
        if unknown := sorted(set(versions) - known):
            raise StateError(
                f"Its tables have the version {', '.join(unknown)}, which the blueprints here do not know. Install the "
                "version of Tenantry and of the blueprints that it is of, or a newer one."
            )

    def check(self) -> None:
        """Read all revisions.

        :raises StateError: if they do not fit together.
        """
        _ = self._heads  # reading them is the check; an assert would not run under -O

    @cached_property
    def _heads(self) -> set[str]:
        # get_heads() would also list those that others depend on, which Alembic does not write into the database.
        with _in_our_words(), warnings.catch_warnings(action="error"):  # it only warns of two revisions of one name
            found = ScriptDirectory.from_config(_config(self.folders)).get_revisions("heads")
            return {script.revision for script in found if script}


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except (CommandError, UserWarning) as error:
        raise StateError(
            f"The migrations do not fit together, or not the database: {error}. Look whether a file of the blueprints' "
            "migrations folders is missing, or has the revision of another."
        ) from error


def _config(folders: tuple[Path, ...]) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", os.pathsep.join(map(str, folders)).replace("%", "%%"))
    return config
