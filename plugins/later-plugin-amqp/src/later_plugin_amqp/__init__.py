"""The task ``amqp``: publishes a message, and succeeds once the broker has confirmed it.

Every ``later`` command imports this module, so what takes long to import waits until a server starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from later_core import PluginSetting, Task, hookimpl

if TYPE_CHECKING:
    from later_plugin_amqp.broker import Broker

_SETTINGS = (
    PluginSetting(
        name="amqp_url",
        default="",
        description="URL of the broker, amqp://user:password@host:5672/vhost, or amqps for TLS.",
        is_secret=True,
    ),
    PluginSetting(
        name="amqp_timeout",
        default=10.0,
        description="How long the broker may take to confirm a message, in seconds.",
    ),
)


class Plugin:
    """The hooks, and the connection that they share."""

    def __init__(self) -> None:
        self._broker: Broker | None = None

    @hookimpl
    def later_settings(self) -> Iterable[PluginSetting]:
        """Where the broker is."""
        return _SETTINGS

    @hookimpl
    def later_tasks(self, settings: Mapping[str, Any]) -> Iterable[Task]:
        """One task over one connection; without a URL it says so to whoever uses it."""
        from later_plugin_amqp.broker import Broker
        from later_plugin_amqp.task import Publish

        self._broker = Broker(settings["amqp_url"], timeout=settings["amqp_timeout"])
        return [Publish(self._broker)]

    @hookimpl
    def later_lifespan(self) -> Broker:
        """The connection is closed once the last run has ended."""
        assert self._broker is not None, "later_tasks comes first"
        return self._broker


plugin = Plugin()
