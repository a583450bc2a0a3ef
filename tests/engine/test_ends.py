"""How attempts end: failure, retry, timeout, odd results, callbacks that raise."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from later_core.model.limits import RESULT_MAX_BYTES
from later_core.model.retry import RetryPolicy
from later_core.model.state import State
from later_core.plugin.task import Task, TaskError
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask


async def _fail(_context):
    raise ValueError("broken")


async def test_a_failure_keeps_its_error_and_is_called_back_once(running):
    task = RecordingTask(_fail)
    async with running(task) as bench:
        await bench.create("a")
        await bench.clock.advance(1)
        ended = await bench.get("a")
        assert ended.state is State.FAILED
        assert ended.error is not None
        assert (ended.error.reason, ended.error.message) == ("TASK_FAILED", "ValueError: broken")
        assert [call for call, _, _ in task.calls] == ["run", "on_fail"]


async def test_failed_attempts_are_retried_with_growing_pauses_and_end_failed(running):
    task = RecordingTask(_fail)
    policy = RetryPolicy(max_attempts=3, min_backoff=timedelta(seconds=10), multiplier=3, jitter=0)
    async with running(task) as bench:
        await bench.create("a", retry=policy)
        await bench.clock.advance(1)
        waiting = await bench.get("a")
        assert (waiting.state, waiting.attempt) == (State.PENDING, 1)
        assert waiting.error is not None
        await bench.clock.advance(10)
        assert task.called("run") == ["a", "a"]
        await bench.clock.advance(28)
        assert task.called("run") == ["a", "a"]
        await bench.clock.advance(4)
        assert task.called("run") == ["a", "a", "a"]
        ended = await bench.get("a")
        assert (ended.state, ended.attempt) == (State.FAILED, 3)
        assert task.called("on_fail") == ["a"]


async def test_a_reason_that_the_policy_calls_final_is_not_tried_again(running):
    async def gone(_context):
        raise TaskError("nothing there", reason="GONE")

    policy = RetryPolicy(max_attempts=3, final_reasons=("GONE",))
    async with running(RecordingTask(gone)) as bench:
        await bench.create("final", retry=policy)
        await bench.create("other", retry=RetryPolicy(max_attempts=3, final_reasons=("REFUSED",)))
        await bench.clock.advance(0.5)
        final, other = await bench.get("final"), await bench.get("other")
    assert (final.state, final.attempt) == (State.FAILED, 1)
    assert (other.state, other.attempt) == (State.PENDING, 1)


async def test_a_timeout_is_final_where_the_policy_says_so(running):
    async def sleeps(_context):
        await asyncio.Event().wait()

    policy = RetryPolicy(max_attempts=3, final_reasons=("TIMEOUT",))
    async with running(RecordingTask(sleeps)) as bench:
        await bench.create("a", retry=policy, timeout=timedelta(seconds=1))
        await bench.clock.advance(3)
        ended = await bench.get("a")
    assert (ended.state, ended.attempt) == (State.FAILED, 1)


async def test_what_failed_together_is_not_tried_again_together(running):
    task = RecordingTask(_fail)
    longest = timedelta(seconds=10)
    policy = RetryPolicy(max_attempts=2, min_backoff=longest, max_backoff=longest, jitter=0.5)
    ids = [f"i{number}" for number in range(20)]
    async with running(task) as bench:
        for id in ids:
            await bench.create(id, retry=policy)
        await bench.clock.advance(1)
        began = bench.clock.now()
        waits = [(await bench.get(id)).execution_time - began for id in ids]
        assert all(longest / 2 - timedelta(seconds=1) <= wait <= longest for wait in waits)
        assert len(set(waits)) > 15
        assert max(waits) - min(waits) > longest / 4
        await bench.clock.advance(11)
        assert Counter(task.called("run")) == dict.fromkeys(ids, 2)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        (timedelta(seconds=40), 40),
        (timedelta(seconds=1), 10),
        (timedelta(days=9), 60),
        ("soon", 10),
        (None, 10),
    ],
)
async def test_a_retry_comes_no_sooner_than_the_other_side_wants(running, retry_after, seconds):
    async def fail(_context):
        raise TaskError("busy", retry_after=retry_after)

    policy = RetryPolicy(
        max_attempts=2,
        min_backoff=timedelta(seconds=10),
        max_backoff=timedelta(seconds=60),
        jitter=0,
    )
    async with running(RecordingTask(fail)) as bench:
        created = await bench.create("a", retry=policy)
        await bench.clock.advance(1)
        waiting = await bench.get("a")
        assert waiting.state is State.PENDING
        wait = (waiting.execution_time - created.execution_time).total_seconds()
        assert seconds <= wait < seconds + 1


async def test_a_final_failure_is_not_retried(running):
    async def body(_context):
        raise TaskError("no such account", reason="NO_ACCOUNT", is_final=True, result=b"report")

    task = RecordingTask(body)
    async with running(task) as bench:
        await bench.create("a", retry=RetryPolicy(max_attempts=5))
        await bench.clock.advance(100)
        ended = await bench.get("a")
        assert (ended.state, ended.attempt, ended.result) == (State.FAILED, 1, b"report")
        assert ended.error is not None
        assert ended.error.reason == "NO_ACCOUNT"


async def test_an_attempt_over_its_timeout_is_cancelled_and_fails(running):
    clock = FakeClock()
    cancelled = []

    async def body(context):
        try:
            await clock.sleep(100)
        finally:
            cancelled.append(context.is_cancelled)

    async with running(RecordingTask(body), clock=clock) as bench:
        await bench.create("a", timeout=timedelta(seconds=3))
        await bench.clock.advance(4)
        ended = await bench.get("a")
        assert ended.state is State.FAILED
        assert ended.error is not None
        assert ended.error.reason == "TIMEOUT"
        assert cancelled == [True]


async def test_code_that_swallows_its_cancellation_does_not_thereby_succeed(running):
    clock = FakeClock()

    async def body(_context):
        try:
            await clock.sleep(100)
        except BaseException:  # noqa: BLE001 - just what a task must not do
            return b"I carry on"

    async with running(RecordingTask(body), clock=clock) as bench:
        await bench.create("a", timeout=timedelta(seconds=3))
        await bench.clock.advance(4)
        ended = await bench.get("a")
        assert ended.error is not None
        assert (ended.state, ended.error.reason) == (State.FAILED, "TIMEOUT")


@pytest.mark.parametrize(
    ("value", "state", "result"),
    [
        (None, State.SUCCEEDED, b""),
        ("grün", State.SUCCEEDED, "grün".encode()),
        (b"x" * RESULT_MAX_BYTES, State.SUCCEEDED, b"x" * RESULT_MAX_BYTES),
        (17, State.FAILED, b""),
    ],
)
async def test_what_run_returns_becomes_the_result(running, value, state, result):
    async def body(_context):
        return value

    async with running(RecordingTask(body)) as bench:
        await bench.create("a")
        await bench.clock.advance(1)
        ended = await bench.get("a")
        assert (ended.state, ended.result) == (state, result)


async def test_a_result_over_the_limit_is_not_kept_and_that_is_said(running):
    async def body(_context):
        return b"x" * (RESULT_MAX_BYTES + 1)

    async with running(RecordingTask(body)) as bench:
        await bench.create("a")
        await bench.clock.advance(1)
        ended = await bench.get("a")
        assert (ended.state, ended.result) == (State.SUCCEEDED, b"")
        assert ended.error is not None
        assert ended.error.reason == "RESULT_TOO_LARGE"


async def test_a_callback_that_raises_changes_no_outcome(running):
    class Rude(RecordingTask):
        async def on_success(self, context, result):
            raise RuntimeError("rude")

    async with running(Rude()) as bench:
        await bench.create("a")
        await bench.clock.advance(1)
        assert (await bench.get("a")).state is State.SUCCEEDED
        await bench.create("b")
        await bench.clock.advance(1)
        assert (await bench.get("b")).state is State.SUCCEEDED


async def test_code_that_calls_exit_fails_its_attempt_and_nothing_else(running):
    async def body(_context):
        raise SystemExit(3)

    async with running(RecordingTask(body)) as bench:
        await bench.create("a")
        await bench.clock.advance(1)
        assert (await bench.get("a")).state is State.FAILED


async def test_a_plain_function_runs_in_a_thread_and_keeps_its_result(running):
    class Plain(Task):
        name = "record"

        def run(self, context):
            return context.json()["word"]

    async with running(Plain()) as bench:
        await bench.create("a", parameters=b'{"word": "done"}')
        for _ in range(2000):
            await bench.clock.advance(0.01)
            if (await bench.get("a")).state.is_final:
                break
        ended = await bench.get("a")
        assert (ended.state, ended.result) == (State.SUCCEEDED, b"done")


async def test_the_start_of_a_run_that_lasts_is_visible_while_it_runs(running):
    clock = FakeClock()

    async def body(_context):
        await clock.sleep(60)

    async with running(RecordingTask(body), clock=clock) as bench:
        await bench.create("a")
        await bench.clock.advance(5)
        at_work = await bench.get("a")
        assert at_work.state is State.RUNNING
        assert at_work.start_time is not None
        await bench.clock.advance(60)
        ended = await bench.get("a")
        assert ended.start_time == at_work.start_time


class _Odd(BaseException):
    """What no well-behaved code raises."""


@pytest.mark.parametrize("raised", [asyncio.CancelledError, _Odd, SystemExit, ExceptionGroup])
async def test_whatever_a_task_raises_fails_its_attempt_and_nothing_else(running, raised):
    async def body(_context):
        raise raised("odd", [ValueError()]) if raised is ExceptionGroup else raised("odd")

    async with running(RecordingTask(body), RecordingTask(name="fine")) as bench:
        await bench.create("a")
        await bench.clock.advance(1)
        assert (await bench.get("a")).state is State.FAILED
        await bench.create("b", task="fine")
        await bench.clock.advance(1)
        assert (await bench.get("b")).state is State.SUCCEEDED
