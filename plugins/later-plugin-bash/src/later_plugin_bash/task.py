"""What the task understands and answers."""

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from later_core import Context, Task, TaskError
from later_plugin_bash.process import Finished, bash, run_command

HOW_TO_ENABLE = (
    "to let it run commands set LATER_BASH_ENABLED=true, --set bash_enabled=true or the TOML key"
    " bash_enabled = true, and restart the server"
)
#: What a command needs to behave as in a shell; the server's other variables may be secrets.
_INHERITED = frozenset(
    {"HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The parameters, understood."""

    command: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    stdin: str = ""


class Bash(Task):
    """Runs ``bash -c`` in a process group of its own."""

    name = "bash"
    description = "Runs a shell command; off until the setting bash_enabled allows it."
    permission = "run-bash"
    parameters_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "command": {"type": "string", "minLength": 1},
            "env": {"type": "object", "additionalProperties": {"type": "string"}},
            "cwd": {"type": "string", "minLength": 1},
            "stdin": {"type": "string"},
        },
        "required": ["command"],
        "additionalProperties": False,
    }

    def __init__(self, *, is_enabled: bool) -> None:
        self._is_enabled = is_enabled
        if is_enabled:
            bash()  # looked for once, now, rather than while the event loop waits

    async def run(self, context: Context) -> str:
        if not self._is_enabled:
            raise TaskError(
                f"the task bash is switched off; {HOW_TO_ENABLE}",
                reason="BASH_DISABLED",
                is_final=True,
            )
        order = read_order(context.parameters)
        environment = _environment(context) | dict(order.env)
        try:
            finished = await run_command(
                order.command,
                env=environment,
                cwd=_directory(order.cwd, environment),
                stdin=order.stdin.encode(),
            )
        except OSError as error:
            raise _not_started(error) from error
        result = _result(finished)
        if finished.exit_code != 0:
            raise TaskError(_last_words(finished), reason="EXIT_CODE", result=result.encode())
        return result


def read_order(parameters: bytes) -> Order:
    """What to run: JSON with a command, or the command itself.

    Raises:
        TaskError: reason INVALID_PARAMETERS, final.

    """
    try:
        text = parameters.decode()
    except UnicodeDecodeError:
        raise _invalid("the command is not UTF-8 text") from None
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if not isinstance(value, dict):
        # "42" and "true" are JSON, and commands too.
        value = {"command": text}
    order = _checked(value)
    if not order.command.strip():
        raise _invalid("there is no command")
    return order


def _checked(value: dict[str, Any]) -> Order:
    if unknown := sorted(value.keys() - {"command", "env", "cwd", "stdin"}):
        raise _invalid(f"unknown key {unknown[0]!r}; there are command, env, cwd and stdin")
    env = value.get("env", {})
    if not isinstance(env, dict) or not all(isinstance(text, str) for text in env.values()):
        raise _invalid("env is an object of texts")
    if any(not name or "=" in name for name in env):
        raise _invalid("env has a name that is empty or holds an equals sign")
    texts = [value.get("command", ""), value.get("cwd", "."), value.get("stdin", ""), *env.values()]
    if not all(isinstance(text, str) for text in texts):
        raise _invalid("command, cwd and stdin are texts")
    for text in (texts[0], texts[1], *env, *env.values()):
        if "\0" in text:
            raise _invalid("a NUL character can be no part of a command")
    if any("\ud800" <= character <= "\udfff" for text in (*texts, *env) for character in text):
        raise _invalid("half a character (a lone surrogate) is no text")
    return Order(**value)


def _invalid(message: str) -> TaskError:
    return TaskError(message, reason="INVALID_PARAMETERS", is_final=True)


def _environment(context: Context) -> dict[str, str]:
    server = os.environ  # noqa: TID251  a command needs a PATH and a HOME; no setting is read here
    kept = {
        name: value
        for name, value in server.items()
        if name in _INHERITED or name.startswith("LC_")
    }
    return kept | {
        "LATER_INSTANCE_ID": context.instance.id,
        "LATER_ATTEMPT": str(context.attempt),
    }


def _directory(cwd: str | None, environment: Mapping[str, str]) -> str | None:
    """Where the command starts; ``~`` in front is its home directory, as cron has it."""
    if cwd is not None and (cwd == "~" or cwd.startswith("~/")):
        return environment.get("HOME", "~") + cwd[1:]
    return cwd


def _not_started(error: OSError) -> TaskError:
    if error.errno == errno.E2BIG:
        return _invalid("the command is longer than the system takes; hand its data to stdin")
    where = f": {error.filename}" if error.filename else ""
    return TaskError(f"bash did not start: {error.strerror}{where}", reason="START_FAILED")


def _result(finished: Finished) -> str:
    return json.dumps(
        {
            "exit_code": finished.exit_code,
            "stdout": finished.stdout,
            "stderr": finished.stderr,
            "truncated": finished.truncated,
        },
        ensure_ascii=False,
    )


def _last_words(finished: Finished) -> str:
    lines = [line for line in finished.stderr.splitlines() if line.strip()]
    said = f": {lines[-1].strip()[:500]}" if lines else ""
    return f"the command ended with exit code {finished.exit_code}{said}"
