"""A schedule of one's own, taken through a year, a change of the clocks and an outage."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from later_core import Context, Task
from later_core.model.instance import NewInstance
from later_core.model.recurrence.rules import CronRule
from later_core.model.schedule import CatchUp, ScheduleSpec
from later_core.testing.node import node

PARIS = ZoneInfo("Europe/Paris")


class Backup(Task):
    name = "backup"
    description = "Copies what must not be lost."

    async def run(self, context: Context) -> str:
        return "copied"


NIGHTLY = ScheduleSpec(
    template=NewInstance(task="backup"),
    rules=(CronRule(expression="30 2 * * *"),),
    time_zone="Europe/Paris",
    catch_up=CatchUp.LAST,
)


@pytest.mark.asyncio
async def test_every_night_of_the_year_has_its_backup() -> None:
    async with node(Backup(), start=datetime(2030, 1, 1, tzinfo=PARIS)) as later:
        await later.schedules.create(NIGHTLY, id="nightly")
        await later.travel(timedelta(days=365))
        nights = [
            run.execution_time.astimezone(PARIS).date() for run in await later.runs("nightly")
        ]
    assert len(nights) == len(set(nights)) == 365


@pytest.mark.asyncio
async def test_a_week_without_a_server_is_made_up_for_with_one_backup() -> None:
    async with node(Backup(), start=datetime(2030, 3, 25, 12, tzinfo=UTC)) as later:
        await later.schedules.create(NIGHTLY, id="nightly")
        await later.outage(timedelta(days=7))  # the night on which 02:30 does not exist among them
        await later.travel(timedelta(minutes=1))
        (run,) = await later.runs("nightly")
    assert run.result == b"copied"
