"""The plugin keeps what is expected of any, with a server that answers as the API of Kubernetes does."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest
from later_plugin_k8s import plugin

from later_core.testing.contracts import PluginContract

CONTAINER = {
    "namespace": "shop",
    "name": "backup",
    "image": "registry.example.org/backup:3",
    "command": ["backup"],
    "args": ["--all"],
    "env": {"TARGET": "north"},
    "labels": {"team": "north"},
}
SPEC = {
    "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}}
}


class TestContract(PluginContract):
    plugin = plugin
    examples: ClassVar = {"k8s": [{"image": "a"}, CONTAINER, {"spec": SPEC, "name": "whole"}]}
    refused: ClassVar = {
        "k8s": [
            ({}, "image"),
            ({"image": "a", "spec": SPEC}, "spec"),
            ({"spec": SPEC, "args": ["a"]}, "args"),
            ({"image": "a", "name": "A"}, "name"),
            ({"image": "a", "env": {"A": 1}}, "env.A"),
        ]
    }

    @pytest.fixture(autouse=True)
    async def cluster(
        self, serve_cluster: Callable[..., Awaitable[Any]], kubeconfig: Callable[..., str]
    ) -> None:
        self.settings = {"k8s_kubeconfig": kubeconfig((await serve_cluster()).url)}
