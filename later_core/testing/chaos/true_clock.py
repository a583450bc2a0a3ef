"""The wall clock of the kernel itself, for those whose own one is made wrong.

The run makes wrong what a process is told of the time. ``adjtimex`` is another way to ask, which
nobody stands in; reading with it needs no rights.
"""

from __future__ import annotations

import ctypes
import os

#: The kernel gives nanoseconds then, else microseconds.
_STA_NANO = 0x2000


class _Timex(ctypes.Structure):
    """``struct timex`` of 64-bit Linux (adjtimex(2)), with room for what follows."""

    _fields_ = (
        ("modes", ctypes.c_uint),  # 0: only read
        ("_1", ctypes.c_long * 4),
        ("status", ctypes.c_int),
        ("_2", ctypes.c_long * 3),
        ("seconds", ctypes.c_long),
        ("fraction", ctypes.c_long),
        ("_3", ctypes.c_long * 40),
    )


_libc = ctypes.CDLL(None, use_errno=True)


def true_ns() -> int:
    """Nanoseconds since the Unix epoch, rounded down to what the kernel tells.

    Raises:
        OSError: the kernel does not tell.

    """
    told = _Timex()
    if _libc.adjtimex(ctypes.byref(told)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    scale = 1 if told.status & _STA_NANO else 1_000
    return int(told.seconds * 1_000_000_000 + told.fraction * scale)
