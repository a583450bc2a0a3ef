"""``later create``: words become a new instance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn

import click

from later_core.cli.examples import Command
from later_core.cli.failure import FAILED, say_error
from later_core.cli.group import Top
from later_core.cli.instances import show_instance
from later_core.cli.options import due, due_options, server_options
from later_core.cli.session import converse
from later_core.cli.template import template, template_options
from later_core.client.client import Client
from later_core.model.instance import Instance, NewInstance
from later_core.model.state import State


@click.command(
    cls=Command,
    examples=(
        "later create echo 'good morning' --at 'tomorrow 09:00'",
        "later create bash 'df -h /' --in 10m --max-attempts 3 --timeout 30s",
        'later create echo --json-parameters \'{"message": "hello"}\' --id hello-1 --wait',
    ),
)
@template_options
@due_options
@click.option("--id", help="An id of your own: the same create again changes nothing.")
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
        return await client.wait(instance.id) if wait else instance

    instance = converse(top, talk)
    show_instance(instance, as_json=as_json)
    if wait and instance.state is not State.SUCCEEDED:
        _fail(instance)


def _request(words: dict[str, Any]) -> NewInstance:
    return replace(template(words), id=words["id"], **due(words["at"], words["in_"]))


def _fail(instance: Instance) -> NoReturn:
    why = f": {instance.error.reason}: {instance.error.message}" if instance.error else ""
    say_error(f"instance {instance.id} ended {instance.state.value}{why}")
    raise click.exceptions.Exit(FAILED)
