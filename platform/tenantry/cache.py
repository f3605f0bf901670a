"""A cache that is the current tenant's: ``from tenantry import cache``, then ``cache.get_or_set("key", function)``.

A key is any text, or a tuple of plain values, and finds only what the same tenant kept. What is kept is a copy, as
text: plain values, see ``plain_values.py``. It may be forgotten at any time. It is in this process, or in Redis, where
``[platform] redis`` names one.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, ParamSpec, TypeVar, cast
from uuid import UUID

from . import plain_values
from .cache_stores import LARGEST, Store
from .context import current_tenant_app

P = ParamSpec("P")
R = TypeVar("R")

#: Seconds for which a value is kept that says nothing else, and at most.
SECONDS, LONGEST = 300, 30 * 24 * 60 * 60
#: Seconds to wait for another thread that works the same value out. Two that wait for each other go on then.
_PATIENCE = 20.0
_MISSING = object()


class _Work:
    """One thread's working out of one value, for which others wait."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.text: Future[bytes | None] = Future()
        self.keeping = threading.Lock()
        self.is_outdated = False


class PlatformCache:
    """The cache of one platform. Every call says whose: by the deed, which no two tenants share, nor one made anew."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._work: dict[tuple[UUID, bytes], _Work] = {}
        self._changing = threading.Lock()

    def get(self, deed: UUID, digest: bytes) -> Any:
        """Return what is kept, or a mark for what is missing."""
        text = self.store.get(deed, digest)
        try:
            return _MISSING if text is None else plain_values.read(text)
        except ValueError:  # somebody else wrote there
            self.store.delete(deed, digest)
            return _MISSING

    def set(self, deed: UUID, digest: bytes, value: Any, seconds: float) -> None:
        """Keep a value, or forget it where it is too large."""
        text = plain_values.write(value)
        self._outdate(deed, digest)
        if len(text) > LARGEST:
            self.store.delete(deed, digest)
        else:
            self.store.set(deed, digest, text, seconds)

    def delete(self, deed: UUID, digest: bytes) -> None:
        """Forget a value, and one that is being worked out just now."""
        self._outdate(deed, digest)
        self.store.delete(deed, digest)

    def clear(self, deed: UUID) -> None:
        """Forget all of one tenant's."""
        for owner, digest in list(self._work):
            if owner == deed:
                self._outdate(owner, digest)
        self.store.clear(deed)

    def get_or_set(self, deed: UUID, digest: bytes, function: Callable[[], R], seconds: float) -> R:
        """Return what is kept; else let one thread work it out, and the others wait for that one."""
        while (kept := self.get(deed, digest)) is _MISSING:
            work, is_ours = self._join(deed, digest)
            if is_ours:
                return self._work_out(work, deed, digest, function, seconds)
            if work.thread == threading.get_ident():
                return function()  # it asks for itself, and would wait for ever
            try:
                text = work.text.result(_PATIENCE)
            except TimeoutError:
                return function()
            if text is not None:
                return cast(R, plain_values.read(text))
        return cast(R, kept)

    def _join(self, deed: UUID, digest: bytes) -> tuple[_Work, bool]:
        with self._changing:
            if (found := self._work.get((deed, digest))) is not None:
                return found, False
            work = self._work[deed, digest] = _Work()
            return work, True

    def _work_out(self, work: _Work, deed: UUID, digest: bytes, function: Callable[[], R], seconds: float) -> R:
        text = None
        try:
            keep = self.store.begin(deed, digest)
            if (kept := self.get(deed, digest)) is not _MISSING:  # it came while we joined
                text = plain_values.write(kept)
                return cast(R, kept)
            value = function()
            text = plain_values.write(value)
            with work.keeping:
                if not work.is_outdated and len(text) <= LARGEST:
                    keep(text, seconds)
            return value
        finally:
            with self._changing:
                if self._work.get((deed, digest)) is work:
                    del self._work[deed, digest]
            work.text.set_result(text)

    def _outdate(self, deed: UUID, digest: bytes) -> None:
        """Let a value that is being worked out not be kept, as it is of before."""
        with self._changing:
            work = self._work.pop((deed, digest), None)
        if work is not None:
            with work.keeping:
                work.is_outdated = True


