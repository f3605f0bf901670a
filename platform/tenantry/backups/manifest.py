"""The manifest: the first member of an archive, which says what the others are."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
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
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_VERSION = re.compile(r"[0-9A-Za-z.+!-]{1,64}")  # as PEP 440 has it
_REVISION = re.compile(r"[^\s'\\]{1,128}")
_UPLOAD = re.compile(r"[0-9a-f]{32}")
#: Bytes of the longest name of a file in a folder, as of most file systems; of a whole name; and folders in folders.
_LONGEST_PART, _LONGEST, _DEEPEST = 255, 2048, 64
#: Kinds of characters that no name has: controls, halves of characters, ends of lines and of paragraphs.
_NOT_IN_NAMES = ("Cc", "Cs", "Zl", "Zp")


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

        :raises BadArchive: if it is none, or of a newer format, has a text that is not of its form, or names what must
            not be in an archive.
        """
        try:
            found = json.loads(content)
            if found["format"] > FORMAT:
                raise BadArchive(f"it has the format {found['format']}, which is newer than this Tenantry; update it")
            members = tuple(Member(str(m["name"]), _whole(m["size"]), str(m["sha256"])) for m in found["members"])
            made = cls(
                slug=str(found["slug"]),
                deed=UUID(found["deed"]).hex,
                created_at=str(found["created_at"]),
                schema=tuple(map(str, found["schema"])),
                tenantry=str(found["tenantry"]),
                members=members,
                missing=tuple(map(str, found["missing"])),
                format=_whole(found["format"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BadArchive(f"its {NAME} cannot be read ({type(error).__name__}: {error})") from None
        made.check()
        return made

    def check(self) -> None:
        """Look whether everything is of its form, and every file has a place in an archive.

        :raises BadArchive: if not.
        """
        if self.format < 1:
            raise BadArchive(f"it has the format {self.format}, which there never was")
        self._check_texts()
        self._check_members()

    def _check_texts(self) -> None:
        if not SLUG.fullmatch(self.slug):
            raise BadArchive(f"its tenant is called '{self.slug[:80]}', which is no slug")
        if not _is_moment(self.created_at):
            raise BadArchive(f"it is of '{self.created_at[:80]}'; expected a moment like '2026-05-31T22:00:00Z'")
        if not _VERSION.fullmatch(self.tenantry):
            raise BadArchive(f"it was written by the version '{self.tenantry[:80]}', which is none")
        for each in self.schema:
            if not (_REVISION.fullmatch(each) and each.isprintable()):
                raise BadArchive(f"it names the revision '{each[:80]}', which is none")
        for each in self.missing:
            if not _UPLOAD.fullmatch(each):
                raise BadArchive(f"it names the upload '{each[:80]}', which is none")

    def _check_members(self) -> None:
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
        folders = {folder for name in names for folder in _folders_of(name)}
        if both := folders & set(names):
            raise BadArchive(f"it names '{min(both)[:200]}' both as a file and as a folder")


def _is_allowed(name: str) -> bool:
    if name in (DATABASE, TABLE):
        return True
    parts = name.split("/")
    if not name.startswith(_FOLDERS) or "\\" in name or {"", ".", ".."} & set(parts):
        return False
    if any(unicodedata.category(each) in _NOT_IN_NAMES for each in name):
        return False
    if len(parts) > _DEEPEST or len(name.encode()) > _LONGEST or max(len(p.encode()) for p in parts) > _LONGEST_PART:
        return False
    return not name.startswith(_FOLDERS[0]) or (_UPLOAD.fullmatch(parts[-1]) is not None and len(parts) == 3)


def _folders_of(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _is_moment(text: str) -> bool:
    try:
        return bool(_MOMENT.fullmatch(text) and datetime.fromisoformat(text))
    except ValueError:
        return False


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{str(value)[:80]!r} is no whole number")
    return value
