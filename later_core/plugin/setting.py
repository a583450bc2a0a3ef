"""A setting that a plugin brings with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSetting:
    """One knob of a plugin: TOML key ``name``, variable ``LATER_NAME``, flag ``--set name=value``.

    The type of ``default`` (bool, int, float or str) is the type of the setting. Prefix the name
    with that of the plugin: ``bash_enabled``. A secret is never shown.
    """

    name: str
    default: bool | int | float | str
    description: str
    is_secret: bool = False
