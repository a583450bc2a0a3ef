"""``later create``: words become a new instance."""

from __future__ import annotations

import json
import sys
from typing import Any, BinaryIO, NoReturn

import click

from later_core.cli.failure import FAILED, say_error
from later_core.cli.group import Top
from later_core.cli.instances import show_instance
from later_core.cli.options import (
    Number,
    WholeNumber,
    due,
    due_options,
    duration_option,
    labels_option,
    server_options,
)
from later_core.cli.session import converse
from later_core.cli.waiting import wait_for_end
from later_core.client.client import Client
from later_core.model.instance import Delivery, Instance, NewInstance
from later_core.model.limits import MAX_ATTEMPTS, PARAMETERS_MAX_BYTES
from later_core.model.retry import NO_RETRY, RetryPolicy
from later_core.model.state import State

_DELIVERIES = {
    "at-least-once": Delivery.AT_LEAST_ONCE,
    "at-most-once": Delivery.AT_MOST_ONCE,
}


@click.command()
@click.argument("task")
@click.argument("parameters", required=False)
@click.option("--json-parameters", metavar="JSON", help="The parameters as JSON, checked here.")
@click.option(
    "--file", type=click.File("rb"), help="Read the parameters from this file; - is stdin."
)
@due_options
@click.option("--id", help="An id of your own: the same create again changes nothing.")
@labels_option(help="A label; may be repeated.")
@duration_option("--timeout", help="How long one attempt may take.")
@duration_option("--start-deadline", help="How late a start is still useful.")
@click.option(
    "--max-attempts",
    type=WholeNumber(1, MAX_ATTEMPTS),
    default=NO_RETRY.max_attempts,
    show_default=True,
    help="Attempts in all; more than 1 retries failures.",
)
@duration_option("--min-backoff", help="Wait after the first failure. [default: 1s]")
@duration_option("--max-backoff", help="The longest wait. [default: 1h]")
@click.option(
    "--multiplier",
    type=Number(1, 100),
    help="Each wait is so many times the one before. [default: 2]",
)
@click.option(
    "--delivery",
    type=click.Choice(list(_DELIVERIES)),
    default="at-least-once",
    show_default=True,
    help="What becomes of it if its server dies while it runs.",
)
@click.option("--wait", is_flag=True, help="Follow it to its end; exit code 1 unless it succeeded.")
@server_options
@click.pass_obj
def create(top: Top, /, *, wait: bool, as_json: bool, **words: Any) -> None:
    """Create an instance: run TASK with PARAMETERS at a time (now, unless --at or --in is given).

    PARAMETERS are any text; - reads them from stdin.
    """
    request = _request(words)

    async def talk(client: Client) -> Instance:
        instance = await client.create(request)
        return await wait_for_end(client, instance) if wait else instance

    instance = converse(top, talk)
    show_instance(instance, as_json=as_json)
    if wait and instance.state is not State.SUCCEEDED:
        _fail(instance)


def _request(words: dict[str, Any]) -> NewInstance:
    return NewInstance(
        task=words["task"],
        id=words["id"],
        parameters=_parameters(words["parameters"], words["json_parameters"], words["file"]),
        retry=_retry(words),
        timeout=words["timeout"],
        start_deadline=words["start_deadline"],
        delivery=_DELIVERIES[words["delivery"]],
        labels=words["labels"],
        **due(words["at"], words["in_"]),
    )


def _retry(words: dict[str, Any]) -> RetryPolicy:
    names = ("max_attempts", "min_backoff", "max_backoff", "multiplier")
    return RetryPolicy(**{name: words[name] for name in names if words[name] is not None})


def _parameters(text: str | None, json_text: str | None, file: BinaryIO | None) -> bytes:
    if sum(source is not None for source in (text, json_text, file)) > 1:
        raise click.UsageError("give one of PARAMETERS, --json-parameters and --file")
    if json_text is not None:
        return _compact_json(json_text)
    if text == "-":
        file = sys.stdin.buffer
    if file is not None:
        return _read(file)
    # What the shell passed on, byte for byte, even where it is not UTF-8.
    return (text or "").encode("utf-8", "surrogateescape")


def _read(file: BinaryIO) -> bytes:
    content = file.read(PARAMETERS_MAX_BYTES + 1)
    if len(content) > PARAMETERS_MAX_BYTES:
        raise click.UsageError(f"the parameters are more than {PARAMETERS_MAX_BYTES:,} bytes")
    return content


def _compact_json(text: str) -> bytes:
    """The same form that the server gives to ``json``: equal content gives equal bytes."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise click.UsageError(f"--json-parameters is not JSON: {error}") from None
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _fail(instance: Instance) -> NoReturn:
    why = f": {instance.error.reason}: {instance.error.message}" if instance.error else ""
    say_error(f"instance {instance.id} ended {instance.state.value}{why}")
    raise click.exceptions.Exit(FAILED)
