"""The task ``echo``: logs its message and returns it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from later_core import Context, Task, TaskError, hookimpl

#: A log line is for reading; the result holds the whole message.
_LOGGED_CHARACTERS = 1000


class Echo(Task):
    """Says what it was told to say."""

    name = "echo"
    description = "Logs its message and returns it."
    parameters_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {"message": {"type": "string"}},
        "required": ["message"],
        "additionalProperties": False,
    }

    async def run(self, context: Context) -> str:
        message = _message(context.parameters)
        context.log.info("echo", message=message[:_LOGGED_CHARACTERS])
        return message


def _message(parameters: bytes) -> str:
    text = parameters.decode(errors="replace")
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if not isinstance(value, dict):
        return text
    message = value.get("message")
    unknown = [name for name in value if name != "message"]
    if not isinstance(message, str) or unknown:
        wrong = unknown[0][:_LOGGED_CHARACTERS] if unknown else "message"
        raise TaskError(
            f'{wrong}: parameters are {{"message": "..."}} or plain text',
            reason="INVALID_PARAMETERS",
            is_final=True,
        )
    # JSON can spell half of a character, which no UTF-8 can hold.
    return message.encode(errors="replace").decode()


@hookimpl
def later_tasks() -> Iterable[Task]:
    """What this distribution provides."""
    return [Echo()]
