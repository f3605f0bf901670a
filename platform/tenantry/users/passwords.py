"""Passwords: hashed with Argon2id as its library's maintainers advise, a few at a time in each process."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.profiles import CHEAPEST, RFC_9106_LOW_MEMORY
from flask import current_app

from ..context import current_tenant
from .refusals import Crowded

#: Fewest and most characters. NIST SP 800-63B-4, section 3.1.1.2, asks for 8 at least, and for a list of common ones.
SHORTEST_PASSWORD, LONGEST_PASSWORD = 10, 200
_WORDS = """
1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx3edc abc abcd abcdefghij abcdefghijk admin administrator asdfghjkl asdfghjklzxcvbnm
azertyuiop baseball basketball changeme computer correcthorsebatterystaple football geheim hallo hallohallo ichliebedich
ihateyou iloveyou iloveyouforever letmein letmeinnow liverpool manchester mypassword newpassword p@ssw0rd passw0rd
password passwordone passwordpassword passwort pokemon princess q1w2e3r4t5 qazwsxedc qazwsxedcrfv qwerty qwertyuiop
qwertyuiopasdfghjkl qwertz qwertzuiop schatz starwars sunshine superman test testtest trustno welcome welcometo whatever
zxcvbnm
"""
#: What lists of stolen passwords begin with, without the digits and marks at their end.
_COMMON = frozenset(_WORDS.split())
#: Each takes 64 MiB and a processor, so only as many work at once in a process as there are processors. Others wait, a
#: few in all and fewer of one tenant: a crowd at one log-in page must not take the threads that serve the neighbours.
_AT_ONCE = threading.BoundedSemaphore(os.cpu_count() or 1)
_PRESENT: Counter[UUID] = Counter()
_MOST, _MOST_OF_A_TENANT = (os.cpu_count() or 1) + 4, 4
_PRESENCE = threading.Lock()


def hash_password(password: str) -> str:
    """Return a password's hash. Takes about a tenth of a second: do it before the database is locked.

    :raises Crowded: if too many others were ahead.
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
    deed = current_tenant.deed or UUID(int=0)
    with _PRESENCE:
        if _PRESENT.total() >= _MOST or _PRESENT[deed] >= _MOST_OF_A_TENANT:
            raise Crowded()
        _PRESENT[deed] += 1
    try:
        with _AT_ONCE:
            yield
    finally:
        with _PRESENCE:
            _PRESENT[deed] -= 1
            if not _PRESENT[deed]:
                del _PRESENT[deed]
