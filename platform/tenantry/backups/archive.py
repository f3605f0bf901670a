"""Archives: a tar file, compressed by gzip, whose first member is the manifest.

They can be opened without Tenantry (``tar -xzf``). Reading here trusts nothing that stands in one: each member must be
a plain file that the manifest names, of the size and checksum that it says; only then is it written, by us and not by
tarfile, to a place below one folder. No link is ever made, so none can lead out of it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, BinaryIO, cast

from ..errors import StateError
from ..files import give_to_owner_of, make_private_folder
from .databases import check_database
from .encryption import decrypted
from .manifest import DATABASE, LARGEST, NAME, Manifest, Member
from .refusals import BadArchive

_CHUNK = 1024 * 1024
#: Bytes that may be asked for at once. tarfile reads whole headers, and one could claim to have gigabytes.
_MOST_AT_ONCE = 4 * 1024 * 1024
#: gzip's: above it databases get smaller by 3 in 100, in a third more time; and pictures are compressed already.
_LEVEL = 4
#: How many times its packed size an archive may have unpacked, once that is above so many bytes. gzip comes to 1,000
#: with zeros alone. A database that was emptied is full of them, so what is smaller is let be.
_TIGHTEST, _LET_BE = 200, 1024 * 1024 * 1024
#: Bytes that are left free for others on a disk, but no more than one in twenty of it.
_SPARE = 256 * 1024 * 1024


def write(stream: BinaryIO, manifest: Manifest, files: Mapping[str, Path]) -> None:
    """Write an archive.

    :param files: the name of each member to where it is.
    :raises StateError: if a file is no longer what the manifest says.
    :raises BadArchive: if it could not be restored, e.g. as a file's name is too strange.
    """
    manifest.check()
    with (
        gzip.GzipFile("", "wb", _LEVEL, stream, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        content, moment = manifest.to_bytes(), datetime.fromisoformat(manifest.created_at).timestamp()
        tar.addfile(_header(NAME, len(content), moment), io.BytesIO(content))
        for member in manifest.members:
            with files[member.name].open("rb") as file:
                hashing = _Hashing(file)
                tar.addfile(_header(member.name, member.size, moment), cast(IO[bytes], hashing))
            if hashing.digest.hexdigest() != member.sha256:
                raise StateError(f"{files[member.name]} has changed while it was backed up. Back up again.")


def _header(name: str, size: int, moment: float) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size, header.mode, header.mtime = size, 0o600, int(moment)
    return header


def read_manifest(stream: BinaryIO) -> Manifest:
    """Return the manifest of an archive, of which no more is read.

    :raises BadArchive: if it has none.
    """
    with _opened(stream) as (_, tar):
        return _manifest_in(tar)


def unpack(stream: BinaryIO, folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> Manifest:
    """Read an archive to its end, look at all that is in it, and write it into an empty folder.

    :param wanted: which members are written; the others are only looked at.
    :raises BadArchive: if anything is not as its manifest says.
    :raises StateError: if there is no room for it.
    """
    with _opened(stream) as (packed, tar):
        manifest = _manifest_in(tar)
        _check_room(folder, sum(member.size for member in manifest.members if wanted(member.name)))
        waiting = {member.name: member for member in manifest.members}
        while (header := tar.next()) is not None:
            member = waiting.pop(header.name, None)
            if member is None:
                raise BadArchive(f"it holds '{header.name[:200]}', which its {NAME} does not name, or holds it twice")
            _check_header(header, member)
            _unpack_one(tar, header, member, folder / member.name if wanted(member.name) else None)
        _read_to_end(packed)
    if waiting:
        raise BadArchive(f"'{min(waiting)[:200]}' is missing in it, as it was cut short")
    return manifest


def verify(stream: BinaryIO, folder: Path, identity: str = "") -> Manifest:
    """Read an archive to its end, and look at all that is in it, the database too.

    :param folder: an empty one, in which the database is put.
    :param identity: text of the file of keys that open it, where it is encrypted.
    :raises BadArchive: if it could not be restored.
    """
    with decrypted(stream, identity) as plain:
        manifest = unpack(plain, folder, wanted=lambda each: each == DATABASE)
        facts = check_database(folder / DATABASE)
    check_facts(manifest, facts.deed, facts.schema)
    return manifest


def check_facts(manifest: Manifest, deed: str, schema: tuple[str, ...]) -> None:
    """Compare the manifest with what stands in the database.

    :raises BadArchive: if they are not the same.
    """
    if (manifest.deed, manifest.schema) != (deed, schema):
        raise BadArchive(f"its database has another deed, or other tables, than its {NAME} says")


@contextmanager
def _opened(stream: BinaryIO) -> Iterator[tuple[gzip.GzipFile, tarfile.TarFile]]:
    counted = _Counted(stream)
    try:
        with (
            gzip.GzipFile(fileobj=cast(IO[bytes], counted), mode="rb") as packed,
            tarfile.open(fileobj=cast(IO[bytes], _Steps(packed, counted)), mode="r:") as tar,
        ):
            yield packed, tar
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, UnicodeError) as error:
        raise BadArchive(f"it is damaged, cut short, or none of Tenantry's ({error})") from None
    except OSError as error:
        raise StateError(f"The archive cannot be unpacked: {error.strerror or error}.") from None


def _manifest_in(tar: tarfile.TarFile) -> Manifest:
    header = tar.next()
    if header is None or header.name != NAME or not _is_plain(header):
        raise BadArchive(f"it does not begin with a {NAME}, so it is none of Tenantry's")
    if header.size > LARGEST:
        raise BadArchive(f"its {NAME} has {header.size:,} bytes; expected at most {LARGEST:,}")
    return Manifest.from_bytes(b"".join(_chunks(tar, header)))


def _check_header(header: tarfile.TarInfo, member: Member) -> None:
    if not _is_plain(header):
        raise BadArchive(f"'{member.name[:200]}' in it is a link or a device; expected plain files only")
    if header.size != member.size:
        raise BadArchive(f"'{member.name[:200]}' has {header.size:,} bytes; its {NAME} says {member.size:,}")


def _is_plain(header: tarfile.TarInfo) -> bool:
    return header.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and header.sparse is None


def _unpack_one(tar: tarfile.TarFile, header: tarfile.TarInfo, member: Member, path: Path | None) -> None:
    digest, size = hashlib.sha256(), 0
    with _written(path) as file:
        for chunk in _chunks(tar, header):
            digest.update(chunk)
            size += len(chunk)
            if file is not None:
                file.write(chunk)
    if size != member.size or digest.hexdigest() != member.sha256:
        raise BadArchive(f"'{member.name[:200]}' in it is damaged: its checksum is another one")


@contextmanager
def _written(path: Path | None) -> Iterator[BinaryIO | None]:
    if path is None:
        yield None
        return
    make_private_folder(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        give_to_owner_of(path.parent, descriptor)
        yield file


def _chunks(tar: tarfile.TarFile, header: tarfile.TarInfo) -> Iterator[bytes]:
    file = cast(IO[bytes], tar.extractfile(header))
    while chunk := file.read(_CHUNK):
        yield chunk


def _check_room(folder: Path, size: int) -> None:
    disk = shutil.disk_usage(folder)
    room = max(0, disk.free - min(_SPARE, disk.total // 20))
    if size > room:
        raise StateError(f"The archive takes {size:,} bytes unpacked, and {folder} has room for {room:,}.")


def _read_to_end(packed: gzip.GzipFile) -> None:
    """Read what follows the last member: zeros up to a record of tar, and gzip's own checksum."""
    left = packed.read(tarfile.RECORDSIZE)
    while left and not left.strip(b"\0"):
        left = packed.read(tarfile.RECORDSIZE)
    if left:
        raise BadArchive("something follows its end")


