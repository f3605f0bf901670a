"""How many requests somebody has made in this minute, counted together by all processes of one machine.

The counters are a small file that all processes map into their memory, so counting takes some microseconds and needs no
server. Each minute begins at nought; a counter whose minute is over is free for the next.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from .files import give_to_owner_of

#: Seconds in which requests are counted.
WINDOW = 60
_SLOT = struct.Struct("<QII")  # who, as a digest; in which window; how often
#: How many counters there are, and how many places are looked at for one.
_SLOTS, _PROBES = 32_768, 8
_SIZE = _SLOTS * _SLOT.size


@dataclass(frozen=True, slots=True)
class Usage:
    """What somebody has used of a limit.

    :ivar limit: requests in a window.
    :ivar count: of these, used, this one included.
    :ivar reset: seconds until the next window.
    """

    limit: int
    count: int
    reset: int

    @property
    def remaining(self) -> int:
        """How many are left."""
        return max(0, self.limit - self.count)

    @property
    def is_over(self) -> bool:
        """Whether this one was too many."""
        return self.count > self.limit


class Rates:
    """The counters of one machine, in a file that is made at the first use.

    :param path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file = -1
        self._map: mmap.mmap | None = None

    def count(self, who: str, limit: int) -> Usage:
        """Count a request of somebody, and return what they have used.

        :raises OSError: if the file cannot be made.
        """
        moment = int(time.time())
        window, digest = moment // WINDOW, int.from_bytes(blake2b(who.encode(), digest_size=8).digest(), "little")
        with self._exclusively() as counters:
            place = _place(counters, digest, window)
            known, then, count = _SLOT.unpack_from(counters, place)
            count = count + 1 if (known, then) == (digest, window) else 1
            _SLOT.pack_into(counters, place, digest, window, count)
        return Usage(limit, count, WINDOW - moment % WINDOW)

    @contextmanager
    def _exclusively(self) -> Iterator[mmap.mmap]:
        """Hold the file between threads, and between processes: that lock is each process's, and lasts microseconds."""
        with self._lock:
            counters = self._map or self._open()
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                yield counters
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _open(self) -> mmap.mmap:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            give_to_owner_of(self._path.parent, descriptor)
            fcntl.lockf(descriptor, fcntl.LOCK_EX)  # or the zeros of one would go over what another has counted
            _fill(descriptor)
            fcntl.lockf(descriptor, fcntl.LOCK_UN)
            self._map = mmap.mmap(descriptor, _SIZE)
        except BaseException:
            os.close(descriptor)
            raise
        self._file = descriptor
        return self._map


def _fill(descriptor: int) -> None:
    """Give the file its size by writing it: in a hole, a full disk would end the process at some later moment.

    :raises OSError: if there is no room.
    """
    size = os.fstat(descriptor).st_size
    missing = bytes(max(0, _SIZE - size))
    if missing and os.pwrite(descriptor, missing, size) < len(missing):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _place(counters: mmap.mmap, digest: int, window: int) -> int:
    """Return where somebody's counter is: their own, else one whose window is over, else the first, which is lost."""
    places = [(digest + step) % _SLOTS * _SLOT.size for step in range(_PROBES)]
    found = [(place, *_SLOT.unpack_from(counters, place)[:2]) for place in places]
    own = next((place for place, known, then in found if (known, then) == (digest, window)), None)
    free = next((place for place, _, then in found if then < window), places[0])
    return free if own is None else own
