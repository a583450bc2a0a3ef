"""Buckets: how nodes share the load."""

from __future__ import annotations

import zlib

BUCKETS = 256


def bucket_of(id: str) -> int:
    """The bucket of an instance, 0 to 255, by a hash of its id.

    The same on every machine and in every version, since it stands in the database.
    """
    return zlib.crc32(id.encode()) % BUCKETS
