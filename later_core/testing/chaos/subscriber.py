"""One who watches everything, through any node that answers, and resumes where it was cut."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.testing.chaos.account import Seen
from later_core.testing.chaos.waiting import CLOCK

_PAUSE_SECONDS = 0.2


async def subscribe(seen: Seen, addresses: Sequence[str], begun: asyncio.Event) -> None:
    """Watch for ever, beginning with the first address; when a stream breaks, with the next.

    ``begun`` is set once the subscriber knows where it stands: from there on nothing may be missed.
    """
    token: str | None = None
    turn = 0
    while True:
        async with Client(addresses[turn % len(addresses)]) as client:
            try:
                async with aclosing(client.watch_once(resume_token=token)) as batches:
                    async for batch in batches:
                        for event in batch.events:
                            seen.take(event)
                        token = batch.position or token
                        begun.set()
            except RpcError as error:
                token = error.metadata.get("resume_token") or token
        turn += 1
        seen.resumed += 1
        await CLOCK.sleep(_PAUSE_SECONDS)
