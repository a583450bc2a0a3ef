"""The task ``bash``: runs shell commands, once the setting ``bash_enabled`` allows it."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from later_core import PluginSetting, Task, hookimpl
from later_plugin_bash.task import HOW_TO_ENABLE, Bash

_log = logging.getLogger(__name__)


@hookimpl
def later_settings() -> Iterable[PluginSetting]:
    """The switch, off by default."""
    return [
        PluginSetting(
            name="bash_enabled",
            default=False,
            description="Whether the task bash runs commands: whoever may create instances may"
            " then run any command as the server's user.",
        )
    ]


@hookimpl
def later_tasks(settings: Mapping[str, Any]) -> Iterable[Task]:
    """The task is there either way: switched off, it says so to whoever uses it."""
    is_enabled = bool(settings["bash_enabled"])
    if not is_enabled:
        _log.info("the task bash is switched off; %s", HOW_TO_ENABLE)
    return [Bash(is_enabled=is_enabled)]
