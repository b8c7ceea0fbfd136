"""The C library's memory: given back after a stage, so that a run peaks at its largest one; kept by workers."""

from __future__ import annotations

import atexit
import ctypes
import functools
import gc
import sys

TRIM_THRESHOLD = 256 * 2**20
MMAP_THRESHOLD = 32 * 2**20
ARENAS = 1
"""What a worker's allocator keeps of the memory that was freed, in bytes, and in how many arenas: one thread
needs one. glibc gives freed memory back from 128 KiB on, Dask sets 64 KiB, and a decoder frees 0.4 MB an image:
taking that from the system again cost 100 us an image (470 instead of 376)."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h


@functools.cache
def keep_freed_memory() -> bool:
    """Give this process the allocator settings above, once. False where the C library has no such settings.

    For workers that were started without them. Local workers have them from their environment.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it, musl has not
    if mallopt is None:
        return False
    settings = {
        _M_TRIM_THRESHOLD: TRIM_THRESHOLD,
        _M_MMAP_THRESHOLD: MMAP_THRESHOLD,
        _M_ARENA_MAX: ARENAS,
    }
    done = [mallopt(name, value) for name, value in settings.items()]
    return done == [1] * len(settings)


def release_memory() -> None:
    """Return what Python, Arrow and the C library keep for later.

    Preparing 50,000 images, a driver peaked at 422 MiB without this and at 349 with it, for 1 to 15 ms a stage.
    """
    gc.collect()
    _set_aside_what_stays()
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl has not
        if trim is not None:
            trim(0)


@functools.cache
def _set_aside_what_stays() -> None:
    """Look no more at what is there after the first stage: 160,000 objects, nearly all of them libraries'.

    A collection took 85 to 110 ms with them, ten times a run.
    """
    gc.freeze()
    atexit.register(gc.unfreeze)  # libraries that count what is left at the end of a process find nothing
