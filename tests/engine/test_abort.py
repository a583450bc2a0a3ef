"""Abort is exact: what was pending never starts, what runs is cancelled, on_abort is called once."""

import pytest

from later_core.errors import InstanceEnded, InstanceNotFound
from later_core.model.state import State
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask


async def test_an_aborted_pending_instance_never_starts_and_is_called_back_once(running):
    """The ancestor never called the abort callback."""
    task = RecordingTask()
    async with running(task) as bench:
        await bench.create("a", delay=5)
        aborted = await bench.parts.instances.abort("a")
        assert (aborted.before.state, aborted.after.state) == (State.PENDING, State.ABORTED)
        await bench.clock.advance(10)
        assert task.calls == [("on_abort", "a", 0)]


async def test_an_instance_aborted_between_claim_and_start_never_starts(running):
    task = RecordingTask()
    async with running(task) as bench:
        await bench.create("a", delay=5)
        await bench.clock.advance(4.9)
        assert (await bench.get("a")).state is State.RUNNING
        aborted = await bench.parts.instances.abort("a")
        assert aborted.before.state is State.RUNNING
        await bench.clock.advance(10)
        assert task.calls == [("on_abort", "a", 1)]


async def test_an_aborted_run_is_cancelled_called_back_once_and_stays_aborted(running):
    """The ancestor blocked on this and then crashed; a late success wrote an empty record."""
    clock = FakeClock()
    was_cancelled = []

    async def body(context):
        try:
            await clock.sleep(100)
        except BaseException:  # noqa: BLE001 - just what a task must not do
            was_cancelled.append(context.is_cancelled)
            return b"a success after the abort"

    task = RecordingTask(body)
    async with running(task, clock=clock) as bench:
        await bench.create("a", parameters=b"kept")
        await bench.clock.advance(1)
        aborted = await bench.parts.instances.abort("a")
        assert aborted.before.state is State.RUNNING
        await bench.clock.advance(10)
        ended = await bench.get("a")
        assert (ended.state, ended.parameters, ended.result) == (State.ABORTED, b"kept", b"")
        assert was_cancelled == [True]
        assert [call for call, _, _ in task.calls] == ["run", "on_abort"]


async def test_an_ended_instance_cannot_be_aborted(running):
    async with running(RecordingTask()) as bench:
        await bench.create("a")
        await bench.clock.advance(1)
        with pytest.raises(InstanceEnded):
            await bench.parts.instances.abort("a")


async def test_an_unknown_instance_cannot_be_aborted(running):
    async with running(RecordingTask()) as bench:
        with pytest.raises(InstanceNotFound):
            await bench.parts.instances.abort("nobody")


async def test_a_rescheduled_instance_starts_at_its_new_time_only(running):
    task = RecordingTask()
    async with running(task) as bench:
        created = await bench.create("a", delay=5)
        await bench.parts.instances.reschedule(
            "a", execution_time=None, delay=created.execution_time - bench.clock.now(), revision=1
        )
        moved = await bench.parts.instances.reschedule(
            "a", execution_time=bench.clock.now().replace(hour=1), delay=None, revision=None
        )
        await bench.clock.advance(60)
        assert task.calls == []
        until = (moved.execution_time - bench.clock.now()).total_seconds()
        await bench.clock.advance(until + 1)
        assert task.called("run") == ["a"]


async def test_an_instance_brought_forward_starts_early_enough(running):
    task = RecordingTask()
    async with running(task) as bench:
        await bench.create("a", delay=500)
        await bench.parts.instances.reschedule(
            "a", execution_time=bench.clock.now(), delay=None, revision=None
        )
        await bench.clock.advance(1)
        assert task.called("run") == ["a"]


async def test_an_ended_instance_runs_again_when_asked_to(running):
    task = RecordingTask()
    async with running(task) as bench:
        await bench.create("a")
        await bench.clock.advance(1)
        again = await bench.parts.instances.retry("a", execution_time=None, delay=None)
        assert again.state is State.PENDING
        await bench.clock.advance(1)
        assert [call for call in task.calls if call[0] == "run"] == [
            ("run", "a", 1),
            ("run", "a", 2),
        ]
        assert (await bench.get("a")).state is State.SUCCEEDED
