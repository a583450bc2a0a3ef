"""Where the value of a setting comes from; the only file that reads the environment."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import platformdirs
from pydantic import TypeAdapter, ValidationError

from later_core.errors import SettingInvalid
from later_core.model.duration import format_duration
from later_core.plugin.setting import PluginSetting
from later_core.settings.rows import NO_FLAG, PREFIX, Source, env_name, flag_name
from later_core.settings.values import NAMES, SECRETS, Settings

#: What the bash plugin tells its commands; a ``later`` that runs inside one must not complain.
_NOT_SETTINGS = frozenset({"instance_id", "attempt"})
#: What pydantic calls the faults, where the field keeps the bound, and how people say it.
_BOUNDS = {"greater_than_equal": ("ge", "at least"), "less_than_equal": ("le", "at most")}
_NOTHING: Mapping[str, Any] = MappingProxyType({})
#: Of OpenTelemetry's own variables, the one that says that somebody listens.
_COLLECTOR = "OTEL_EXPORTER_OTLP_ENDPOINT"


def assignments(texts: Iterable[str]) -> dict[str, str]:
    """``--set name=value`` flags as a mapping for ``load``.

    Raises:
        SettingInvalid: a text without a name or without an equals sign.

    """
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise SettingInvalid("--set", f"{text!r} is not name=value")
        name = name.strip().replace("-", "_")
        if name in NO_FLAG:
            raise SettingInvalid(
                name, f"is a secret, and ps would show it: use {env_name(name)} or the file"
            )
        pairs[name] = value.strip()
    return pairs


def load(
    flags: Mapping[str, Any] = _NOTHING,
    *,
    plugin_settings: Sequence[PluginSetting] | None = None,
    config: Path | None = None,
) -> Settings:
    """Read all sources and check every value.

    ``flags`` goes by setting name, those of plugins too; None means not given. Without
    ``plugin_settings`` (None: nobody has looked for plugins, as in commands that only talk to a
    server) names that are not Later's own are left alone; otherwise an unknown TOML key is an error
    and an unknown variable becomes one of the ``warnings``. Empty variables count as unset.

    Raises:
        SettingInvalid: names the flag, variable or key, what is wrong with it, and the remedy.

    """
    extra = {setting.name: setting for setting in plugin_settings or ()}
    if taken := sorted(NAMES & extra.keys()):
        raise SettingInvalid(
            taken[0],
            "a plugin brings a setting of this name, and Later has its own; remove the plugin",
        )
    given = {name: value for name, value in flags.items() if value is not None}
    if config:
        given["config"] = config
    environment = _environment()
    path, document = _file(given.get("config") or environment.get("config"))
    reader = _Reader(
        layers={"flag": given, "environment": environment, "file": document or _NOTHING},
        path=path,
        known=NAMES | extra.keys(),
    )
    warnings = reader.check_names() if plugin_settings is not None else ()
    values = reader.values(NAMES) | {"config": None if document is None else path}
    plugins = {name: reader.plugin_value(setting) for name, setting in extra.items()}
    try:
        return Settings(
            **values,
            plugins=MappingProxyType(plugins),
            plugin_settings=tuple(extra.values()),
            sources=MappingProxyType({name: reader.source(name) for name in NAMES | extra.keys()}),
            is_collector_named=bool(os.environ.get(_COLLECTOR)),
            warnings=tuple(warnings),
        )
    except ValidationError as error:
        raise reader.invalid(error) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """The layers, first one first, and how their parts are called in a complaint."""

    layers: Mapping[Source, Mapping[str, Any]]
    path: Path
    known: frozenset[str]

    def source(self, name: str) -> Source:
        return next((source for source, layer in self.layers.items() if name in layer), "default")

    def values(self, names: Iterable[str]) -> dict[str, Any]:
        found = ((name, self.source(name)) for name in names)
        return {name: self.layers[source][name] for name, source in found if source != "default"}

    def called(self, name: str) -> str:
        match self.source(name):
            case "environment":
                return env_name(name)
            case "file":
                return f"{name} in {self.path}"
            case _:
                return flag_name(name) if name in NAMES else f"--set {name}"

    def check_names(self) -> Sequence[str]:
        named = self.layers["flag"].keys() | self.layers["file"].keys()
        for name in sorted(named - self.known):
            raise SettingInvalid(self.called(name), f"there is no such setting{self.hint(name)}")
        return [
            f"{env_name(name)} is not a setting{self.hint(name, env_name)}"
            for name in sorted(self.layers["environment"].keys() - self.known - _NOT_SETTINGS)
        ]

    def hint(self, name: str, spell: Callable[[str], str] = str) -> str:
        near = difflib.get_close_matches(name, sorted(self.known), n=1)
        return f"; did you mean {spell(near[0])}?" if near else "; later settings lists them"

    def plugin_value(self, setting: PluginSetting) -> Any:
        found = self.values([setting.name])
        if not found:
            return setting.default
        try:
            return TypeAdapter(type(setting.default)).validate_python(found[setting.name])
        except ValidationError as error:
            raise self.invalid(error, setting.name) from None

    def invalid(self, error: ValidationError, name: str | None = None) -> SettingInvalid:
        first = error.errors(include_url=False)[0]
        context = first.get("ctx", {})
        name = name or str(context.get("blamed") or first["loc"][0])
        text = str(context.get("error") or first["msg"])
        if not {"error", "blamed"} & context.keys():
            value = "this value" if name in SECRETS else repr(self.values([name]).get(name))
            complaint = _bound(name, first["type"]) or text[:1].lower() + text[1:]
            text = f"{value} cannot be used: {complaint}"
        return SettingInvalid(self.called(name), " ".join(text.split()))


def _bound(name: str, fault: str) -> str:
    """The bound that a value has crossed, written as settings are; pydantic counts microseconds."""
    if fault not in _BOUNDS or name not in NAMES:
        return ""
    attribute, words = _BOUNDS[fault]
    constraints = Settings.model_fields[name].metadata
    bound = next(getattr(each, attribute) for each in constraints if hasattr(each, attribute))
    return f"it must be {words} {format_duration(bound) if isinstance(bound, timedelta) else bound}"


def _environment() -> dict[str, str]:
    return {
        key.removeprefix(PREFIX).lower(): value
        for key, value in os.environ.items()
        if key.startswith(PREFIX) and key.isupper() and value
    }


def _file(given: str | Path | None) -> tuple[Path, Mapping[str, Any] | None]:
    """The TOML file and what it says; None where there is none and none was asked for."""
    path = platformdirs.user_config_path("later") / "config.toml"
    if given:
        path = Path(given).expanduser()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        if given:
            raise SettingInvalid("config", f"cannot read {path}: {error.strerror}") from error
        return path, None
    except UnicodeDecodeError:
        raise SettingInvalid("config", f"{path} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingInvalid("config", f"{path} is not TOML: {error}") from None
    if "config" in document:
        raise SettingInvalid(f"config in {path}", "a file cannot name another one; remove the key")
    return path, document
