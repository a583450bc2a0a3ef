"""Commands that look at what is there: plugins, stats, settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from later_core.cli.examples import Command
from later_core.cli.group import Top
from later_core.cli.installation import config_option, prepare, set_option
from later_core.cli.options import json_option, server_options
from later_core.cli.output import print_details, print_json, print_table, state_text
from later_core.cli.session import converse
from later_core.cli.times import iso, relative, spell_late
from later_core.client.records import plugins_record, stats_record
from later_core.model.stats import Stats
from later_core.model.task_limits import NO_LIMITS
from later_core.ports.clock import SystemClock
from later_core.ports.tasks import WithLimits
from later_core.settings import assignments


@click.command(
    cls=Command,
    examples=(
        "later plugins",
        "later plugins --json",
    ),
)
@set_option
@config_option
@json_option
def plugins(assigned: Sequence[str], config: Path | None, *, as_json: bool) -> None:
    """List the tasks of the plugins installed here, and the plugins that are not used, and why."""
    catalog, settings = prepare(assignments(assigned), config)
    catalog.collect(settings.plugins)
    # Last, so that a plugin whose commands cannot be added is listed too.
    catalog.extend_cli(click.Group())
    tasks = WithLimits(catalog, settings)
    installed = [each for name in tasks.names() if (each := tasks.get(name)) is not None]
    if as_json:
        print_json(plugins_record(installed, catalog.rejected))
        return
    print_table(
        ("TASK", "DISTRIBUTION", "VERSION", "DESCRIPTION"),
        [
            (each.task.name, each.distribution, each.version, each.task.description)
            for each in installed
        ],
        prose=True,
    )
    limited = [each for each in installed if each.rate_limit or each.limits != NO_LIMITS]
    if limited:
        click.echo()
        print_table(
            ("TASK", "RATE LIMIT", "ON A NODE"),
            [(each.task.name, str(each.rate_limit or ""), str(each.limits)) for each in limited],
        )
    if catalog.rejected:
        click.echo()
        print_table(
            ("REJECTED PLUGIN", "DISTRIBUTION", "VERSION", "REASON"),
            [
                (each.name, each.distribution, each.version, each.reason)
                for each in catalog.rejected
            ],
            prose=True,
        )


@click.command(
    cls=Command,
    examples=(
        "later stats",
        "later stats --json",
    ),
)
@server_options
@click.pass_obj
def stats(top: Top, *, as_json: bool) -> None:
    """Show how many instances there are in each state, and how the server that answers fares."""
    answer = converse(top, lambda client: client.stats())
    if as_json:
        print_json(stats_record(answer))
        return
    print_table(
        ("STATE", "INSTANCES"),
        [(state_text(state), f"{count:,}") for state, count in answer.counts.by_state.items()],
    )
    if answer.counts.unresolved:
        click.echo()
        print_table(
            ("TASK NOT INSTALLED", "PENDING"),
            [(task, f"{count:,}") for task, count in sorted(answer.counts.unresolved.items())],
        )
    click.echo()
    print_details(_figures(answer, SystemClock().now()))


def _figures(stats: Stats, now: datetime) -> Iterable[tuple[str, str]]:
    late = stats.lateness
    yield "node", stats.node
    yield "version", stats.version
    yield "started", f"{iso(stats.started_at)} ({relative(stats.started_at, now)})"
    yield "window", f"{stats.window_size:,} near instances in memory"
    yield "running", f"{stats.running:,}"
    yield "subscribers", f"{stats.subscribers:,}"
    yield (
        "lateness",
        f"p50 {spell_late(late.p50)}, p99 {spell_late(late.p99)}, max {spell_late(late.max)}"
        f" over {late.count:,} starts"
        if late.count
        else "no starts yet",
    )
    yield "tasks", ", ".join(stats.tasks) or "none"


@click.command(
    cls=Command,
    examples=(
        "later settings",
        "LATER_RETENTION=30d later settings",
    ),
)
@set_option
@config_option
@click.option("--json", "as_json", is_flag=True, help="JSON, one object a line.")
def settings(assigned: Sequence[str], config: Path | None, *, as_json: bool) -> None:
    """Show every setting: its value, where that comes from, and how to change it."""
    _, values = prepare(assignments(assigned), config)
    rows = values.describe()
    if as_json:
        for row in rows:
            print_json(asdict(row))
        return
    print_table(
        ("NAME", "VALUE", "SOURCE", "VARIABLE", "MEANING"),
        [(row.name, row.value, row.source, row.env, row.description) for row in rows],
        prose=True,
    )
    for warning in values.warnings:
        click.echo(f"later: warning: {warning}", err=True)
