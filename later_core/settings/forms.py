"""How the values of settings are written, and what they become."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr

from later_core.model.address import ALL_OF_A_NAME, one_family, servers
from later_core.model.breaker import Breaker, parse_breaker
from later_core.model.duration import parse_duration
from later_core.model.encryption_key import are_keys, parse_keys
from later_core.model.quota import parse_pending_limits
from later_core.model.rate import RateLimit, parse_rates
from later_core.model.task_limits import (
    parse_by_task,
    parse_concurrency_limit,
    parse_time_limit,
)
from later_core.model.tls import is_pem


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


def _servers(value: str) -> str:
    each = servers(value)
    for one in each:
        _host_and_port(one)
    if len(each) > 1 and one_family(each) is None:
        raise ValueError(
            f"{value!r} mixes what cannot be shared out: several addresses are all IPv4 or all IPv6;"
            f" for names, list the servers in one DNS name and write {ALL_OF_A_NAME}name:port"
        )
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


def _pem(value: str) -> str:
    # In a variable or a unit file line ends are often written as \\n.
    return value.replace("\\n", "\n") if is_pem(value) else str(Path(value).expanduser())


def _rates(value: object) -> object:
    return MappingProxyType(parse_rates(value)) if isinstance(value, str) else value


#: Rates by task; None lifts the limit that a task declares.
RateLimits = Annotated[Mapping[str, RateLimit | None], BeforeValidator(_rates)]


def _by_task(parse: Callable[[str], object], such: str) -> BeforeValidator:
    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        return MappingProxyType(parse_by_task(value, parse, such=such))

    return BeforeValidator(read)


#: By task, all others as ``*``; None lifts what a task declares.
TimeLimits = Annotated[Mapping[str, timedelta | None], _by_task(parse_time_limit, "30s")]
ConcurrencyLimits = Annotated[Mapping[str, int | None], _by_task(parse_concurrency_limit, "4")]
Breakers = Annotated[Mapping[str, Breaker | None], _by_task(parse_breaker, "5/1m")]


def _encryption_keys(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if are_keys(text):
        parse_keys(text)
    elif len(text.splitlines()) > 1:
        raise ValueError("neither keys (id:base64) nor the path of a file with some")
    return value


def _create_rates(value: object) -> object:
    if not isinstance(value, str):
        return value
    return MappingProxyType(parse_rates(value, of="principal", such="ci"))


#: Rates of creates by principal, all others as ``*``; None: without a bound.
CreateRates = Annotated[Mapping[str, RateLimit | None], BeforeValidator(_create_rates)]


def _pending_limits(value: object) -> object:
    return MappingProxyType(dict(parse_pending_limits(value))) if isinstance(value, str) else value


#: How many instances of each principal may be PENDING, all others as ``*``; None: any number.
PendingLimitsByPrincipal = Annotated[Mapping[str, int | None], BeforeValidator(_pending_limits)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Address = Annotated[str, AfterValidator(_host_and_port)]
#: Of one server or of several that share one database, for who talks to them.
Servers = Annotated[str, AfterValidator(_servers)]
Directory = Annotated[Path, AfterValidator(Path.expanduser)]
#: The path of a PEM file, or the PEM text itself.
Pem = Annotated[str, AfterValidator(_pem)]
#: The path of a file with keys, or the keys themselves.
EncryptionKeys = Annotated[SecretStr, AfterValidator(_encryption_keys)]
MongodbUri = Annotated[SecretStr, AfterValidator(_mongodb_uri)]
Database = Annotated[str, AfterValidator(_database)]
