"""The plugin keeps what is expected of any; its examples run where there is a RabbitMQ."""

from typing import ClassVar

import pytest
from later_plugin_amqp import plugin

from later_core.testing.contracts import PluginContract

MESSAGE = {
    "exchange": "amq.topic",
    "routing_key": "order.new",
    "headers": {"north": True},
    "content_type": "text/x-tea",
    "persistent": False,
    "mandatory": False,
    "priority": 7,
    "expiration": 60,
}


class TestContract(PluginContract):
    plugin = plugin
    examples: ClassVar = {
        "amqp": [
            {"routing_key": "nobody", "mandatory": False},
            MESSAGE | {"body": "a"},
            MESSAGE | {"json": {"order": 1}},
        ]
    }
    refused: ClassVar = {
        "amqp": [
            ("", "routing_key"),
            ({"routing_key": "a" * 256}, "routing_key"),
            ({"routing_key": "a", "body": "b", "json": 1}, "body"),
            ({"routing_key": "a", "headers": {"later_attempt": 9}}, "headers.later_attempt"),
        ]
    }

    @pytest.fixture(autouse=True)
    def broker(self, request: pytest.FixtureRequest) -> None:
        try:
            self.settings = {"amqp_url": request.getfixturevalue("amqp_url")}
        except pytest.skip.Exception:
            self.runs_examples = False
