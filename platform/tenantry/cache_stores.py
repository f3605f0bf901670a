"""Where the cache keeps things: in this process, or in Redis. Neither can be asked without a tenant's deed."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast
from uuid import UUID

from cachetools import TLRUCache

from .shared_redis import SharedRedis

if TYPE_CHECKING:
    from redis import Redis

#: Bytes that all tenants' values take in one process, and of these one tenant's at most.
MOST, FAIR_PART = 32 * 2**20, 4 * 2**20
#: Bytes of the largest single value.
LARGEST = 2**20
#: Bytes that keeping a value takes beside it, as measured: its digest, its expiry, and its places in the tables.
BESIDE = 500
#: Bytes that a tenant's own tables take, as measured.
_A_TENANT = 1200
#: Seconds after which a tenant's generation in Redis is forgotten, and what was kept with it.
_A_MONTH = 30 * 24 * 60 * 60
#: Seconds for which Redis knows that a value was deleted. One that took longer to work out is not kept.
DELETED = 600
#: Keep a value, unless the tenant's were cleared since it was begun, or this one deleted, or it is there already.
_KEEP = """
local generation, deletion = redis.call('get', KEYS[1]), redis.call('get', KEYS[2])
if (generation or '') .. (deletion or '') ~= ARGV[1] then return end
local kept = redis.call('getrange', KEYS[3], 0, 15)
if kept ~= generation then redis.call('set', KEYS[3], generation .. ARGV[2], 'px', ARGV[3]) end
"""


class Store(Protocol):
    """Keeps bytes for a while, under a tenant's deed and a digest of 32 bytes. It may forget any at any time."""

    def get(self, deed: UUID, digest: bytes) -> bytes | None:
        """Return what is kept, or ``None``."""

    def set(self, deed: UUID, digest: bytes, value: bytes, seconds: float) -> None:
        """Keep ``value`` for so many seconds."""

    def begin(self, deed: UUID, digest: bytes) -> Callable[[bytes, float], None]:
        """Return what keeps a value that is worked out from now on, unless another changes it meanwhile.

        To be called with the value, and for how many seconds. Calls of this process the cache itself looks after.
        """

    def delete(self, deed: UUID, digest: bytes) -> None:
        """Forget one value."""

    def clear(self, deed: UUID) -> None:
        """Forget all of one tenant's."""


class _Values(TLRUCache[bytes, tuple[float, bytes]]):
    """One tenant's values, and the bytes that they were last counted as. What has expired leaves by itself."""

    counted = 0.0


