"""How the C library's allocator is set in the process of a node."""

from __future__ import annotations

import ctypes
import sys

#: Parameters of ``mallopt`` (mallopt(3), malloc.h of glibc).
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

#: What glibc begins with. Left alone it rises to 32 MiB with the first large block that is freed, and from
#: then on large messages leave holes in the heap.
_LARGE_BYTES = 128 * 1024
#: Left alone there are eight for each core: each of the driver's threads gets one, and keeps what it
#: has used it for.
_ARENAS = 2


def give_back_large_blocks() -> None:
    """Have large blocks returned to the system when they are freed; nothing where it is not glibc.

    To be called before there are threads. A flood of messages of a quarter of a mebibyte was measured to
    hold half of the memory with this, and no more than that part of it which is alive.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_ARENA_MAX, _ARENAS)
