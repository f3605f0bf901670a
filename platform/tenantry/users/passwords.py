"""Passwords: hashed with Argon2id as its library's maintainers advise, never more at once than there are processors."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.profiles import CHEAPEST, RFC_9106_LOW_MEMORY
from flask import current_app

from .refusals import Crowded

#: Fewest and most characters. NIST SP 800-63B-4, section 3.1.1.2, asks for 8 at least, and for a list of common ones.
SHORTEST, LONGEST = 10, 200
#: What lists of stolen passwords begin with, without the digits and marks at its end.
_COMMON = frozenset(
    (
        *("qwertyuiop", "qwertyuiopasdfghjkl", "asdfghjkl", "asdfghjklzxcvbnm", "zxcvbnm", "qazwsxedc", "qazwsxedcrfv"),
        *("1q2w3e4r5t", "1q2w3e4r5t6y", "1qaz2wsx3edc", "q1w2e3r4t5", "qwerty", "qwertz", "qwertzuiop", "azertyuiop"),
        *(
            "password",
            "passwordpassword",
            "passw0rd",
            "p@ssw0rd",
            "passwort",
            "passwordone",
            "mypassword",
            "newpassword",
        ),
        *(
            "iloveyou",
            "iloveyouforever",
            "ihateyou",
            "letmein",
            "letmeinnow",
            "welcome",
            "welcometo",
            "admin",
            "administrator",
        ),
        *("abcdefghij", "abcdefghijk", "abcd", "abc", "football", "baseball", "basketball", "superman", "sunshine"),
        *("princess", "starwars", "pokemon", "liverpool", "manchester", "changeme", "trustno", "whatever", "computer"),
        *("correcthorsebatterystaple", "geheim", "hallo", "hallohallo", "schatz", "ichliebedich", "test", "testtest"),
    )
)
#: Each takes 64 MiB, so a crowd at the log-in page must queue.
_AT_ONCE = threading.BoundedSemaphore(os.cpu_count() or 1)
_PATIENCE = 10.0  # seconds


def hash_password(password: str) -> str:
    """Return a password's hash. Takes about a twentieth of a second: do it before the database is locked.

    :raises Crowded: if others were ahead for too long.
    """
    with _turn():
        return _hasher(current_app.testing).hash(password)


def is_right(password_hash: str | None, password: str) -> bool:
    """Whether a password fits a hash. Where there is no hash, it takes as long as if there were one."""
    hasher = _hasher(current_app.testing)
    with _turn():
        try:
            return hasher.verify(password_hash or _nobodys(current_app.testing), password) and password_hash is not None
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False


def is_outdated(password_hash: str) -> bool:
    """Whether a hash was made with weaker parameters than today's."""
    return _hasher(current_app.testing).check_needs_rehash(password_hash)


def is_common(password: str, *own: str) -> bool:
    """Whether a password is one that is tried first: a common one, digits only, or made of one's own names."""
    folded = password.casefold()
    if len(set(folded)) < 5 or folded.isdigit() or folded.rstrip("0123456789!?.,*#$-_") in _COMMON:
        return True
    return any(len(word) > 3 and word.casefold() in folded for word in own)


@cache
def _hasher(testing: bool) -> PasswordHasher:
    return PasswordHasher.from_parameters(CHEAPEST if testing else RFC_9106_LOW_MEMORY)


@cache
def _nobodys(testing: bool) -> str:
    return _hasher(testing).hash(os.urandom(16).hex())


@contextmanager
def _turn() -> Iterator[None]:
    if not _AT_ONCE.acquire(timeout=_PATIENCE):
        raise Crowded()
    try:
        yield
    finally:
        _AT_ONCE.release()
