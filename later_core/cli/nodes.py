"""Commands on the nodes that share a database: nodes, drain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from later_core.cli.examples import Command
from later_core.cli.group import Top
from later_core.cli.options import server_options
from later_core.cli.output import print_json, print_table
from later_core.cli.session import converse
from later_core.cli.times import relative
from later_core.client.client import Client
from later_core.client.records import node_record
from later_core.model.node import ListedNode
from later_core.ports.clock import SystemClock

NODE_COLUMNS = (
    *("NODE", "ADDRESS", "VERSION", "STATUS", "BUCKETS", "WINDOW", "RUNNING"),
    *("STARTED", "HEARTBEAT", "TASKS"),
)
_POLL_SECONDS = 0.2


@click.command(
    cls=Command,
    examples=("later nodes",),
)
@server_options
@click.pass_obj
def nodes(top: Top, *, as_json: bool) -> None:
    """List the nodes that share the database of the server, and for an hour those that died."""
    listed = converse(top, lambda client: client.nodes())
    if as_json:
        for node in listed:
            print_json(node_record(node))
        return
    now = SystemClock().now()
    print_table(NODE_COLUMNS, [node_row(node, now) for node in listed])


@click.command(
    cls=Command,
    examples=(
        "later drain web-1-3f2a9c1b",
        "later drain web-1-3f2a9c1b --wait",
    ),
)
@click.argument("node")
@click.option("--wait", is_flag=True, help="Return once nothing runs on it any more.")
@server_options
@click.pass_obj
def drain(top: Top, node: str, *, wait: bool, as_json: bool) -> None:
    """Ask NODE to leave its share to the others and to let what runs end within its grace.

    It goes on answering requests until it is stopped; later nodes names the nodes.
    """
    listed = converse(top, lambda client: _drain(client, node, wait=wait))
    if as_json:
        print_json(node_record(listed))
    elif wait:
        click.echo(f"{node}: drained")
    else:
        click.echo(f"{node}: asked to drain")


async def _drain(client: Client, id: str, *, wait: bool) -> ListedNode:
    """Ask; with ``wait``, the node as it is once it has drained, or was before it left in order."""
    node = await client.drain(id)
    clock = SystemClock()
    while wait and not node.status.node.is_drained:
        if not node.status.is_alive:
            raise click.ClickException(f"node {id!r} died before it had drained")
        await clock.sleep(_POLL_SECONDS)
        found = _find(await client.nodes(), id)
        if found is None:
            break
        node = found
    return node


def _find(nodes: Sequence[ListedNode], id: str) -> ListedNode | None:
    return next((node for node in nodes if node.status.node.id == id), None)


def node_row(listed: ListedNode, now: datetime) -> Sequence[str]:
    """The cells of ``NODE_COLUMNS``."""
    node = listed.status.node
    return (
        node.id,
        node.address,
        node.version,
        _status(listed),
        f"{listed.buckets}",
        f"{node.window_size:,}",
        f"{node.running:,}",
        relative(node.started_at, now),
        relative(listed.status.beat_time, now),
        ", ".join(node.tasks) or "none",
    )


def _status(listed: ListedNode) -> str:
    """Where it stands, in a word or three."""
    status = listed.status
    if not status.is_alive:
        return "dead"
    if status.node.is_drained:
        return "drained"
    if status.node.is_draining:
        return "draining"
    return "asked to drain" if status.is_asked_to_drain else "alive"
