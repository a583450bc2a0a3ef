"""The plugin keeps what is expected of any."""

from typing import ClassVar

import later_plugin_bash

from later_core.testing.contracts import PluginContract

ORDER = {"command": "cat; sleep 0.05", "env": {"GREETING": "hello"}, "cwd": "/", "stdin": "in"}


class TestContract(PluginContract):
    plugin = later_plugin_bash
    settings: ClassVar = {"bash_enabled": True}
    examples: ClassVar = {"bash": [ORDER, "true", "sleep 0.05 & wait"]}
    refused: ClassVar = {
        "bash": [
            ("", "command"),
            (b"\xff", "command"),
            ({"command": " "}, "command"),
            ({"command": "true", "env": {"A=B": "c"}}, "env"),
            ({"command": "true", "env": {"A": 1}}, "env"),
        ]
    }
