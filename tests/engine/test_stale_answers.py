"""Answers may come in another order than the changes were made: the later word is not the newer one."""

import asyncio
from datetime import timedelta

from later_core.model.instance import NewInstance
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask


class Dawdling(MemoryStore):
    """Does its work at once; the first answer of each kind named takes its time."""

    def __init__(self, *, clock):
        super().__init__(clock=clock)
        self.dawdles_at: set[str] = set()

    async def insert(self, instances):
        return await self._dawdle("insert", await super().insert(instances))

    async def reschedule(self, id, execution_time, *, revision):
        answer = await super().reschedule(id, execution_time, revision=revision)
        return await self._dawdle("reschedule", answer)

    async def _dawdle(self, what, answer):
        if what in self.dawdles_at:
            self.dawdles_at.discard(what)
            await self._clock.sleep(4)
        return answer


def moved(bench, delay):
    return bench.parts.instances.reschedule(
        "a", execution_time=None, delay=timedelta(seconds=delay), revision=None
    )


async def test_a_create_answered_after_a_reschedule_leaves_the_instance_where_it_was_moved(running):
    for delay, later in ((0.2, 20), (50, 20)):
        clock = FakeClock()
        store = Dawdling(clock=clock)
        task = RecordingTask()
        async with running(task, store=store, clock=clock) as bench, asyncio.TaskGroup() as group:
            store.dawdles_at.add("insert")
            request = NewInstance(id="a", task="record", delay=timedelta(seconds=delay))
            group.create_task(bench.parts.instances.create(request))
            await clock.advance(0.01)
            await moved(bench, later)
            await clock.advance(15)
            assert task.called("run") == []
            await clock.advance(10)
            assert task.called("run") == ["a"]


async def test_reschedules_answered_in_another_order_leave_the_instance_at_the_last_time(running):
    for first, second in ((3, 20), (50, 20)):
        clock = FakeClock()
        store = Dawdling(clock=clock)
        task = RecordingTask()
        async with running(task, store=store, clock=clock) as bench, asyncio.TaskGroup() as group:
            await bench.create("a", delay=100)
            store.dawdles_at.add("reschedule")
            group.create_task(moved(bench, first))
            await clock.advance(0.01)
            await moved(bench, second)
            await clock.advance(15)
            assert task.called("run") == []
            await clock.advance(10)
            assert task.called("run") == ["a"]
