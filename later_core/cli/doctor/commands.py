"""``later doctor``, from the settings to the exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import click
from rich.text import Text

from later_core.cli.doctor import server
from later_core.cli.doctor.reach import unreached
from later_core.cli.examples import Command
from later_core.cli.failure import FAILED
from later_core.cli.group import Top
from later_core.cli.installation import config_option
from later_core.cli.options import server_options
from later_core.cli.output import print_json, print_table
from later_core.cli.session import converse
from later_core.client.client import Client
from later_core.client.errors import SERVER_UNREACHABLE, RpcError, TlsFailed
from later_core.model.finding import Finding, Verdict, fail, ok
from later_core.model.query import Filter
from later_core.model.state import State
from later_core.ports.clock import SystemClock
from later_core.settings import Settings, load
from later_core.telemetry.logs import configure_logging

_STYLES = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}
#: Tasks that a filter may name.
_TASKS_MAX = 100


@click.command(
    cls=Command,
    examples=(
        "later doctor",
        "later doctor --mongodb-uri 'mongodb://db1,db2,db3/?replicaSet=rs0'",
    ),
)
@click.option(
    "--mongodb-uri", metavar="TEXT", help="The MongoDB to look at; else LATER_MONGODB_URI."
)
@click.option("--database", metavar="TEXT", help="Its database; else LATER_DATABASE, else later.")
@config_option
@server_options
@click.pass_obj
def doctor(
    top: Top, mongodb_uri: str | None, database: str | None, config: Path | None, *, as_json: bool
) -> None:
    """Look at a server, the other nodes and, if its URI is known here, MongoDB; say what to mend.

    Nothing is changed. Exit code 1 if something FAILs; a WARN is for somebody to know.
    """
    # What is refused is logged too: never between the answers on stdout.
    configure_logging(verbose=0, format="auto", stream=sys.stderr)
    given = {**top.flags, "mongodb_uri": mongodb_uri, "database": database}
    settings = load(given, config=config)

    async def talk(client: Client) -> Sequence[Finding]:
        return [*await _of_server(client), *await _of_database(settings)]

    findings = converse(top, talk)
    if as_json:
        for finding in findings:
            print_json(asdict(finding))
    else:
        _print(findings)
    if any(finding.verdict is Verdict.FAIL for finding in findings):
        raise click.exceptions.Exit(FAILED)


async def _of_server(client: Client) -> Sequence[Finding]:
    try:
        answers = await _ask(client)
    except RpcError as error:
        if error.reason == SERVER_UNREACHABLE:
            return [await unreached(client.address)]
        # What is wrong, and what to do: these are the words of the client, remedy and all.
        between = ": " if isinstance(error, TlsFailed) else "; "
        found, _, remedy = str(error).partition(between)
        return [fail("server", found, remedy or "its log says more")]
    return list(server.judge(answers, version=version("later-core")))


async def _ask(client: Client) -> server.Answers:
    is_serving = await client.health()
    nodes = await client.nodes()
    return server.Answers(
        address=client.address,
        is_serving=is_serving,
        stats=await client.stats(),
        tasks=await client.tasks(),
        nodes=nodes,
        overdue=await _overdue(client, {t for n in server.living(nodes) for t in n.tasks}),
    )


async def _overdue(client: Client, tasks: set[str]) -> int:
    """How many, counted as far as ``OVERDUE_MAX``."""
    if not tasks:
        return 0
    filter = Filter(
        states=frozenset({State.PENDING}),
        # Those that no node has are a finding of their own.
        tasks=frozenset(tasks) if len(tasks) <= _TASKS_MAX else frozenset(),
        end_time=server.overdue_before(SystemClock().now()),
    )
    count = 0
    async with aclosing(client.list(filter, page_size=server.OVERDUE_MAX)) as instances:
        async for _ in instances:
            count += 1
            if count >= server.OVERDUE_MAX:
                break
    return count


async def _of_database(settings: Settings) -> Sequence[Finding]:
    if settings.mongodb_uri is None:
        return [ok("database", "not looked at: LATER_MONGODB_URI is not set here")]
    from later_core.stores.mongo.examination import examine

    uri = settings.mongodb_uri.get_secret_value()
    return await examine(uri, settings.database, SystemClock())


def _print(findings: Sequence[Finding]) -> None:
    rows: list[tuple[str | Text, ...]] = []
    for finding in findings:
        word = Text(finding.verdict.value, style=_STYLES[finding.verdict])
        rows.append((word, finding.check, finding.found))
        if finding.remedy:
            rows.append(("", "", Text(f"-> {finding.remedy}", style="bold")))
    print_table(("", "CHECK", "FOUND"), rows, prose=True)
