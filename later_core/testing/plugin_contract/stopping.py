"""A run gives way: to an abort, and while it waits to everything else on the event loop."""

from __future__ import annotations

import asyncio
import inspect

from later_core.engine.invocation import Invocation
from later_core.engine.shares import Shares
from later_core.model.outcome import Outcome
from later_core.plugin.context import Context
from later_core.plugin.task import Task
from later_core.ports.clock import SystemClock
from later_core.testing.plugin_contract.blocking import blocking_calls
from later_core.testing.plugin_contract.subject import Subject, said
from later_core.testing.tasks import a_context, run_task

#: After so many turns of the event loop a run is aborted: at its first wait, and a little later.
_TURNS = (1, 3, 10)


class StoppingContract(Subject):
    """For what is ``async def``, and for what runs in a thread."""

    async def test_an_abort_ends_every_run(self) -> None:
        async with self.installed() as catalog:
            for task, parameters in self.runs(catalog):
                is_async = inspect.iscoroutinefunction(task.run)
                for turns in _TURNS if is_async else _TURNS[:1]:
                    abort = _abort_on_loop if is_async else _abort_in_thread
                    complaint = await abort(task, a_context(task, parameters), turns, self.patience)
                    assert not complaint, f"{said(task, parameters)}: {complaint}"

    async def test_no_run_holds_up_the_event_loop(self) -> None:
        async with self.installed() as catalog:
            for task, parameters in self.runs(catalog):
                if inspect.iscoroutinefunction(task.run):
                    with blocking_calls() as seen:
                        async with asyncio.timeout(self.patience):
                            await run_task(task, parameters)
                    assert not seen, (
                        f"{said(task, parameters)} waits without giving way, in {seen[0]}: await it,"
                        " or make run a plain def, which has a thread"
                    )


async def _abort_on_loop(task: Task, context: Context, turns: int, patience: float) -> str:
    ended = asyncio.Event()
    with Shares(limit=1) as threads:
        attempt = asyncio.get_running_loop().create_task(
            Invocation(threads).run(task, context, lambda: None)
        )
        attempt.add_done_callback(lambda _: ended.set())
        await _turn(turns)
        if attempt.done():
            return ""
        context.cancel()
        attempt.cancel()
        if not await SystemClock().wait(ended, patience):
            attempt.cancel()  # some are told twice; whatever comes of it, it has been too long
            return f"it goes on {patience:g} s after its abort"
    if attempt.cancelled():
        return ""
    return f"it keeps its CancelledError from getting through, and ends as {_outcome(attempt)}"


async def _abort_in_thread(task: Task, context: Context, _: int, patience: float) -> str:
    began, ended = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def begin() -> None:
        loop.call_soon_threadsafe(began.set)

    with Shares(limit=1) as threads:
        attempt = loop.create_task(Invocation(threads).run(task, context, begin, ended.set))
        await began.wait()
        context.cancel()
        if task.run_in == "process":
            attempt.cancel()  # which kills it, whatever it does
        has_ended = await SystemClock().wait(ended, patience)
        attempt.cancel()
        return (
            ""
            if has_ended
            else (
                f"it goes on {patience:g} s after its abort: it must ask context.is_cancelled now and then"
            )
        )


async def _turn(turns: int) -> None:
    for _ in range(turns):
        await SystemClock().sleep(0)


def _outcome(attempt: asyncio.Task[Outcome]) -> object:
    error = attempt.exception()
    return error if error is not None else type(attempt.result()).__name__
