"""Why an archive, or a key to one, is refused."""

from __future__ import annotations

from ..errors import TenantryError


class BadArchive(TenantryError):
    """An archive of a backup is damaged, or is none. Nothing of it is used."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"The archive is refused: {self.reason}."


class BadKey(TenantryError):
    """A key to encrypt or decrypt an archive is none, or another one is needed."""
