"""A real receiver on loopback, which notes what it gets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from later_plugin_http import Plugin
from later_plugin_http.connections import Connections
from later_plugin_http.task import Http


@dataclass
class Receiver:
    url: str = ""
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: set[object] = field(default_factory=set)
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        self.connections.add(request.transport)
        if self.answer is not None:
            return await self.answer(request)
        return web.json_response({"taken": True})


@pytest.fixture
async def receive() -> AsyncIterator[Callable[..., Awaitable[Receiver]]]:
    runners: list[web.AppRunner] = []

    async def receive(
        answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None,
        host: str = "127.0.0.1",
    ) -> Receiver:
        receiver = Receiver(answer=answer)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", receiver.take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, host, 0)
        await site.start()
        port = runner.addresses[0][1]
        receiver.url = f"http://{host}:{port}/hooks"
        return receiver

    yield receive
    for runner in runners:
        await runner.cleanup()
    await asyncio.sleep(0)  # noqa: TID251 - one turn of the loop, in which transports close


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., Http]]:
    """Makes the task with settings as a server would, loopback allowed unless said otherwise."""
    pools: list[Connections] = []

    def make(**settings: object) -> Http:
        plugin = Plugin()
        defaults = {setting.name: setting.default for setting in plugin.later_settings()}
        values = defaults | {"http_allowed_networks": "127.0.0.0/8"} | settings
        (task,) = plugin.later_tasks(values)
        pools.append(plugin.later_lifespan())
        assert isinstance(task, Http)
        return task

    yield make
    for pool in pools:
        async with pool:
            pass
