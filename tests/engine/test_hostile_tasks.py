"""Whatever a plugin's code does becomes an outcome of its own instance, and harms no other."""

import asyncio
import functools

import pytest
from structlog.testing import capture_logs

from later_core.model.state import State
from later_core.plugin.task import Task, TaskError
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


async def _text_that_is_not_utf8(_context):
    return "\ud800"


async def _unspeakable(_context):
    raise Unspeakable


async def _result_that_is_none(_context):
    raise TaskError("broken", result=None)  # type: ignore[arg-type]  # that is what is hostile


async def _reason_that_is_none(_context):
    raise TaskError("broken", reason=None)  # type: ignore[arg-type]  # that is what is hostile


async def _message_that_is_not_utf8(_context):
    raise ValueError("\udcff")


@pytest.mark.parametrize(
    "body",
    [
        _text_that_is_not_utf8,
        _unspeakable,
        _result_that_is_none,
        _reason_that_is_none,
        _message_that_is_not_utf8,
    ],
)
async def test_what_cannot_be_kept_fails_its_own_attempt_alone(running, body):
    bad, good = RecordingTask(body, name="bad"), RecordingTask()
    async with running(bad, good) as bench:
        await bench.create("b", task="bad")
        await bench.create("g")
        await bench.clock.advance(1)
        ended = await bench.get("b")
        assert ended.state is State.FAILED
        assert ended.error is not None
        assert isinstance(ended.error.reason, str)
        assert ended.error.message.encode()
        assert (await bench.get("g")).state is State.SUCCEEDED
        assert bad.called("on_fail") == ["b"]


async def test_stop_iteration_from_a_plain_function_ends_the_attempt(running):
    """asyncio cannot carry it from a thread: before Python 3.12 the attempt would wait for ever."""

    class Empty(Task):
        name = "empty"

        def run(self, context):
            return next(iter([]))

    async with running(Empty()) as bench:
        await bench.create("a", task="empty")
        async with asyncio.timeout(5):
            while (ended := await bench.get("a")).state is not State.FAILED:
                await bench.clock.advance(0.1)
        assert ended.error is not None
        assert "StopIteration" in ended.error.message


async def test_a_callback_without_a_name_that_raises_harms_nobody(running):
    def fail(context, result):
        raise ValueError("broken")

    task = RecordingTask()
    task.on_success = functools.partial(fail)  # type: ignore[method-assign]  # that is what is hostile
    async with running(task) as bench:
        await bench.create("a")
        await bench.clock.advance(1)
        await bench.create("b")
        await bench.clock.advance(1)
        assert (await bench.get("b")).state is State.SUCCEEDED


async def test_a_timeout_does_not_reach_into_the_callback(running):
    clock = FakeClock()
    seen = []

    class Slow(RecordingTask):
        async def on_success(self, context, result):
            await clock.sleep(5)
            seen.append(context.is_cancelled)

    from datetime import timedelta

    async with running(Slow(), clock=clock) as bench:
        await bench.create("a", timeout=timedelta(seconds=2))
        await clock.advance(10)
        assert seen == [False]


@pytest.mark.parametrize("error", [GeneratorExit, KeyboardInterrupt, SystemExit, BaseException])
@pytest.mark.parametrize("is_async", [True, False])
async def test_an_error_that_python_means_for_itself_fails_the_attempt_alone(
    running, error, is_async
):
    class Odd(Task):
        name = "odd"

        async def later(self, context):
            raise error

        def now(self, context):
            raise error

        run = later if is_async else now
        on_fail = lambda self, context, _: self.run(context)  # noqa: E731 -- raises it once more

    with capture_logs() as lines:
        async with running(Odd(), RecordingTask()) as bench:
            await bench.create("odd", task="odd")
            await bench.create("good", delay=1)
            async with asyncio.timeout(30):
                # Threads take real time, which the fake clock does not wait for.
                while not any(line["event"] == "callback failed" for line in lines):
                    await bench.clock.advance(0.1)
            assert (await bench.get("odd")).state is State.FAILED
            await bench.clock.advance(2)
            assert (await bench.get("good")).state is State.SUCCEEDED
