"""Each setting: its name, type, bounds, default and meaning, in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self

import platformdirs
from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from later_core.model.duration import format_duration
from later_core.model.tls import ClientTls, ServerTls
from later_core.plugin.setting import PluginSetting
from later_core.settings.forms import (
    Address,
    Database,
    Directory,
    Duration,
    MongodbUri,
    Pem,
    RateLimits,
    Servers,
)
from later_core.settings.protection import ProtectionSettings
from later_core.settings.rows import MASK, SettingRow, Source, env_name, flag_name, shown

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Settings(ProtectionSettings):
    """The values in force. Each field with a description is a setting; the last four are about them."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    config: Path | None = Field(
        None, description="TOML file with settings; by default config.toml in the user's own place."
    )
    listen: Address = Field(
        "127.0.0.1:9081",
        description="Where the server listens, host:port; port 0 takes a free one.",
    )
    address: Servers = Field(
        "127.0.0.1:9081",
        description="The server that the client and the commands talk to, host:port; several IP addresses"
        " with commas between, or dns:name:port, are talked to in turn.",
    )
    tls_cert: Pem | None = Field(
        None,
        description="PEM file (or PEM text) of the server's certificate; with it the server speaks TLS.",
    )
    tls_key: Pem | None = Field(
        None,
        repr=False,
        description="PEM file (or PEM text) of the private key of tls_cert.",
    )
    tls_client_ca: Pem | None = Field(
        None,
        description="PEM file (or PEM text) of the roots that every client's certificate must come from.",
    )
    insecure: bool = Field(
        False,
        description="Serve whoever reaches the address, on other machines too, without asking who it is;"
        " as a client, send the token unencrypted.",
    )
    max_connections: int = Field(
        800, ge=1, le=1_000_000, description="How many connections a node holds at once, at most."
    )
    max_streams: int = Field(
        1024,
        ge=1,
        le=1_000_000,
        description="How many calls one connection carries at once, at most.",
    )
    max_watches: int = Field(
        1024, ge=1, le=1_000_000, description="How many watches a node serves at once, at most."
    )
    connection_idle: Duration = Field(
        timedelta(minutes=15),
        ge=timedelta(seconds=1),
        le=timedelta(days=7),
        description="How long a connection may carry no call before it is closed.",
    )
    connection_age: Duration = Field(
        timedelta(hours=1),
        ge=timedelta(seconds=1),
        le=timedelta(days=7),
        description="After how long a client is asked to connect anew, so that it may meet another node.",
    )
    connection_grace: Duration = Field(
        timedelta(minutes=10),
        ge=timedelta(seconds=1),
        le=timedelta(days=7),
        description="How long calls and watches may go on after that, before they are cut off.",
    )
    tls: bool = Field(
        False, description="Speak TLS to the server; of itself where one of the next four is set."
    )
    tls_ca: Pem | None = Field(
        None,
        description="PEM file (or PEM text) of the roots that the server's certificate must come from;"
        " by default those of this machine.",
    )
    tls_client_cert: Pem | None = Field(
        None, description="PEM file (or PEM text) of the certificate that the client shows."
    )
    tls_client_key: Pem | None = Field(
        None,
        repr=False,
        description="PEM file (or PEM text) of the private key of tls_client_cert.",
    )
    tls_server_name: str | None = Field(
        None,
        description="The name that the server's certificate must have, where the address has another.",
    )
    mongodb_uri: MongodbUri | None = Field(
        None, description="URI of the MongoDB replica set; without one the server starts its own."
    )
    database: Database = Field("later", description="Name of the MongoDB database.")
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
    telemetry: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Send metrics and traces over OTLP; auto: if OTEL_EXPORTER_OTLP_ENDPOINT is set.",
    )

    plugins: Mapping[str, Any] = Field(default_factory=lambda: _NOTHING)
    plugin_settings: tuple[PluginSetting, ...] = Field(default=(), repr=False)
    sources: Mapping[str, Source] = Field(default_factory=lambda: _NOTHING, repr=False)
    #: Whether OTEL_EXPORTER_OTLP_ENDPOINT says where telemetry goes; all else of it the SDK reads itself.
    is_collector_named: bool = Field(default=False, repr=False)
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

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        for name, other in (*_PAIRS, *((b, a) for a, b in _PAIRS)):
            if getattr(self, name) is not None and getattr(self, other) is None:
                raise PydanticCustomError(
                    "together", "it is of no use without {other}", {"blamed": name, "other": other}
                )
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise PydanticCustomError(
                "together",
                "clients can show certificates only where the server has one; set tls_cert and tls_key",
                {"blamed": "tls_client_ca"},
            )
        if "," in self.address and self.client_tls and not self.tls_server_name:
            raise PydanticCustomError(
                "together",
                "over TLS, several addresses need tls_server_name: the name that all certificates have",
                {"blamed": "address"},
            )
        return self

    @property
    def server_tls(self) -> ServerTls | None:
        """How the server encrypts; None: not at all."""
        if self.tls_cert is None or self.tls_key is None:
            return None
        return ServerTls(cert=self.tls_cert, key=self.tls_key, client_ca=self.tls_client_ca)

    @property
    def client_tls(self) -> ClientTls | None:
        """How the client and the commands encrypt; None: not at all."""
        said = ClientTls(
            ca=self.tls_ca,
            cert=self.tls_client_cert,
            key=self.tls_client_key,
            server_name=self.tls_server_name,
        )
        return said if self.tls or said != ClientTls() else None

    def describe(self) -> Sequence[SettingRow]:
        """A row for each setting, Later's own first, then those of the plugins."""
        fields = Settings.model_fields.items()
        # What is inherited comes first there, and who may is not the first thing to ask.
        ordered = sorted(fields, key=lambda item: item[0] in ProtectionSettings.model_fields)
        own = [
            SettingRow(
                name=name,
                env=env_name(name),
                flag=flag_name(name),
                value=shown(getattr(self, name)),
                default=shown(field.get_default(call_default_factory=True)),
                source=self.sources.get(name, "default"),
                description=field.description or "",
            )
            for name, field in ordered
            if field.description
        ]
        return own + [
            SettingRow(
                name=setting.name,
                env=env_name(setting.name),
                flag=f"--set {setting.name}=",
                value=MASK if setting.is_secret else shown(self.plugins[setting.name]),
                default=shown(setting.default),
                source=self.sources.get(setting.name, "default"),
                description=setting.description,
            )
            for setting in self.plugin_settings
        ]


#: The names of Later's own settings; a plugin cannot take one of them.
NAMES: frozenset[str] = frozenset(n for n, f in Settings.model_fields.items() if f.description)

#: Those whose value is shown nowhere, not even in a complaint.
SECRETS: frozenset[str] = frozenset(
    {"mongodb_uri", "tls_key", "tls_client_key", "admin_token", "token", "encryption_keys"}
)
#: What only the client and the commands read: how they reach a server.
CLIENT_SETTINGS: frozenset[str] = frozenset(
    {
        "address",
        "token",
        "token_file",
        "tls",
        "tls_ca",
        "tls_client_cert",
        "tls_client_key",
        "tls_server_name",
    }
)
#: Those that are the path of a PEM file, or the PEM text itself.
PEM_SETTINGS: frozenset[str] = frozenset(
    {"tls_cert", "tls_key", "tls_client_ca", "tls_ca", "tls_client_cert", "tls_client_key"}
)
#: Each of no use without the other.
_PAIRS = (("tls_cert", "tls_key"), ("tls_client_cert", "tls_client_key"))
