"""What a claim brings is handed over a little at a time: what is due meanwhile starts on time."""

import asyncio

from later_core.local.runs import Runs
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask


async def test_a_large_claim_is_handed_over_in_many_turns_of_the_loop(running, monkeypatch):
    by_turn, add = [0], Runs.add

    def noted(runs, instance):
        if not by_turn[-1]:
            asyncio.get_running_loop().call_soon(by_turn.append, 0)  # the next turn
        by_turn[-1] += 1
        return add(runs, instance)

    monkeypatch.setattr(Runs, "add", noted)
    clock, task = FakeClock(), RecordingTask()
    async with running(task, clock=clock) as bench:
        ids = [f"{n:03}" for n in range(100)]
        for id in ids:
            await bench.create(id, delay=30)
        await clock.advance(31)
        assert sorted(task.called("run")) == ids
    assert sum(by_turn) == 100
    assert max(by_turn) == 16
