"""The manifest: the first member of an archive, which says what the others are."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from uuid import UUID

from ..doors import SLUG
from .refusals import BadArchive

#: The version of the archives that are written, and the newest that is read.
FORMAT = 1
NAME = "manifest.json"
DATABASE, TABLE = "state/tenant.db", "tenant.toml"
#: The folders of a tenant that are in its archive.
STATE_FOLDERS = ("uploads", "instance")
#: Bytes of the largest manifest that is read: that of some 400,000 files.
LARGEST = 64 * 1024 * 1024
_FOLDERS = ("state/uploads/", "state/instance/", "overlay/")
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Member:
    """One file in an archive: its size in bytes, and its SHA-256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds.

    :ivar slug: the tenant's name at that time; ``deed`` is its identity, 32 hexadecimal digits.
    :ivar created_at: the moment that it shows, in UTC, as ISO 8601 has it.
    :ivar schema: the versions of its tables: Alembic's revisions.
    :ivar tenantry: the version that wrote it.
    :ivar members: every file in it but the manifest itself.
    :ivar missing: uploads that the database names, and whose files were gone already.
    """

    slug: str
    deed: str
    created_at: str
    schema: tuple[str, ...]
    tenantry: str
    members: tuple[Member, ...]
    missing: tuple[str, ...] = ()
    format: int = FORMAT

    @property
    def size(self) -> int:
        """Bytes of all members, unpacked."""
        return sum(member.size for member in self.members)

    def to_bytes(self) -> bytes:
        """Return it as it stands in the archive."""
        return (json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Manifest:
        """Read and check a manifest.

        :raises BadArchive: if it is none, or of a newer format, or names what must not be in an archive.
        """
        try:
            found = json.loads(content)
            if found["format"] > FORMAT:
                raise BadArchive(f"it has the format {found['format']}, which is newer than this Tenantry; update it")
            members = tuple(Member(str(m["name"]), int(m["size"]), str(m["sha256"])) for m in found["members"])
            made = cls(
                slug=str(found["slug"]),
                deed=UUID(found["deed"]).hex,
                created_at=str(found["created_at"]),
                schema=tuple(map(str, found["schema"])),
                tenantry=str(found["tenantry"]),
                members=members,
                missing=tuple(map(str, found["missing"])),
                format=int(found["format"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BadArchive(f"its {NAME} cannot be read ({type(error).__name__}: {error})") from None
        made._check()
        return made

    def _check(self) -> None:
        if not SLUG.fullmatch(self.slug):
            raise BadArchive(f"its tenant is called '{self.slug[:80]}', which is no slug")
        names = [member.name for member in self.members]
        if len(set(names)) != len(names):
            raise BadArchive("it names a file twice")
        if DATABASE not in names:
            raise BadArchive("it holds no database")
        for member in self.members:
            if not _is_allowed(member.name):
                raise BadArchive(f"it names the file '{member.name[:200]}', which has no place in an archive")
            if member.size < 0 or not _DIGEST.fullmatch(member.sha256):
                raise BadArchive(f"its size or checksum of '{member.name[:200]}' is none")


def _is_allowed(name: str) -> bool:
    if name in (DATABASE, TABLE):
        return True
    parts = name.split("/")
    return name.startswith(_FOLDERS) and "\0" not in name and not {"", ".", ".."} & set(parts)
