"""The batches of one import: several at a time, and schedules behind what comes before them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from later_core.local.database_clock import DatabaseClock
from later_core.local.intake import Intake
from later_core.local.membership import Membership
from later_core.local.window import Window
from later_core.model.instance import Instance
from later_core.model.schedule import ScheduleFilter
from later_core.model.transfer import Restored
from later_core.ports.clock import SystemClock
from later_core.rpc.convert import to_instance
from later_core.rpc.convert_transfer import to_exported_schedule
from later_core.rpc.importing import Importing
from later_core.rpc.times import to_timestamp
from later_core.rpc.v1 import later_pb2 as pb
from later_core.service.transfer import Transfer
from later_core.stores.memory import MemoryStore
from later_core.testing.builders import a_schedule, an_instance
from later_core.testing.store_contract.steps import HOUR, moment_of


class SlowStore(MemoryStore):
    """Restores nothing before it is told to."""

    def __init__(self) -> None:
        super().__init__(clock=SystemClock())
        self.asked = 0
        self.three_asked = asyncio.Event()
        self.go = asyncio.Event()

    async def restore(
        self, instances: Sequence[Instance], *, replace: bool, validate_only: bool
    ) -> Sequence[Restored]:
        if instances:
            self.asked += 1
            if self.asked == 3:
                self.three_asked.set()
            await self.go.wait()
        return await super().restore(instances, replace=replace, validate_only=validate_only)


async def test_schedules_are_stored_behind_the_instances_of_earlier_batches() -> None:
    store = SlowStore()
    now = await moment_of(store)
    moment = to_timestamp(now)
    database_clock = DatabaseClock(SystemClock())
    database_clock.observe(now)
    intake = Intake(
        window=Window(),
        membership=Membership(tasks=("echo",)),
        database_clock=database_clock,
    )

    def batch(id: str) -> pb.ImportInstancesRequest:
        exported = pb.ExportedInstance(
            instance=to_instance(an_instance(id, execution_time=now + HOUR))
        )
        return pb.ImportInstancesRequest(instances=[exported], snapshot_time=moment)

    schedules = pb.ImportInstancesRequest(
        schedules=[to_exported_schedule(a_schedule(now=now))], snapshot_time=moment
    )
    async with Transfer(store=store, intake=intake) as transfer:
        importing = Importing(transfer)
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            for request in (batch("one"), batch("two"), schedules, batch("three")):
                group.create_task(importing.answer(request))
            # Instances do not wait for each other, nor for schedules.
            await store.three_asked.wait()
            assert (await store.list_schedules(ScheduleFilter(), after=None, limit=9))[0] == []
            store.go.set()
    assert len((await store.list_schedules(ScheduleFilter(), after=None, limit=9))[0]) == 1
