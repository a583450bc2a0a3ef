"""Every knob of Later: what it is called, what it may be, where its value came from.

A value is taken from the first of these that has one: a flag, a variable ``LATER_<NAME>``, the
TOML file, the default.
"""

from later_core.settings.rows import NO_FLAG, SettingRow, env_name, flag_name
from later_core.settings.sources import assignments, load
from later_core.settings.values import (
    CLIENT_SETTINGS,
    NAMES,
    PEM_SETTINGS,
    Settings,
)

__all__ = [
    "CLIENT_SETTINGS",
    "NAMES",
    "NO_FLAG",
    "PEM_SETTINGS",
    "SettingRow",
    "Settings",
    "assignments",
    "env_name",
    "flag_name",
    "load",
]
