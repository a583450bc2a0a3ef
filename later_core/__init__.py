"""Later: a distributed job scheduler. What plugin authors need is exported here; nothing else is public."""

from typing import TYPE_CHECKING as _TYPES

from later_core.model.breaker import Breaker
from later_core.model.event import Event, EventType
from later_core.model.instance import Instance, InstanceError
from later_core.model.rate import RateLimit
from later_core.model.state import State
from later_core.plugin.context import Context
from later_core.plugin.parameters import parse_parameters
from later_core.plugin.setting import PluginSetting
from later_core.plugin.task import Task, TaskError

if _TYPES:
    from later_core.plugin.hookspecs import hookimpl

__all__ = [
    "Breaker",
    "Context",
    "Event",
    "EventType",
    "Instance",
    "InstanceError",
    "PluginSetting",
    "RateLimit",
    "State",
    "Task",
    "TaskError",
    "hookimpl",
    "parse_parameters",
]


def __getattr__(name: str) -> object:
    """Pluggy is loaded for plugins; a client does without."""
    if name == "hookimpl":
        from later_core.plugin.hookspecs import hookimpl

        return globals().setdefault(name, hookimpl)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
