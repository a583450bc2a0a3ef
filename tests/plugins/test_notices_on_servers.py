"""The plugin notify on two servers: each failure is told once."""

# ruff: noqa: ASYNC110, TID251 -- waits for servers, which set no asyncio.Event

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from aiohttp import web

from later_core.client.client import Client
from later_core.model.instance import NewInstance

Serve = Callable[..., AbstractAsyncContextManager[Any]]

WRONG = b'{"massage": "typo"}'
COUNT = 40


async def test_of_two_nodes_one_tells(serve: Serve, database: str) -> None:
    told: Counter[str] = Counter()

    async def take(request: web.Request) -> web.Response:
        content = await request.json()
        told.update(notice["id"] for notice in content["notices"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        flags = ("--set", f"notify_webhook_url={url}", "--lease", "3s")
        async with (
            serve(sys.executable, database, *flags) as one,
            serve(sys.executable, database, *flags),
            Client(one.address) as client,
        ):
            async with asyncio.timeout(60):
                await know_each_other(client)
                for number in range(COUNT):
                    await client.create(
                        NewInstance(task="echo", id=f"wrong-{number}", parameters=WRONG)
                    )
                while len(told) < COUNT:
                    await asyncio.sleep(0.05)
    finally:
        await runner.cleanup()
    # At their end the servers have told what they still had: nothing twice.
    assert told == Counter({f"wrong-{number}": 1 for number in range(COUNT)})


async def know_each_other(client: Client) -> None:
    """Return once either node has looked twice who lives, since both did."""
    beats: dict[str, set[datetime]] = {}
    while len(beats) < 2 or min(map(len, beats.values())) < 3:
        listed = await client.nodes()
        if len(listed) == 2:
            for each in listed:
                beats.setdefault(each.status.node.id, set()).add(each.status.beat_time)
        await asyncio.sleep(0.05)
