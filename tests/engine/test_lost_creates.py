"""Several nodes, and a create that landed but was not answered: its owner leaves it to the creator."""

import pytest

from later_core.errors import StoreUnavailable
from later_core.model.instance import NewInstance
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask


class Unanswered(MemoryStore):
    """The same store seen through a line that loses the answers to inserts."""

    def __init__(self, store, *, clock):
        super().__init__(clock=clock)
        self.__dict__.update(store.__dict__)
        self.loses_answers = False

    async def insert(self, instances):
        answer = await super().insert(instances)
        if self.loses_answers:
            raise StoreUnavailable("the answer was lost")
        return answer


@pytest.mark.parametrize("count", [1, 20])
async def test_what_is_due_at_once_runs_although_its_create_was_not_answered(running, count):
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    lossy = Unanswered(store, clock=clock)
    tasks = RecordingTask(), RecordingTask()
    async with (
        running(tasks[0], store=store, clock=clock),
        running(tasks[1], store=lossy, clock=clock) as bench,
    ):
        await clock.advance(5)
        lossy.loses_answers = True
        ids = [f"i{number}" for number in range(20)]
        requests = [NewInstance(id=id, task="record") for id in ids]
        instances = bench.parts.instances
        for first in range(0, 20, count):
            asked = requests[first : first + count]
            with pytest.raises(StoreUnavailable):
                await (instances.create(*asked) if count == 1 else instances.create_many(asked))
        lossy.loses_answers = False
        await clock.advance(3)
        assert sorted(tasks[0].called("run") + tasks[1].called("run")) == sorted(ids)
