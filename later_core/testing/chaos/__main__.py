"""``python -m later_core.testing.chaos``: run it, print the table; exit code 1 when anything was found."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import click

from later_core.ports.clock import SystemClock
from later_core.telemetry.logs import configure_logging
from later_core.testing.chaos.run import Plan, Report, chaos

_SHOWN = 20


@click.command()
@click.option("--seconds", default=300.0, show_default=True, help="How long faults are made.")
@click.option("--seed", type=int, help="Decides what chance decides; by default another each time.")
@click.option("--lease", default=2.0, show_default=True, help="Lease of the nodes, in seconds.")
@click.option("--keep", type=click.Path(path_type=Path), help="Directory to leave all logs in.")
@click.option("--python-path", default="", help="PYTHONPATH of the servers.")
def main(
    seconds: float, seed: int | None, lease: float, keep: Path | None, python_path: str
) -> None:
    """Three servers on a replica set of three, under load, harmed in every way that is known here."""
    configure_logging(verbose=1, format="text", stream=sys.stderr)
    chosen = int(SystemClock().now().timestamp()) if seed is None else seed
    click.echo(f"seed {chosen}", err=True)
    plan = Plan(seed=chosen, seconds=seconds, lease_seconds=lease)
    if keep is not None:
        keep.mkdir(parents=True)
        report = asyncio.run(chaos(plan, keep, python_path=python_path))
    else:
        with tempfile.TemporaryDirectory(prefix="later-chaos-") as directory:
            report = asyncio.run(chaos(plan, Path(directory), python_path=python_path))
    click.echo(table(report))
    for name, found in report.violations.items():
        for each in found[:_SHOWN]:
            click.echo(f"{name}: {each}", err=True)
    if any(report.violations.values()):
        sys.exit(1)


def table(report: Report) -> str:
    """The report as a table in Markdown."""
    rows = [
        *report.faults.items(),
        *report.figures.items(),
        *((f"**{name}**", f"**{len(found)}**") for name, found in report.violations.items()),
    ]
    return "\n".join(["| what | count |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows)])


if __name__ == "__main__":
    main()
