"""The task ``grpc``: calls a unary method of any service, found by reflection or in a descriptor file.

Every ``later`` command imports this module, so what takes long to import waits until a server starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from later_core import PluginSetting, Task, hookimpl

if TYPE_CHECKING:
    from later_plugin_grpc.channels import Channels

_SETTINGS = (
    PluginSetting(
        name="grpc_targets",
        default="*",
        description="Which targets the task grpc may call: host:port, with * and ?, divided by"
        " commas.",
    ),
    PluginSetting(
        name="grpc_timeout",
        default=30.0,
        description="How long a call may take unless its parameters say another time, in seconds.",
    ),
    PluginSetting(
        name="grpc_descriptors",
        default="",
        description="Files with the descriptors of services (FileDescriptorSet, as buf build and"
        " protoc --include_imports make them), divided by commas.",
    ),
    PluginSetting(
        name="grpc_root_certificates",
        default="",
        description="File (PEM) of the authorities that vouch for servers; without it the usual ones.",
    ),
    PluginSetting(
        name="grpc_certificate",
        default="",
        description="File (PEM) of the certificate that servers are shown.",
    ),
    PluginSetting(
        name="grpc_certificate_key",
        default="",
        description="File (PEM) of the key of grpc_certificate.",
    ),
)


class Plugin:
    """The hooks, and the channels that they share."""

    def __init__(self) -> None:
        self._channels: Channels | None = None

    @hookimpl
    def later_settings(self) -> Iterable[PluginSetting]:
        """Where calls may go, and what is known beforehand."""
        return _SETTINGS

    @hookimpl
    def later_tasks(self, settings: Mapping[str, Any]) -> Iterable[Task]:
        """One task over one set of channels."""
        from later_plugin_grpc.channels import Channels, credentials_of
        from later_plugin_grpc.descriptors import read_files
        from later_plugin_grpc.task import Grpc

        self._channels = Channels(credentials_of(settings))
        return [
            Grpc(
                self._channels,
                known=read_files(settings["grpc_descriptors"]),
                targets=settings["grpc_targets"],
                timeout=settings["grpc_timeout"],
            )
        ]

    @hookimpl
    def later_lifespan(self) -> Channels:
        """Channels are closed once the last run has ended."""
        assert self._channels is not None, "later_tasks comes first"
        return self._channels


plugin = Plugin()
