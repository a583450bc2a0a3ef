"""A write whose answer was lost is not forgotten until the next pull: it runs at once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from later_core.errors import StoreUnavailable
from later_core.model.instance import Instance, NewInstance
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask


class Forgetful(MemoryStore):
    """Does what it is told, and from a moment on its answers are lost."""

    loses_answers = False

    async def insert(self, instances: Sequence[Instance]) -> Any:
        return self._told(await super().insert(instances))

    async def reschedule(
        self, id: str, execution_time: datetime, *, revision: int | None
    ) -> Instance:
        return self._told(await super().reschedule(id, execution_time, revision=revision))

    async def retry(self, id: str, execution_time: datetime) -> Instance:
        return self._told(await super().retry(id, execution_time))

    def _told(self, answer: Any) -> Any:
        if self.loses_answers:
            raise StoreUnavailable("the answer was lost")
        return answer


@pytest.mark.parametrize("way", ["create", "create_many", "reschedule", "retry"])
async def test_what_was_written_without_an_answer_runs_soon(running, way):
    clock = FakeClock()
    store = Forgetful(clock=clock)
    task = RecordingTask()
    async with running(task, store=store, clock=clock) as bench:
        if way == "reschedule":
            await bench.create("a", delay=3600)
        elif way == "retry":
            await bench.create("a")
            await clock.advance(1)
            task.calls.clear()
        instances, request = bench.parts.instances, NewInstance(id="a", task="record")
        now = {"execution_time": None, "delay": None}
        writes = {
            "create": lambda: instances.create(request),
            "create_many": lambda: instances.create_many([request]),
            "reschedule": lambda: instances.reschedule("a", **now, revision=None),
            "retry": lambda: instances.retry("a", **now),
        }
        store.loses_answers = True
        with pytest.raises(StoreUnavailable):
            await writes[way]()
        store.loses_answers = False
        await clock.advance(3)
        assert task.called("run") == ["a"]
