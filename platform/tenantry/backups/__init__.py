"""Backups of tenants: a tenant's database, files and configuration as they were at one moment, in one private archive.

``taking`` makes them, ``keeping`` finds and thins them out, ``archive`` reads and writes them, and ``restoring`` brings
a tenant back.
"""

from .archive import verify
from .contents import as_toml, configured, table_for
from .keeping import Backup, backups_in, default_folder, thin_out
from .manifest import Manifest
from .restoring import Restored, restore, restore_replaced
from .taking import back_up, write_backup

__all__ = [
    "Backup",
    "Manifest",
    "Restored",
    "as_toml",
    "back_up",
    "backups_in",
    "configured",
    "default_folder",
    "restore",
    "restore_replaced",
    "table_for",
    "thin_out",
    "verify",
    "write_backup",
]
