"""The plugin keeps what is expected of any; its examples run where there is a Redis."""

from typing import ClassVar

import pytest
from later_plugin_celery import plugin

from later_core.testing.contracts import PluginContract

SHIP = {
    "task": "shop.ship",
    "args": [4711],
    "kwargs": {"express": True},
    "queue": "celery",
    "priority": 3,
    "expires": 600,
}


class TestContract(PluginContract):
    plugin = plugin
    examples: ClassVar = {"celery": [{"task": "shop.ship", "args": [1]}, SHIP | {"wait": 60}]}
    refused: ClassVar = {"celery": [("", "task"), ({"task": "a", "wait": 0}, "wait")]}

    @pytest.fixture(autouse=True)
    def broker(self, request: pytest.FixtureRequest) -> None:
        try:
            url = request.getfixturevalue("worker")
        except pytest.skip.Exception:
            self.runs_examples = False
        else:
            self.settings = {"celery_broker": url, "celery_result_backend": url}
