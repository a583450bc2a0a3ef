"""What an instance will be, as people type it: its task, its parameters, its policies."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, BinaryIO, NoReturn, TypeVar

import click

from later_core.cli.options import (
    Number,
    WholeNumber,
    all_of,
    duration_option,
    labels_option,
)
from later_core.model.concurrency import Concurrency
from later_core.model.instance import Delivery, NewInstance
from later_core.model.limits import (
    CONCURRENCY_MAX,
    MAX_ATTEMPTS,
    PARAMETERS_MAX_BYTES,
    PRIORITY_MAX,
)

_F = TypeVar("_F", bound=Callable[..., Any])

_DELIVERIES = {
    "at-least-once": Delivery.AT_LEAST_ONCE,
    "at-most-once": Delivery.AT_MOST_ONCE,
}


def template_options(command: _F) -> _F:
    """``TASK``, ``[PARAMETERS]`` and what stands under ``policy_options``."""
    return all_of(
        command,
        click.argument("task"),
        click.argument("parameters", required=False),
        policy_options,
    )


def policy_options(command: _F) -> _F:
    """Everything about an instance but task and parameters; what is not given is None."""
    return all_of(
        command,
        click.option(
            "--json-parameters", metavar="JSON", help="The parameters as JSON, checked here."
        ),
        click.option(
            "--file", type=click.File("rb"), help="Read the parameters from this file; - is stdin."
        ),
        labels_option(help="A label; may be repeated."),
        duration_option("--timeout", help="How long one attempt may take."),
        duration_option("--start-deadline", help="How late a start is still useful."),
        click.option(
            "--concurrency-key",
            metavar="KEY",
            help="Of all that carry this key only --concurrency-limit run at once.",
        ),
        click.option(
            "--concurrency-limit",
            type=WholeNumber(1, CONCURRENCY_MAX),
            help="How many of the key may run at once in the whole cluster. [default: 1]",
        ),
        click.option(
            "--max-attempts",
            type=WholeNumber(1, MAX_ATTEMPTS),
            help="Attempts in all; more than 1 retries failures. [default: 1]",
        ),
        duration_option("--min-backoff", help="Wait after the first failure. [default: 1s]"),
        duration_option("--max-backoff", help="The longest wait. [default: 1h]"),
        click.option(
            "--multiplier",
            type=Number(1, 100),
            help="Each wait is so many times the one before. [default: 2]",
        ),
        click.option(
            "--retry-jitter",
            type=Number(0, 1),
            help="The share of each wait that is left to chance. [default: 0.1]",
        ),
        click.option(
            "--final-reason",
            "final_reasons",
            metavar="REASON",
            multiple=True,
            help="A reason of failure that is not tried again; may be repeated.",
        ),
        click.option(
            "--priority",
            type=WholeNumber(0, PRIORITY_MAX),
            help="Of what is due and cannot all be started at once, the higher first. [default: 0]",
        ),
        click.option(
            "--delivery",
            type=click.Choice(list(_DELIVERIES)),
            help="What becomes of it if its server dies while it runs. [default: at-least-once]",
        ),
    )


def template(words: dict[str, Any], before: NewInstance | None = None) -> NewInstance:
    """What the values of ``template_options`` say; what they leave out is as it was ``before``."""
    before = before or NewInstance(task=words["task"])
    said = _said(words, "task", "timeout", "start_deadline", "priority")
    if words["labels"]:
        said["labels"] = words["labels"]
    if words["delivery"]:
        said["delivery"] = _DELIVERIES[words["delivery"]]
    parameters = _parameters(words["parameters"], words["json_parameters"], words["file"])
    if parameters is not None:
        said["parameters"] = parameters
    if concurrency := _concurrency(words, before.concurrency):
        said["concurrency"] = concurrency
    retry = _said(words, "max_attempts", "min_backoff", "max_backoff", "multiplier")
    if words["retry_jitter"] is not None:
        retry["jitter"] = words["retry_jitter"]
    if words["final_reasons"]:
        retry["final_reasons"] = words["final_reasons"]
    if retry:
        said["retry"] = replace(before.retry, **retry)
    return replace(before, **said)


def _concurrency(words: dict[str, Any], before: Concurrency | None) -> Concurrency | None:
    key, limit = words["concurrency_key"], words["concurrency_limit"]
    if key is None and limit is None:
        return None
    if before is not None:
        return Concurrency(key=key or before.key, limit=limit or before.limit)
    if key is None:
        raise click.UsageError("--concurrency-limit needs a --concurrency-key")
    return Concurrency(key=key, limit=limit or 1)


def _said(words: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: words[name] for name in names if words.get(name) is not None}


def _parameters(text: str | None, json_text: str | None, file: BinaryIO | None) -> bytes | None:
    if sum(source is not None for source in (text, json_text, file)) > 1:
        raise click.UsageError("give one of PARAMETERS, --json-parameters and --file")
    if json_text is not None:
        return _compact_json(json_text)
    if text == "-":
        file = sys.stdin.buffer
    if file is not None:
        return _read(file)
    # What the shell passed on, byte for byte, even where it is not UTF-8.
    return text.encode("utf-8", "surrogateescape") if text is not None else None


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
