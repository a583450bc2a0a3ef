"""The task ``http``: sends a request, and succeeds or fails by the status of its answer.

Every ``later`` command imports this module, so what takes long to import waits until a server starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from later_core import PluginSetting, Task, hookimpl

if TYPE_CHECKING:
    from later_plugin_http.connections import Connections

_SETTINGS = (
    PluginSetting(
        name="http_allowed_networks",
        default="",
        description="Networks that the task http may connect to although they are not public, like"
        " 10.0.0.0/8, 127.0.0.1; * for all.",
    ),
    PluginSetting(
        name="http_timeout",
        default=30.0,
        description="How long a receiver may take in all unless the parameters say another time, in"
        " seconds.",
    ),
    PluginSetting(
        name="http_connect_timeout",
        default=10.0,
        description="How long a connection may take to come about, in seconds.",
    ),
    PluginSetting(
        name="http_connections",
        default=100,
        description="How many requests of the task http may be under way at once on a node.",
    ),
    PluginSetting(
        name="http_result_bytes",
        default=64 * 1024,
        description="How much of an answer is kept as the result, in bytes; at most 131072.",
    ),
    PluginSetting(
        name="http_proxy",
        default="",
        description="URL of the proxy that every request goes through. Where it connects to is then"
        " its own affair: it must guard private networks itself.",
        is_secret=True,
    ),
    PluginSetting(
        name="http_signing_secret",
        default="",
        description="Key of the signature (HMAC-SHA256) that every request bears; none without it.",
        is_secret=True,
    ),
)


class Plugin:
    """The hooks, and the connections that they share."""

    def __init__(self) -> None:
        self._connections: Connections | None = None

    @hookimpl
    def later_settings(self) -> Iterable[PluginSetting]:
        """Where requests may go, how long they may take, and how they are signed."""
        return _SETTINGS

    @hookimpl
    def later_tasks(self, settings: Mapping[str, Any]) -> Iterable[Task]:
        """One task over one pool of connections."""
        from later_plugin_http.addresses import Guard
        from later_plugin_http.connections import Connections
        from later_plugin_http.task import Http

        self._connections = Connections(
            guard=Guard(settings["http_allowed_networks"]),
            proxy=settings["http_proxy"] or None,
            limit=settings["http_connections"],
            timeout=settings["http_timeout"],
            connect_timeout=settings["http_connect_timeout"],
        )
        return [
            Http(
                self._connections,
                signing_secret=settings["http_signing_secret"].encode(),
                result_bytes=settings["http_result_bytes"],
            )
        ]

    @hookimpl
    def later_lifespan(self) -> Connections:
        """The pool is closed once the last run has ended."""
        assert self._connections is not None, "later_tasks comes first"
        return self._connections


plugin = Plugin()