def get(key: str | tuple[Any, ...], default: Any = None) -> Any:
    """Return what the current tenant keeps under ``key``, or ``default``.

    :raises NoTenantContext: outside a tenant's context, as every function here.
    :raises TypeError: if the key is not text or a tuple of plain values.
    """
    cache, deed = _current()
    found = cache.get(deed, _digest(key))
    return default if found is _MISSING else found


def set(key: str | tuple[Any, ...], value: Any, seconds: float = SECONDS) -> None:
    """Keep a plain value for so many seconds, a month at most. One of more than a MiB is not kept.

    Whoever sets last is right. So a value that is made of what another may change meanwhile is for :func:`get_or_set`.

    :raises TypeError: if the key or the value is not plain.
    :raises ValueError: if ``seconds`` is not more than 0.
    """
    cache, deed = _current()
    cache.set(deed, _digest(key), value, _seconds(seconds))


def delete(key: str | tuple[Any, ...]) -> None:
    """Forget what is kept under ``key``, and what a thread, or with Redis another process, is working out for it.

    While a request is writing, others still read what was there before. Do it when that is kept::

        db.after_commit(lambda: cache.delete("front page"))
    """
    cache, deed = _current()
    cache.delete(deed, _digest(key))


def clear() -> None:
    """Forget all that the current tenant keeps, as :func:`delete` does."""
    cache, deed = _current()
    cache.clear(deed)


def get_or_set(key: str | tuple[Any, ...], function: Callable[[], R], seconds: float = SECONDS) -> R:
    """Return what is kept under ``key``, else what ``function`` gives, and keep that.

    In one process a value is worked out by one thread at a time; the others wait for it. What the function raises is
    raised, and nothing is kept.

    :raises TypeError: if the key or the value is not plain.
    :raises ValueError: if ``seconds`` is not more than 0.
    """
    cache, deed = _current()
    return cache.get_or_set(deed, _digest(key), function, _seconds(seconds))


class CachedFunction(Generic[P, R]):
    """A function whose results the current tenant keeps, by its arguments. Made by :func:`cached`."""

    def __init__(self, function: Callable[P, R], seconds: float) -> None:
        if "<lambda>" in function.__qualname__ or function.__closure__:
            raise TypeError(
                f"{function.__qualname__!r} cannot be told from another by its name and arguments; "
                "expected a function that sees no variables of one around it. Use cache.get_or_set with a key."
            )
        functools.update_wrapper(self, function)
        self._function = function
        self._signature = inspect.signature(function)
        self._seconds = _seconds(seconds)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        cache, deed = _current()
        work = functools.partial(self._function, *args, **kwargs)
        return cache.get_or_set(deed, self._digest(*args, **kwargs), work, self._seconds)

    def forget(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Forget the result for these arguments."""
        cache, deed = _current()
        cache.delete(deed, self._digest(*args, **kwargs))

    def _digest(self, *args: P.args, **kwargs: P.kwargs) -> bytes:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        # A list, which no key of get() and set() can be.
        return plain_values.digest([self._function.__module__, self._function.__qualname__, bound.arguments])


def cached(seconds: float = SECONDS) -> Callable[[Callable[P, R]], CachedFunction[P, R]]:
    """Keep the results of a function of plain arguments, each for so many seconds. ::

        @cache.cached(seconds=60)
        def newest(section: str) -> list[str]: ...

        newest("help")
        newest.forget("help")

    What it depends on has to be among its arguments: also the language, or who asks.

    :raises TypeError: if it is a lambda, or sees variables of a function around it.
    """

    def decorate(function: Callable[P, R]) -> CachedFunction[P, R]:
        return CachedFunction(function, seconds)

    return decorate


def _current() -> tuple[PlatformCache, UUID]:
    app = current_tenant_app("cache")
    return app.platform.cache, cast(UUID, app.tenant.deed)


def _digest(key: str | tuple[Any, ...]) -> bytes:
    if type(key) not in (str, tuple):
        raise TypeError(f"{key!r} is not a key of the cache; expected text, or a tuple of plain values.")
    return plain_values.digest(key)


def _seconds(seconds: float) -> float:
    if not seconds > 0:
        raise ValueError(f"seconds is {seconds!r}; expected more than 0. To forget a value, use cache.delete.")
    return min(seconds, LONGEST)
