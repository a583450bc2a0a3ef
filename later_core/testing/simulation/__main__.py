"""Play many seeds, or replay one: ``tox -e sim -- --seeds 10000``, ``tox -e sim -- --seed 17``."""

from __future__ import annotations

import sys

import click

from later_core.testing.simulation.simulation import Verdict, simulate


@click.command()
@click.option("--seeds", default=1000, show_default=True, help="How many seeds to play.")
@click.option("--first", default=0, show_default=True, help="The first of them.")
@click.option("--seed", type=int, help="Replay this one, and print its history.")
def main(seeds: int, first: int, seed: int | None) -> None:
    """Simulate clusters of nodes under faults, and check what Later promises."""
    if seed is not None:
        verdict = simulate(seed)
        _print(verdict)
        sys.exit(0 if verdict.is_good else 1)
    failed = []
    for number in range(first, first + seeds):
        verdict = simulate(number)
        if not verdict.is_good:
            failed.append(number)
            _print(verdict)
    click.echo(f"{seeds} seeds from {first}: {len(failed)} failed {failed or ''}".rstrip())
    sys.exit(1 if failed else 0)


def _print(verdict: Verdict) -> None:
    click.echo(verdict.report())


if __name__ == "__main__":
    main()
