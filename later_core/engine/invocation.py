"""Call what a plugin author wrote, and make a value of whatever comes of it.

A plugin's exception ends here: it becomes an outcome, or a line in the log.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from contextvars import copy_context
from datetime import timedelta
from functools import lru_cache
from typing import Any

import structlog

from later_core.model.instance import InstanceError
from later_core.model.limits import ERROR_MESSAGE_MAX_LENGTH, RESULT_MAX_BYTES
from later_core.model.outcome import Failed, Outcome, Succeeded
from later_core.plugin.context import Context
from later_core.plugin.task import Task, TaskError

_log = structlog.get_logger(__name__)


class Invocation:
    """Calls tasks: ``async def`` on the event loop, plain ``def`` in a bounded thread pool."""

    def __init__(self, threads: Executor) -> None:
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
        try:
            if _is_async(task.run):
                try:
                    began()
                    value: Any = task.run(context)
                    value = await value
                finally:
                    if ended is not None:
                        ended()
            else:
                value = await self._in_thread(task.run, context, began, ended=ended)
        except BaseException as error:
            if _is_ours(error):
                raise
            return _failed(error)
        return _succeeded(value)

    async def callback(self, callback: Callable[..., Any], context: Context, *args: Any) -> None:
        """``on_success``, ``on_fail`` or ``on_abort``; what it raises is logged and changes nothing."""
        if _is_inherited(callback):
            return
        try:
            if _is_async(callback):
                await callback(context, *args)
            else:
                await self._in_thread(callback, context, lambda: None, *args)
        except BaseException as error:
            if _is_ours(error):
                raise
            _log.exception(
                "callback failed",
                callback=getattr(callback, "__name__", repr(callback)),
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
            except StopIteration as error:
                # No future carries this one: before Python 3.12 the attempt would wait for ever.
                raise RuntimeError(f"{call!r} raised StopIteration") from error
            finally:
                if ended is not None:
                    with suppress(RuntimeError):  # the loop is closed, and the process about to end
                        loop.call_soon_threadsafe(ended)

        # What is current here, a span say, is current in the thread too.
        whole = copy_context().run
        value = await loop.run_in_executor(self._threads, whole, body)
        return await value if inspect.isawaitable(value) else value


def _is_async(method: Callable[..., Any]) -> bool:
    return _is_async_function(getattr(method, "__func__", method))


@lru_cache(maxsize=1024)
def _is_async_function(function: Callable[..., Any]) -> bool:
    """Looked at once: it is asked at every attempt."""
    return inspect.iscoroutinefunction(function)


def _is_ours(error: BaseException) -> bool:
    """Whether the error was meant for the node: its own cancellation, or Ctrl-C.

    A plugin may raise CancelledError of its own accord, or await something that was cancelled.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, KeyboardInterrupt | GeneratorExit)


def _is_inherited(callback: Callable[..., Any]) -> bool:
    """Whether it is the empty one of ``Task``: not worth a thread, nor a call."""
    function = getattr(callback, "__func__", None)
    return function is not None and function is getattr(Task, function.__name__, None)


def _failed(error: BaseException) -> Outcome:
    """What the author raised; nothing that is odd about it reaches further than its own instance."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - an author's __str__ may raise anything
        message = "(its text cannot be read)"
    if not isinstance(error, TaskError):
        return Failed(error=_describe("TASK_FAILED", f"{type(error).__name__}: {message}"))
    # What an author gave need not be of the type that was asked for.
    reason: object = error.reason
    result: object = error.result
    retry_after: object = error.retry_after
    return Failed(
        error=_describe(reason if isinstance(reason, str) else "TASK_FAILED", message),
        is_final=bool(error.is_final),
        result=result[:RESULT_MAX_BYTES] if isinstance(result, bytes) else b"",
        retry_after=retry_after if isinstance(retry_after, timedelta) else None,
    )


def _describe(reason: str, message: str) -> InstanceError:
    return InstanceError(reason=_storable(reason), message=_storable(message))


def _storable(text: str) -> str:
    """As much of it as is kept, without lone surrogates: neither the store nor gRPC takes those."""
    return text[:ERROR_MESSAGE_MAX_LENGTH].encode("utf-8", "replace").decode()


def _succeeded(value: object) -> Outcome:
    match value:
        case None:
            return Succeeded()
        case str():
            try:
                result = value.encode()
            except UnicodeEncodeError as error:
                message = f"run returned text that is not UTF-8: {error.reason}"
                return Failed(error=_describe("RESULT_INVALID", message), is_final=True)
        case bytes() | bytearray() | memoryview():
            result = bytes(value)
        case _:
            message = f"run returned {type(value).__name__}; return bytes, str or None"
            return Failed(error=_describe("RESULT_INVALID", message), is_final=True)
    if len(result) > RESULT_MAX_BYTES:
        message = f"the result has {len(result)} bytes, more than {RESULT_MAX_BYTES}: not kept"
        return Succeeded(note=_describe("RESULT_TOO_LARGE", message))
    return Succeeded(result=result)