class LocalStore:
    """Keeps values in this process: at most so many bytes, and no tenant more than a fair part of them.

    Where it is full, the tenant that was away for longest loses what it has not used for longest.
    """

    def __init__(
        self, most: int = MOST, fair_part: int = FAIR_PART, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._fair_part, self._timer = most, fair_part, timer
        self._tenants: OrderedDict[UUID, _Values] = OrderedDict()
        self._held = 0.0
        self._changing = threading.Lock()

    @property
    def held(self) -> float:
        """Bytes that are held for all tenants."""
        return self._held

    def get(self, deed: UUID, digest: bytes) -> bytes | None:
        with self._changing:
            try:
                self._tenants.move_to_end(deed)
                return self._tenants[deed][digest][1]
            except KeyError:
                return None

    def set(self, deed: UUID, digest: bytes, value: bytes, seconds: float) -> None:
        if len(value) + BESIDE > self._fair_part:
            self.delete(deed, digest)
            return
        with self._changing:
            values = self._tenants.get(deed)
            if values is None:
                values = self._tenants[deed] = _Values(self._fair_part, _expiry, self._timer, _size)
            self._tenants.move_to_end(deed)
            values[digest] = (seconds, value)
            self._count(deed)
            while self._held > self._most:
                self._push_one_out()

    def begin(self, deed: UUID, digest: bytes) -> Callable[[bytes, float], None]:
        return partial(self.set, deed, digest)

    def delete(self, deed: UUID, digest: bytes) -> None:
        with self._changing:
            if deed in self._tenants:
                with suppress(KeyError):
                    del self._tenants[deed][digest]
                self._count(deed)

    def clear(self, deed: UUID) -> None:
        with self._changing:
            if (values := self._tenants.pop(deed, None)) is not None:
                self._held -= values.counted

    def _push_one_out(self) -> None:
        deed, values = next(iter(self._tenants.items()))
        with suppress(KeyError):  # where all of it had expired, and is gone now
            values.popitem()
        self._count(deed)

    def _count(self, deed: UUID) -> None:
        """Count a tenant's values anew, and its tables with them; drop these where they are empty."""
        values = self._tenants[deed]
        size = values.currsize
        counted = size + _A_TENANT if size else 0.0
        self._held += counted - values.counted
        values.counted = counted
        if not size:
            del self._tenants[deed]


def _expiry(digest: bytes, kept: tuple[float, bytes], now: float) -> float:
    return now + kept[0]


def _size(kept: tuple[float, bytes]) -> int:
    return len(kept[1]) + BESIDE


class RedisStore:
    """Keeps values in Redis, for all processes and machines, at ``tenantry:<deed>:cache:<digest>``.

    Each begins with the tenant's generation, sixteen random bytes at ``tenantry:<deed>:cache-generation``. To forget
    all of a tenant's is to forget its generation: what is kept from before fits no later one, also where Redis, short
    of memory, threw the generation away by itself. A counter that began anew could meet its old values again.

    Deleting one value leaves random bytes for a while, at ``tenantry:<deed>:cache-deleted:<digest>``, so that another
    process that is working it out from what was there before does not keep that.
    """

    def __init__(self, redis: SharedRedis, timer: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._timer = timer
        self._keep = redis.client.register_script(_KEEP)
        self._overdue: set[UUID] = set()  # whose values changed while Redis did not answer, so that it has old ones

    def get(self, deed: UUID, digest: bytes) -> bytes | None:
        def read(client: Redis) -> bytes | None:
            self._catch_up(client, deed)
            generation, kept = cast("list[bytes | None]", client.mget(_generation(deed), _key(deed, digest)))
            if generation is None or kept is None or not kept.startswith(generation):
                return None
            return kept[len(generation) :]

        return self._redis.ask(read, None)

    def set(self, deed: UUID, digest: bytes, value: bytes, seconds: float) -> None:
        def write(client: Redis) -> bool:
            generation, _ = self._state(client, deed, digest)
            client.set(_key(deed, digest), generation + value, px=_milliseconds(seconds))
            return True

        self._change(deed, write)

    def begin(self, deed: UUID, digest: bytes) -> Callable[[bytes, float], None]:
        keys = [_generation(deed), _deletion(deed, digest), _key(deed, digest)]
        deadline = self._timer() + DELETED
        before = self._redis.ask(lambda client: b"".join(self._state(client, deed, digest)), None)

        def keep(value: bytes, seconds: float) -> None:
            def write(client: Redis) -> None:
                self._catch_up(client, deed)
                self._keep(keys=keys, args=[before or b"", value, _milliseconds(seconds)], client=client)

            if before is not None and self._timer() < deadline:
                self._redis.ask(write, None)

        return keep

    def delete(self, deed: UUID, digest: bytes) -> None:
        def forget(client: Redis) -> bool:
            with client.pipeline() as both:
                both.set(_deletion(deed, digest), secrets.token_bytes(16), ex=DELETED)
                both.delete(_key(deed, digest))
                both.execute()
            return True

        self._change(deed, forget)

    def clear(self, deed: UUID) -> None:
        def forget(client: Redis) -> bool:
            client.delete(_generation(deed))
            return True

        self._change(deed, forget)

    def _change(self, deed: UUID, change: Callable[[Redis], bool]) -> None:
        if not self._redis.ask(change, False):
            self._overdue.add(deed)

    def _state(self, client: Redis, deed: UUID, digest: bytes) -> tuple[bytes, bytes]:
        """Return a tenant's generation, a new one where there is none, and the mark of a value's last deletion."""
        self._catch_up(client, deed)
        names = (_generation(deed), _deletion(deed, digest))
        generation, deletion = cast("list[bytes | None]", client.mget(*names))
        if generation is None:
            client.set(names[0], secrets.token_bytes(16), nx=True, ex=_A_MONTH)
            generation, deletion = cast("list[bytes | None]", client.mget(*names))
        return generation or secrets.token_bytes(16), deletion or b""  # where it is gone already, one that fits nothing

    def _catch_up(self, client: Redis, deed: UUID) -> None:
        """Forget what a tenant has in Redis, if a change of it did not come through."""
        if deed in self._overdue:
            client.delete(_generation(deed))
            self._overdue.discard(deed)


def _key(deed: UUID, digest: bytes) -> str:
    return SharedRedis.key(deed.hex, "cache", digest.hex())


def _generation(deed: UUID) -> str:
    return SharedRedis.key(deed.hex, "cache-generation")


def _deletion(deed: UUID, digest: bytes) -> str:
    return SharedRedis.key(deed.hex, "cache-deleted", digest.hex())


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))
