"""What was claimed ahead is begun at its execution time, first thing in a turn of the loop."""

import asyncio
from datetime import timedelta

import pytest

from later_core.app.event_loop import new_event_loop
from later_core.engine.holder import Holder
from later_core.local.database_clock import DatabaseClock
from later_core.local.runs import Run
from later_core.model.instance import Instance
from later_core.ports.turns import turn
from later_core.testing.clock import FakeClock


class Bench:
    def __init__(self, time=None):
        self.clock, self.begun = FakeClock(), []
        self.holder = Holder(
            clock=self.clock,
            database_clock=DatabaseClock(time or self.clock, is_shared=True),
            begin=lambda run: self.begun.append(run.instance.id),
        )

    def hold(self, id, *, seconds):
        now = self.clock.now()
        due = now + timedelta(seconds=seconds)
        run = Run(Instance(id=id, task="t", execution_time=due, create_time=now))
        self.holder.hold(run)
        return run


@pytest.fixture
def bench():
    return Bench()


async def test_each_is_begun_when_it_is_due_and_not_before(bench):
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.holder.run())
        bench.hold("b", seconds=2)
        bench.hold("a", seconds=1)
        await bench.clock.advance(0.999)
        assert bench.begun == []
        await bench.clock.advance(0.001)
        assert bench.begun == ["a"]
        bench.hold("now", seconds=0)
        assert bench.begun == ["a", "now"]
        await bench.clock.advance(1)
        assert bench.begun == ["a", "now", "b"]
        task.cancel()


def test_where_the_loop_tells_of_its_turns_no_timer_is_waited_for():
    async def main():
        time = FakeClock()
        bench = Bench(time)  # whose timers never fire
        async with asyncio.TaskGroup() as group:
            task = group.create_task(bench.holder.run())
            bench.hold("a", seconds=1)
            bench.hold("b", seconds=2)
            await bench.clock.settle()
            assert bench.begun == []
            await time.advance(1.5)
            await turn()
            assert bench.begun == ["a"]
            task.cancel()
        await time.advance(1)
        await turn()
        assert bench.begun == ["a"]  # it holds no longer

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())


async def test_one_that_is_stopped_is_begun_at_once_and_only_once(bench):
    run = bench.hold("a", seconds=1)
    run.let_go()
    assert bench.begun == ["a"]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.holder.run())
        await bench.clock.advance(2)
        task.cancel()
    assert bench.begun == ["a"]
