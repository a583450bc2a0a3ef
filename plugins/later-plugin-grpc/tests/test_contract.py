"""The plugin keeps what is expected of any, with a real service on loopback."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from later_plugin_grpc import plugin

from later_core.testing.contracts import PluginContract


class TestContract(PluginContract):
    plugin = plugin

    @pytest.fixture(autouse=True)
    async def shop(self, serve_shop: Callable[..., Awaitable[Any]]) -> None:
        call = {"target": (await serve_shop()).target, "method": "shop.v1.OrderService/ShipOrder"}
        more = {
            "request": {"orderId": "4711"},
            "metadata": {"authorization": "Bearer hush"},
            "tls": False,
            "timeout": 30,
            "success": ["OK", "ALREADY_EXISTS"],
            "retry": ["UNAVAILABLE"],
        }
        self.examples = {"grpc": [call, call | more]}
        self.refused = {
            "grpc": [
                (call | {"target": "nowhere"}, "target"),
                (call | {"method": "shop.v1.OrderService/WatchOrder"}, "method"),
                (call | {"request": {"oderId": "4711"}}, "request"),
                (call | {"metadata": {"later-attempt": "9"}}, "metadata.later-attempt"),
            ]
        }
