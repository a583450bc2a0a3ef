"""The plugin keeps what is expected of any, with a receiver on loopback that gets all its notices."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from later_plugin_notify import plugin

from later_core.testing.contracts import PluginContract


class TestContract(PluginContract):
    plugin = plugin

    @pytest.fixture(autouse=True)
    async def receiver(self) -> AsyncIterator[None]:
        async def take(request: web.Request) -> web.Response:
            await request.read()
            return web.Response()

        app = web.Application()
        app.router.add_post("/", take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.settings = {
            "notify_on": "failed, late, aborted, succeeded",
            "notify_webhook_url": f"http://127.0.0.1:{runner.addresses[0][1]}/",
        }
        yield
        await runner.cleanup()
