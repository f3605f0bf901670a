"""The life of a tenant: how it begins, is named, is closed for a while, and ends, each by one command.

Each step can be cut short anywhere. A note of ``closing`` is there from before the first change until after the last,
so what is half done is never served, and the same command, run again, finishes it.
"""

from .adding import add, finish_added, is_added
from .adopting import adopted_table, keep_table
from .cloning import clone, cloned_table
from .removing import Removed, remove
from .renaming import rename
from .statuses import set_statuses

__all__ = [
    "Removed",
    "add",
    "adopted_table",
    "clone",
    "cloned_table",
    "finish_added",
    "is_added",
    "keep_table",
    "remove",
    "rename",
    "set_statuses",
]
