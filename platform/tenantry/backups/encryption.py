"""Archives that only the holder of a key can open, in the format of age (age-encryption.org/v1).

They can be opened by the programs ``age`` and ``rage`` too. The package that does it is optional.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from typing import Any, BinaryIO, cast

from ..errors import ImportFailed
from .refusals import BadArchive, BadKey

#: With what an encrypted archive begins.
MARK = b"age-encryption.org/v1"


@contextmanager
def encrypted(stream: BinaryIO, recipients: Sequence[str]) -> Iterator[BinaryIO]:
    """Encrypt to recipients what is written in the block; without any, the block writes to the stream itself.

    :param recipients: public keys: ``age1…``, or those of SSH.
    :raises BadKey: if one is none.
    """
    if not recipients:
        yield stream
        return
    pyrage, keys = _pyrage(), [read_recipient(each) for each in recipients]
    reading, writing = os.pipe()
    with (
        _beside(lambda file: pyrage.encrypt_io(file, stream, keys), os.fdopen(reading, "rb")),
        os.fdopen(writing, "wb") as file,
    ):
        yield file


@contextmanager
def decrypted(stream: BinaryIO, identity: str) -> Iterator[BinaryIO]:
    """Decrypt what is read in the block, if it is encrypted.

    :param identity: text of a file of keys, as ``age-keygen`` writes it, or of a private key of SSH.
    :raises BadKey: if no key of it fits, or none was given.
    """
    buffered: BinaryIO = stream if hasattr(stream, "peek") else BufferedReader(cast(Any, stream))
    if not is_encrypted(buffered):
        yield buffered
        return
    if not identity:
        raise BadKey("The archive is encrypted. Name the file with the key that opens it: --identity FILE.")
    pyrage, keys = _pyrage(), _read_identities(identity)
    reading, writing = os.pipe()
    with (
        _beside(lambda file: pyrage.decrypt_io(buffered, file, keys), os.fdopen(writing, "wb")),
        os.fdopen(reading, "rb") as file,
    ):
        yield file


def is_encrypted(stream: BinaryIO) -> bool:
    """Whether what comes next in a buffered stream is encrypted."""
    return bool(cast(BufferedReader, stream).peek(len(MARK)).startswith(MARK))


def read_recipient(text: str) -> Any:
    """Return the public key that a text is.

    :raises BadKey: if it is none.
    """
    pyrage = _pyrage()
    kind = pyrage.ssh.Recipient if text.startswith("ssh-") else pyrage.x25519.Recipient
    try:
        return kind.from_str(text)
    except pyrage.RecipientError as error:
        raise BadKey(f"'{text[:80]}' is no public key ({error}); expected one like age1…, or ssh-ed25519 …") from None


def _read_identities(text: str) -> list[Any]:
    pyrage = _pyrage()
    try:
        if text.lstrip().startswith("-----BEGIN"):
            return [pyrage.ssh.Identity.from_buffer(text.encode())]
        lines = (line.strip() for line in text.splitlines())
        return [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except pyrage.IdentityError as error:
        raise BadKey(f"The file of --identity has no key that can be read ({error}).") from None


@contextmanager
def _beside(work: Callable[[BinaryIO], None], file: BinaryIO) -> Iterator[None]:
    """Do one end of a pipe in a thread, while the block does the other. An error there is raised here."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            with file:
                work(file)
        except BaseException as error:
            failed.append(error)
            with suppress(OSError):
                file.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    except BrokenPipeError:
        thread.join()
        if not failed:
            raise
    except BadArchive:  # it got less than there is, as what could not be decrypted does not arrive
        thread.join()
        _raise_first(failed)
        raise
    thread.join()
    _raise_first(failed)


def _raise_first(failed: list[BaseException]) -> None:
    pyrage = _pyrage()
    for error in failed:
        if isinstance(error, pyrage.DecryptError) or getattr(error, "errno", 0) is None:  # an OSError that is none
            raise BadKey(
                f"The archive cannot be decrypted: {error}. It is damaged, or the key is another one."
            ) from None
        if not isinstance(error, BrokenPipeError):
            raise error


def _pyrage() -> Any:
    try:
        import pyrage
    except ImportError as error:
        raise ImportFailed("pyrage", f"{error}; pip install 'tenantry[encryption]'") from None
    return pyrage
