"""A claim that was given up may still arrive, when everything lost has been handed back."""

from later_core.errors import StoreUnavailable
from later_core.model.state import State
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask


class Stalling(MemoryStore):
    """Its first claim stalls: the caller is told that there is no answer, and it arrives with the next."""

    claims = 0

    async def claim(self, ids, *, node, until):
        self.claims += 1
        if self.claims == 1:
            raise StoreUnavailable("no answer to the claim")
        if self.claims == 2:
            await super().claim(ids, node=node, until=until)
        return await super().claim(ids, node=node, until=until)


async def test_what_a_late_claim_takes_runs_all_the_same(running):
    clock = FakeClock()
    store = Stalling(clock=clock)
    task = RecordingTask()
    async with running(task, store=store, clock=clock) as bench:
        await bench.create("a")
        await clock.advance(10)
        assert task.called("run") == ["a"]
        assert (await bench.get("a")).state is State.SUCCEEDED
