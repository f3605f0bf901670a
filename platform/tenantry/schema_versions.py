"""The version of a tenant's tables: Alembic's revisions, those of Tenantry and those of each blueprint.

A blueprint keeps its revisions in its own folder ``migrations/``, as a branch of its own name. Every tenant has the
tables of every blueprint, whether it has the feature or not, so that there is one version for all.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_HERE = Path(__file__).parent / "migrations"


class SchemaVersions:
    """The revisions that a platform's blueprints bring.

    :param folders: the blueprints' migrations folders, beside Tenantry's own.
    """

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self.folders = (_HERE / "versions", *folders)

    def upgrade(self, connection: Connection) -> None:
        """Bring a tenant's tables to the newest version, in one transaction."""
        config = _config(self.folders)
        config.attributes["connection"] = connection
        command.upgrade(config, "heads")

    def is_current(self, connection: Connection) -> bool:
        """Whether a tenant's tables have the newest version."""
        return set(MigrationContext.configure(connection).get_current_heads()) == _heads(self.folders)


def _config(folders: tuple[Path, ...]) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", os.pathsep.join(map(str, folders)).replace("%", "%%"))
    return config


@lru_cache(maxsize=8)
def _heads(folders: tuple[Path, ...]) -> set[str]:
    # get_heads() would also list those that others depend on, which Alembic does not write into the database.
    return {
        script.revision for script in ScriptDirectory.from_config(_config(folders)).get_revisions("heads") if script
    }
