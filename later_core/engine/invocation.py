"""Call what a plugin author wrote, and make a value of whatever comes of it.

A plugin's exception ends here: it becomes an outcome, or a line in the log.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import lru_cache
from typing import Any

import structlog

from later_core.engine.judgement import judge_error, judge_result, name_of
from later_core.engine.processes import run_in_process
from later_core.engine.shares import Shares
from later_core.model.outcome import Outcome
from later_core.plugin.context import Context
from later_core.plugin.task import Task

_log = structlog.get_logger(__name__)


class Invocation:
    """Calls tasks: ``async def`` on the event loop, plain ``def`` in a thread of the task's share, or in a
    process of its own.
    """

    def __init__(self, threads: Shares) -> None:
        self._threads = threads

    async def run(
        self,
        task: Task,
        context: Context,
        began: Callable[[], None],
        ended: Callable[[], None] | None = None,
    ) -> Outcome:
        """One attempt. ``began`` is called in the moment before the task's code begins, ``ended`` on
        the event loop once it has come to its end: later than the attempt, if it runs in a thread and
        the attempt was given up.

        Only the attempt's own cancellation passes; every other exception is an outcome.
        """
        attempt = asyncio.current_task()
        try:
            if _is_async(task.run):
                try:
                    began()
                    value: Any = task.run(context)
                    value = await value
                finally:
                    if ended is not None:
                        ended()
            elif task.run_in == "process":
                try:
                    return await run_in_process(task, context, began)
                finally:
                    if ended is not None:
                        ended()
            else:
                value = await self._in_thread(task.run, context, began, ended=ended)
        except BaseException as error:
            if _is_ours(error, attempt):
                raise
            return judge_error(error)
        return judge_result(value)

    async def callback(self, callback: Callable[..., Any], context: Context, *args: Any) -> None:
        """``on_success``, ``on_fail`` or ``on_abort``; what it raises is logged and changes nothing."""
        if _is_inherited(callback):
            return
        attempt = asyncio.current_task()
        try:
            if _is_async(callback):
                await callback(context, *args)
            else:
                await self._in_thread(callback, context, lambda: None, *args)
        except BaseException as error:
            if _is_ours(error, attempt):
                raise
            _log.exception(
                "callback failed",
                callback=getattr(callback, "__name__", name_of(callback)),
                task=context.instance.task,
                instance=context.instance.id,
                attempt=context.attempt,
            )

    async def _in_thread(
        self,
        call: Callable[..., Any],
        context: Context,
        began: Callable[[], None],
        *args: Any,
        ended: Callable[[], None] | None = None,
    ) -> Any:
        loop = asyncio.get_running_loop()

        def body() -> Any:
            try:
                began()
                return call(context, *args)
            except (StopIteration, GeneratorExit) as error:
                # No future carries the one: before Python 3.12 the attempt would wait for ever. The
                # other would close whatever awaits it, the attempt too.
                raise RuntimeError(f"{call!r} raised {name_of(error)}") from error
            finally:
                if ended is not None:
                    with suppress(RuntimeError):  # the loop is closed, and the process about to end
                        loop.call_soon_threadsafe(ended)

        # What is current here, a span say, is current in the thread too.
        whole = copy_context().run
        share = self._threads.of(context.instance.task)
        value = await loop.run_in_executor(share, whole, body)
        return await value if inspect.isawaitable(value) else value


def _is_async(method: Callable[..., Any]) -> bool:
    return _is_async_function(getattr(method, "__func__", method))


@lru_cache(maxsize=1024)
def _is_async_function(function: Callable[..., Any]) -> bool:
    """Looked at once: it is asked at every attempt."""
    return inspect.iscoroutinefunction(function)


def _is_ours(error: BaseException, attempt: asyncio.Task[Any] | None) -> bool:
    """Whether the error was meant for the attempt: its cancellation, or its end with the event loop.

    A plugin may raise CancelledError of its own accord, or await something that was cancelled; it may
    raise GeneratorExit, which comes from elsewhere only while the attempt itself does not run; and
    KeyboardInterrupt, which a server never gets: its signals are events of the loop.
    """
    if isinstance(error, asyncio.CancelledError):
        return attempt is not None and attempt.cancelling() > 0
    return isinstance(error, GeneratorExit) and not _is_running(attempt)


def _is_running(attempt: asyncio.Task[Any] | None) -> bool:
    try:
        return attempt is not None and asyncio.current_task() is attempt
    except RuntimeError:  # there is no loop any more
        return False


def _is_inherited(callback: Callable[..., Any]) -> bool:
    """Whether it is the empty one of ``Task``: not worth a thread, nor a call."""
    function = getattr(callback, "__func__", None)
    return function is not None and function is getattr(Task, function.__name__, None)
