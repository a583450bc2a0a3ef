"""The plugin keeps what is expected of any, with a receiver on loopback."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest
from later_plugin_http import plugin

from later_core.testing.contracts import PluginContract


class TestContract(PluginContract):
    plugin = plugin
    settings: ClassVar = {"http_allowed_networks": "127.0.0.0/8"}

    @pytest.fixture(autouse=True)
    async def receiver(self, receive: Callable[..., Awaitable[Any]]) -> None:
        url = (await receive()).url
        order = {
            "url": url,
            "method": "PUT",
            "headers": {"Accept": "text/plain"},
            "timeout": 30,
            "max_redirects": 1,
            "success": [200, "2xx"],
            "retry": ["5xx"],
        }
        self.examples = {"http": [{"url": url}, order | {"body": "a"}, order | {"json": [1]}]}
        self.refused = {
            "http": [
                ("", "url"),
                ({"url": "ftp://a.example"}, "url"),
                ({"url": url, "body": "a", "json": 1}, "body"),
                ({"url": url, "headers": {"Host": "a"}}, "headers.Host"),
                ({"url": url, "success": ["7xx"]}, "success.0"),
            ]
        }
