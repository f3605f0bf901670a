"""What one would write instead of ``tenantry migrate``: Alembic, in a loop, with an engine for each tenant."""

from __future__ import annotations

import os
from pathlib import Path

from alembic import command
from alembic.config import Config

_ROOT = Path(__file__).resolve().parent.parent
_PLACES = (
    _ROOT / "platform" / "tenantry" / "migrations" / "versions",
    *(_ROOT / "blueprints" / name / "migrations" for name in ("sections", "projects")),
)


def main(folder: Path) -> None:
    """Upgrade each tenant's database of a folder, one after the other."""
    files = sorted((folder / "var" / "tenants").glob("*/tenant.db"))
    for file in files:
        config = Config()
        config.set_main_option("script_location", str(folder / "loop"))
        config.set_main_option("path_separator", "os")
        places = [*_PLACES, folder / "goods" / "shop" / "migrations"]
        config.set_main_option("version_locations", os.pathsep.join(map(str, places)))
        config.set_main_option("sqlalchemy.url", f"sqlite:///{file}")
        command.upgrade(config, "heads")
    print(f"{len(files)} upgraded")


if __name__ == "__main__":
    main(Path.cwd())
