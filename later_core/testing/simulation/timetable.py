"""The schedules of a seed: short ones, so that every one of them ends."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from later_core.model.instance import NewInstance
from later_core.model.instant import EARLIEST, LATEST
from later_core.model.planning import recurrence_of
from later_core.model.recurrence.rules import IntervalRule
from later_core.model.schedule import CatchUp, Overlap, ScheduleSpec
from later_core.testing.simulation.behaviour import Behaviour
from later_core.testing.simulation.scenario import CreateSchedule


def nominal_times(spec: ScheduleSpec) -> Sequence[datetime]:
    """Every time of a schedule that has an end."""
    return list(recurrence_of(spec).between(EARLIEST, LATEST))


def schedules_of(
    seed: int, *, beginning: datetime, length: float, hosts: int, tasks: Sequence[str]
) -> Sequence[tuple[float, CreateSchedule]]:
    """The schedules that clients create, each with its moment.

    Drawn from a stream of their own: whatever else a seed stands for stays as it is.
    """
    rng = random.Random(f"{seed} schedules")  # noqa: S311 - no secret hangs on it
    if rng.random() < _SHARE_WITHOUT:
        return []
    return [
        (
            round(rng.uniform(0.05, length / 2), 3),
            CreateSchedule(
                rng.randrange(hosts),
                f"s{number}",
                _spec(rng, beginning=beginning, length=length, tasks=tasks),
                rng.choice((1, 3, 10)),
            ),
        )
        for number in range(rng.choice((1, 1, 2, 4)))
    ]


#: Of the seeds, so many have no schedule.
_SHARE_WITHOUT = 0.3


def _spec(
    rng: random.Random, *, beginning: datetime, length: float, tasks: Sequence[str]
) -> ScheduleSpec:
    # Two rules, so that runs come closer to one another than one rule may have them.
    rules = tuple(
        IntervalRule(
            every=timedelta(milliseconds=rng.randint(1000, 1500)),
            anchor=beginning + timedelta(milliseconds=rng.randint(0, 999)),
        )
        for _ in range(rng.choice((1, 2)))
    )
    seconds = rng.choice((0.0, 0.05, round(rng.uniform(0.2, 2.0), 3)))
    return ScheduleSpec(
        template=NewInstance(
            task=rng.choice((tasks[0], *tasks)),
            parameters=Behaviour(seconds, 0).to_parameters(),
        ),
        rules=rules,
        start_time=beginning,
        end_time=beginning + timedelta(seconds=round(rng.uniform(1.0, length), 3)),
        jitter=timedelta(seconds=rng.choice((0.0, 0.0, 0.2))),
        overlap=rng.choice(list(Overlap)),
        catch_up=CatchUp.ALL,
    )
