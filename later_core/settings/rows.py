"""How a setting is named and shown: its variable, its flag, its value as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from pydantic import SecretStr

from later_core.model.duration import format_duration
from later_core.model.tls import is_pem

PREFIX = "LATER_"
MASK = "********"

#: Secrets that have no flag: the arguments of a process are seen by everybody on its machine.
NO_FLAG: frozenset[str] = frozenset({"admin_token", "token"})

Source = Literal["flag", "environment", "file", "default"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """One setting as ``later settings`` shows it; every column is text, and secrets are masked."""

    name: str
    env: str
    flag: str
    value: str
    default: str
    source: Source
    description: str


def env_name(name: str) -> str:
    """The variable of a setting."""
    return PREFIX + name.upper()


def flag_name(name: str) -> str:
    """The flag of one of Later's own settings; empty where it has none."""
    return "" if name in NO_FLAG else "--" + name.replace("_", "-")


def shown(value: object) -> str:
    """A value as text; what is secret is masked."""
    match value:
        case None:
            return ""
        case SecretStr() | str() if isinstance(value, SecretStr) or is_pem(value):
            return MASK
        case timedelta():
            return format_duration(value)
        case Mapping():
            each = ((name, "none" if one is None else shown(one)) for name, one in value.items())
            return ", ".join(f"{name}={one}" for name, one in each)
        case tuple():
            return ",".join(value)
        case _:
            return str(value).lower() if isinstance(value, bool) else str(value)
