"""Why an archive, or a key to one, is refused."""

from __future__ import annotations

from ..errors import TenantryError


class BadArchive(TenantryError):
    """An archive of a backup is damaged, or is none. Nothing of it is used."""

    def __init__(self, reason: str) -> None:
        # It may quote what stands in the archive, and a terminal obeys what is not printable.
        self.reason = "".join(each if each.isprintable() else repr(each)[1:-1] for each in reason)
        super().__init__(self.reason)

    def __str__(self) -> str:
        return f"The archive is refused: {self.reason}."


class BadKey(TenantryError):
    """A key to encrypt or decrypt an archive is none, or another one is needed."""