class _Hashing:
    """A file that is hashed while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self.digest = hashlib.sha256()
        self._file = file

    def read(self, size: int) -> bytes:
        chunk = self._file.read(size)
        self.digest.update(chunk)
        return chunk


class _Counted:
    """A stream of which it is known how much was read."""

    def __init__(self, stream: BinaryIO) -> None:
        self.count = 0
        self._stream = stream

    def read(self, size: int) -> bytes:
        chunk = self._stream.read(size)
        self.count += len(chunk)
        return chunk


class _Steps:
    """A compressed file of which no more is read at once than there is memory for, and that is not packed too tight."""

    def __init__(self, packed: gzip.GzipFile, counted: _Counted) -> None:
        self._packed, self._counted = packed, counted
        self.tell = packed.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MOST_AT_ONCE:
            raise BadArchive("a header in it claims to be of a size that none has")
        if self.tell() > max(_LET_BE, _TIGHTEST * self._counted.count):
            raise BadArchive(f"it is packed to less than one in {_TIGHTEST}, which no tenant's data are")
        return self._packed.read(size)

    def seek(self, offset: int) -> int:
        """Go forward; tarfile skips what pads a member."""
        while (gap := offset - self._packed.tell()) > 0 and self._packed.read(min(gap, _CHUNK)):
            pass
        return self._packed.tell()


def digest_of(path: Path) -> tuple[int, str]:
    """Return a file's size in bytes, and its SHA-256 in hex."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest
