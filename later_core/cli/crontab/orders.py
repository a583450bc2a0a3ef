"""What the task ``bash`` is told to run what cron would run, and back."""

from __future__ import annotations

import json
import posixpath
import shlex
from dataclasses import dataclass, field
from typing import Any

from later_core.cli.crontab.entry import Environment

TASK = "bash"
#: cron starts each command in its home directory.
HOME = "~"
#: Those that are run as they are; the task itself calls bash.
_OWN_SHELLS = frozenset({"sh", "bash"})
_KEYS = frozenset({"command", "env", "cwd", "stdin"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The parameters of the task, understood. ``cwd`` None is the server's directory."""

    command: str
    stdin: str = ""
    environment: Environment = field(default_factory=dict)
    cwd: str | None = HOME


def to_parameters(order: Order) -> bytes:
    """The parameters of the task: the same order gives the same bytes."""
    value: dict[str, Any] = {"command": _through_shell(order), "cwd": order.cwd}
    if order.cwd is None:
        del value["cwd"]
    if order.environment:
        value["env"] = dict(order.environment)
    if order.stdin:
        value["stdin"] = order.stdin
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def from_parameters(parameters: bytes) -> Order:
    """The order that the task would read there.

    Raises:
        ValueError: cron could not be told the same, with the reason.

    """
    text = parameters.decode()
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if not isinstance(value, dict):
        value = {"command": text}
    env = value.get("env", {})
    texts = [value.get("command"), value.get("stdin", ""), value.get("cwd", HOME)]
    if (
        not value.keys() <= _KEYS
        or not isinstance(env, dict)
        or not all(isinstance(each, str) for each in (*texts, *env.values()))
    ):
        raise ValueError("its parameters are none of the task bash")
    return Order(
        command=_without_shell(value["command"], env),
        stdin=value.get("stdin", ""),
        environment=env,
        cwd=value.get("cwd"),
    )


def _through_shell(order: Order) -> str:
    shell = _other_shell(order.environment)
    if shell is None:
        return order.command
    return f"exec {shlex.quote(shell)} -c {shlex.quote(order.command)}"


def _without_shell(command: str, environment: Environment) -> str:
    shell = _other_shell(environment)
    if shell is None:
        return command
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if len(words) == 4 and words[:3] == ["exec", shell, "-c"]:
        return words[3]
    raise ValueError(f"cron would run it by its SHELL, {shell}, and Later runs it by bash")


def _other_shell(environment: Environment) -> str | None:
    """The shell that SHELL names, unless bash stands in for it."""
    shell = environment.get("SHELL", "")
    return shell if shell and posixpath.basename(shell) not in _OWN_SHELLS else None
