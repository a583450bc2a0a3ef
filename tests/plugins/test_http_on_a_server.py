"""The task http through a whole server: retried, refused, and its connections closed at the end."""

import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

from aiohttp import web

from later_core.client.client import Client
from later_core.model.instance import Instance, NewInstance
from later_core.model.retry import RetryPolicy
from later_core.model.state import State

Serve = Callable[..., AbstractAsyncContextManager[Any]]
Reached = Callable[..., Awaitable[Instance]]


async def test_a_receiver_that_is_busy_gets_the_same_key_again(
    serve: Serve, reached: Reached, database: str
) -> None:
    seen: list[tuple[str, str]] = []

    async def take(request: web.Request) -> web.Response:
        seen.append((request.headers["Idempotency-Key"], request.headers["Later-Attempt"]))
        return web.Response(status=503 if len(seen) == 1 else 200, text="taken")

    app = web.Application()
    app.router.add_post("/hooks", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks"
        parameters = json.dumps({"url": url, "json": {"order": 4711}}).encode()
        policy = RetryPolicy(max_attempts=3, min_backoff=timedelta(milliseconds=10))
        order = NewInstance(task="http", id="order-1", parameters=parameters, retry=policy)
        allowed = ("--set", "http_allowed_networks=127.0.0.1")
        async with (
            serve(sys.executable, database, *allowed) as served,
            Client(served.address) as client,
        ):
            await client.create(order)
            ended = await reached(client, "order-1", lambda state: state.is_final)
        assert (ended.state, ended.attempt) == (State.SUCCEEDED, 2)
        assert json.loads(ended.result)["body"] == "taken"
        assert seen == [("order-1", "1"), ("order-1", "2")]

        async with serve(sys.executable, database) as served, Client(served.address) as client:
            await client.create(NewInstance(task="http", id="order-2", parameters=parameters))
            ended = await reached(client, "order-2", lambda state: state.is_final)
        assert ended.error
        assert (ended.state, ended.error.reason) == (State.FAILED, "ADDRESS_REFUSED")
        assert len(seen) == 2
    finally:
        await runner.cleanup()
