"""The plugin keeps what is expected of any."""

from typing import ClassVar

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
    #: Celery leaves the connections of an app to be collected, and each check would make one:
    #: ``test_celery`` runs the same with a broker and a worker.
    runs_examples = False
