"""How much memory this process uses: what Python's objects take, and what the system has given."""

from __future__ import annotations

import ctypes
import gc
import os
import tracemalloc

from .processes import memory


def traced_bytes() -> int:
    """Return what Python's objects take now, in bytes, since ``tracemalloc`` was started; garbage is thrown away."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def private_bytes() -> int:
    """Return the memory of this process that no other shares, in bytes.

    Garbage is thrown away, and what the C library has been given back goes to the system, or it would hide what is
    taken next.
    """
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc's, malloc_trim(3)
        libc.malloc_trim(0)
    return memory(os.getpid()).private * 1024
