"""What the database's clock shows."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from pymongo import ReadPreference

from later_core.ports.clock import Clock
from later_core.stores.mongo.connection import CODEC, Connection
from later_core.stores.mongo.documents import to_instant


async def now(connection: Connection, clock: Clock) -> datetime:
    """As ``Store.now`` promises it.

    The moment of the answer is taken in the thread that reads it. From there to the event loop takes
    as long as the loop is busy, and what passes meanwhile passes for the database too.
    """

    def read() -> tuple[datetime, float]:
        hello = connection.client.delegate.admin.command(
            {"hello": 1}, read_preference=ReadPreference.PRIMARY, codec_options=CODEC
        )
        return hello["localTime"], clock.monotonic()

    with connection.call():
        reported, read_at = await asyncio.to_thread(read)
    return to_instant(reported) + timedelta(seconds=max(0.0, clock.monotonic() - read_at))
