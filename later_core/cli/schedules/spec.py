"""All of a schedule as people type it, new or changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import click

from later_core.cli.options import all_of, duration_option
from later_core.cli.schedules.rules import When
from later_core.cli.template import template
from later_core.model.instance import NO_LABELS, NewInstance
from later_core.model.retry import NO_RETRY
from later_core.model.schedule import CatchUp, Overlap, ScheduleSpec

_F = TypeVar("_F", bound=Callable[..., Any])

_OVERLAPS = {overlap.lower().replace("_", "-"): overlap for overlap in Overlap}
_CATCH_UPS = {catch_up.lower(): catch_up for catch_up in CatchUp}

#: What ``--clear`` takes away, and where it stands.
_CLEARED: dict[str, dict[str, Any]] = {
    "exclusions": {"exclusions": ()},
    "start": {"start_time": None},
    "end": {"end_time": None},
    "max-runs": {"max_runs": None},
    "jitter": {"jitter": timedelta(0)},
    "catchup-window": {"catchup_window": None},
}
_CLEARED_OF_TEMPLATE: dict[str, dict[str, Any]] = {
    "parameters": {"parameters": b""},
    "labels": {"labels": NO_LABELS},
    "timeout": {"timeout": None},
    "start-deadline": {"start_deadline": None},
    "retry": {"retry": NO_RETRY},
    "concurrency": {"concurrency": None},
}


def conduct_options(command: _F) -> _F:
    """What happens when it does not go smoothly; ``changed`` and ``new`` read them."""
    return all_of(
        command,
        duration_option("--jitter", help="Spread: each run is due up to so long after its time."),
        click.option(
            "--overlap",
            type=click.Choice(list(_OVERLAPS)),
            help="A run is due while an earlier one has not ended: what becomes of it."
            " [default: skip]",
        ),
        click.option(
            "--catch-up",
            type=click.Choice(list(_CATCH_UPS)),
            help="After an outage: which missed runs take place. [default: last]",
        ),
        duration_option("--catchup-window", help="Unless they are older than this."),
        click.option(
            "--pause-on-failure/--no-pause-on-failure",
            default=None,
            help="Whether it pauses itself when a run has failed for good. [default: no]",
        ),
    )


clear_option = click.option(
    "--clear",
    type=click.Choice([*_CLEARED, *_CLEARED_OF_TEMPLATE]),
    multiple=True,
    help="Take this away; may be repeated.",
)


def new(words: dict[str, Any]) -> ScheduleSpec:
    """The schedule that was asked for."""
    when = When(words).said()
    if "rules" not in when:
        raise click.UsageError("say when: give --cron, --every, --rrule or --at")
    return replace(ScheduleSpec(template=template(words), rules=()), **when, **_conduct(words))


def changed(before: ScheduleSpec, words: dict[str, Any]) -> ScheduleSpec:
    """The schedule with what was asked for; the rest stays as it was."""
    cleared: dict[str, Any] = {}
    base: NewInstance = before.template
    for name in words["clear"]:
        cleared |= _CLEARED.get(name, {})
        base = replace(base, **_CLEARED_OF_TEMPLATE.get(name, {}))
    said = When(words, before.time_zone).said() | _conduct(words)
    return replace(before, template=template(words, base), **(cleared | said))


def _conduct(words: dict[str, Any]) -> dict[str, Any]:
    values = {
        "jitter": words["jitter"],
        "overlap": _OVERLAPS.get(words["overlap"]),
        "catch_up": _CATCH_UPS.get(words["catch_up"]),
        "catchup_window": words["catchup_window"],
        "pause_on_failure": words["pause_on_failure"],
    }
    return {name: value for name, value in values.items() if value is not None}
