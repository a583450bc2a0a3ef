"""Each setting: its name, type, bounds, default and meaning, in one place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic_core import PydanticCustomError

from later_core.model.duration import format_duration, parse_duration
from later_core.model.rate import RateLimit, parse_rates
from later_core.plugin.setting import PluginSetting

PREFIX = "LATER_"
MASK = "********"
_NOTHING: Mapping[str, Any] = MappingProxyType({})

Source = Literal["flag", "environment", "file", "default"]


def _duration(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    return parse_duration(value) if isinstance(value, str) else value


def _host_and_port(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not colon or not re.fullmatch(r"\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]+", host):
        raise ValueError(f"{value!r} is not host:port; write 127.0.0.1:9081 or [::]:9081")
    if not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError(f"{port!r} is not a port; it goes from 0 to 65535")
    return value


def _mongodb_uri(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("not a MongoDB URI; it begins with mongodb:// or mongodb+srv://")
    return value


def _database(value: str) -> str:
    if not re.fullmatch(r"[^/\\. \"$*<>:|?\0]{1,63}", value) or value in {
        "admin",
        "local",
        "config",
    }:
        raise ValueError(f"{value!r} cannot name a database; write a word such as later")
    return value


def _rates(value: object) -> object:
    return MappingProxyType(parse_rates(value)) if isinstance(value, str) else value


RateLimits = Annotated[Mapping[str, RateLimit | None], BeforeValidator(_rates)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Address = Annotated[str, AfterValidator(_host_and_port)]
Directory = Annotated[Path, AfterValidator(Path.expanduser)]


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


class Settings(BaseModel):
    """The values in force. Each field with a description is a setting; the last four are about them."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    config: Path | None = Field(
        None, description="TOML file with settings; by default config.toml in the user's own place."
    )
    listen: Address = Field(
        "127.0.0.1:9081",
        description="Where the server listens, host:port; port 0 takes a free one.",
    )
    address: Address = Field(
        "127.0.0.1:9081",
        description="The server that the client and the commands talk to, host:port.",
    )
    mongodb_uri: Annotated[SecretStr, AfterValidator(_mongodb_uri)] | None = Field(
        None, description="URI of the MongoDB replica set; without one the server starts its own."
    )
    database: Annotated[str, AfterValidator(_database)] = Field(
        "later", description="Name of the MongoDB database."
    )
    data_dir: Directory = Field(
        default_factory=lambda: platformdirs.user_data_path("later"),
        description="Directory of the embedded database.",
    )
    recurrence: Duration = Field(
        timedelta(minutes=5),
        ge=timedelta(milliseconds=100),
        le=timedelta(days=1),
        description="How often the window is filled from the store; shorter than time_ahead.",
    )
    time_ahead: Duration = Field(
        timedelta(minutes=10),
        gt=timedelta(0),
        le=timedelta(days=7),
        description="How far ahead of their execution time instances are held in memory.",
    )
    retention: Duration = Field(
        timedelta(days=7),
        ge=timedelta(seconds=1),
        # MongoDB's expireAfterSeconds is a 32-bit number: 24,855 days.
        le=timedelta(days=24_000),
        description="How long an ended instance is kept after its execution time.",
    )
    lease: Duration = Field(
        timedelta(seconds=10),
        ge=timedelta(seconds=1),
        le=timedelta(hours=1),
        description="How long a node counts as alive after its last heartbeat.",
    )
    claim_lead: Duration = Field(
        timedelta(milliseconds=300),
        ge=timedelta(0),
        le=timedelta(seconds=5),
        description="How long before its execution time an instance may be claimed; it starts on time.",
    )
    nodes: int = Field(
        1, ge=1, le=256, description="How many nodes serve runs, as processes behind one port."
    )
    max_running: int = Field(
        4096, ge=1, le=1_000_000, description="How many attempts run at once on this node, at most."
    )
    threads: int = Field(
        64, ge=1, le=4096, description="Threads for tasks that are plain functions."
    )
    catch_up_rate: int = Field(
        1000, ge=1, le=1_000_000, description="Overdue instances started per second, at most."
    )
    rate_limits: RateLimits = Field(
        "",
        validate_default=True,
        description="Other rate limits than the tasks declare: mail=10/s, http-post=none.",
    )
    grace: Duration = Field(
        timedelta(seconds=10),
        ge=timedelta(0),
        le=timedelta(hours=1),
        description="How long running attempts may take to end when the server stops.",
    )
    verbose: int = Field(
        1, ge=0, le=2, description="0 logs warnings only, 1 also news, 2 everything."
    )
    log_format: Literal["auto", "text", "json"] = Field(
        "auto", description="text for people, json for programs; auto: text on a terminal."
    )

    plugins: Mapping[str, Any] = Field(default_factory=lambda: _NOTHING)
    plugin_settings: tuple[PluginSetting, ...] = Field(default=(), repr=False)
    sources: Mapping[str, Source] = Field(default_factory=lambda: _NOTHING, repr=False)
    #: Sentences about variables that look like settings and are none; worth a line in the log.
    warnings: tuple[str, ...] = Field(default=(), repr=False)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.recurrence >= self.time_ahead:
            blamed = "time_ahead" if "recurrence" not in self.model_fields_set else "recurrence"
            raise PydanticCustomError(
                "together",
                "recurrence ({recurrence}) must be shorter than time_ahead ({time_ahead});"
                " lower the one or raise the other",
                {
                    "blamed": blamed,
                    "recurrence": format_duration(self.recurrence),
                    "time_ahead": format_duration(self.time_ahead),
                },
            )
        return self

    def describe(self) -> Sequence[SettingRow]:
        """A row for each setting, Later's own first, then those of the plugins."""
        own = [
            SettingRow(
                name=name,
                env=env_name(name),
                flag=flag_name(name),
                value=_text(getattr(self, name)),
                default=_text(field.get_default(call_default_factory=True)),
                source=self.sources.get(name, "default"),
                description=field.description or "",
            )
            for name, field in Settings.model_fields.items()
            if field.description
        ]
        return own + [
            SettingRow(
                name=setting.name,
                env=env_name(setting.name),
                flag=f"--set {setting.name}=",
                value=MASK if setting.is_secret else _text(self.plugins[setting.name]),
                default=_text(setting.default),
                source=self.sources.get(setting.name, "default"),
                description=setting.description,
            )
            for setting in self.plugin_settings
        ]


#: The names of Later's own settings; a plugin cannot take one of them.
NAMES: frozenset[str] = frozenset(n for n, f in Settings.model_fields.items() if f.description)

#: Those whose value is shown nowhere, not even in a complaint.
SECRETS: frozenset[str] = frozenset({"mongodb_uri"})


def env_name(name: str) -> str:
    """The variable of a setting."""
    return PREFIX + name.upper()


def flag_name(name: str) -> str:
    """The flag of one of Later's own settings."""
    return "--" + name.replace("_", "-")


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case SecretStr():
            return MASK
        case timedelta():
            return format_duration(value)
        case Mapping():
            return ", ".join(f"{name}={one or 'none'}" for name, one in value.items())
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)
