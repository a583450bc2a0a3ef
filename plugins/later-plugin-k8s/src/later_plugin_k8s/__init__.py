"""The task ``k8s``: creates a Job in a Kubernetes cluster, once however often it is tried.

Every ``later`` command imports this module, so what takes long to import waits until a server starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from later_core import PluginSetting, Task, hookimpl

if TYPE_CHECKING:
    from later_plugin_k8s.api import Api

_SETTINGS = (
    PluginSetting(
        name="k8s_kubeconfig",
        default="",
        description="File that says where the cluster is; without it the service account of the pod"
        " that the server runs in.",
    ),
    PluginSetting(
        name="k8s_context",
        default="",
        description="Which context of that file; by default its current one.",
    ),
    PluginSetting(
        name="k8s_timeout",
        default=30.0,
        description="How long the cluster may take to answer, in seconds.",
    ),
)


class Plugin:
    """The hooks, and the connections that they share."""

    def __init__(self) -> None:
        self._api: Api | None = None

    @hookimpl
    def later_settings(self) -> Iterable[PluginSetting]:
        """Where the cluster is."""
        return _SETTINGS

    @hookimpl
    def later_tasks(self, settings: Mapping[str, Any]) -> Iterable[Task]:
        """One task over one cluster; outside of any it says so to whoever uses it."""
        from later_plugin_k8s.access import from_file, from_pod
        from later_plugin_k8s.api import Api
        from later_plugin_k8s.task import CreateJob

        path = settings["k8s_kubeconfig"]
        access = from_file(path, settings["k8s_context"]) if path else from_pod()
        self._api = Api(access, timeout=settings["k8s_timeout"]) if access else None
        return [CreateJob(self._api)]

    @hookimpl
    def later_lifespan(self) -> AbstractAsyncContextManager[Any]:
        """Connections are closed once the last run has ended."""
        return self._api or nullcontext()


plugin = Plugin()
