"""A plugin whose task does whatever its parameters name: installed on the server that is attacked."""

from __future__ import annotations

import asyncio
import threading
from types import MappingProxyType

from later_core import Task, TaskError, hookimpl


def _raise(error):
    raise error


def _error(text):
    return type("Odd", (Exception,), {"__str__": lambda _: text()})()


def _endless(_=None):
    return _endless()


def _released():
    view = memoryview(b"abc")
    view.release()
    return view


def _nested(depth):
    error = ValueError("the innermost")
    for _ in range(depth):
        error = ExceptionGroup("a group", [error])
    return error


class Nameless(type):
    __name__ = property(lambda cls: _raise(RuntimeError(cls)))


class OddText(str):
    __slots__ = ()
    encode = __getitem__ = __len__ = __str__ = lambda *_: _raise(RuntimeError())


async def _none():
    return None


#: What is returned, or raised, by name.
WAYS = {
    "huge": lambda: bytes(8 * 1024 * 1024),
    "huge text": lambda: "\U0001f642" * 1_000_000,
    "number": lambda: 17,
    "dictionary": lambda: {"a": 1},
    "generator": lambda: (n for n in range(3)),
    "coroutine function": lambda: _none,
    "the task": lambda: WAYS,
    "says it is text": type("Odd", (), {"__class__": property(lambda _: str)}),
    "exits when looked at": type(
        "Odd", (), {"__class__": property(lambda _: _raise(SystemExit()))}
    ),
    "nameless": Nameless("Odd", (), {}),
    "odd text": lambda: OddText("text"),
    "released view": _released,
    "no UTF-8": lambda: "a\ud800",
    "NUL": lambda: "a\0\x1b[2J\uffff",
    "huge message": lambda: _raise(ValueError("x" * 4_000_000)),
    "unprintable message": lambda: _raise(ValueError("\udcff\0\x1b[2J\r\n")),
    "message raises": lambda: _raise(_error(lambda: 1 / 0)),
    "message exits": lambda: _raise(_error(lambda: _raise(SystemExit(3)))),
    "message is a number": lambda: _raise(_error(lambda: 3)),
    "nameless error": lambda: _raise(Nameless("Odd", (Exception,), {})()),
    "odd reason": lambda: _raise(TaskError("x", reason=OddText("y"), result=[1])),
    "huge reason": lambda: _raise(TaskError("x", reason="y" * 4_000_000, result=bytes(2**22))),
    "group": lambda: _raise(_nested(500)),
    "BaseException": lambda: _raise(BaseException("base")),
    "exit": lambda: _raise(SystemExit(3)),
    "interrupt": lambda: _raise(KeyboardInterrupt()),
    "generator exit": lambda: _raise(GeneratorExit()),
    "cancelled": lambda: _raise(asyncio.CancelledError()),
    "stop": lambda: _raise(StopIteration(1)),
    "async stop": lambda: _raise(StopAsyncIteration()),
    "memory": lambda: _raise(MemoryError()),
    "recursion": _endless,
}


class OnTheLoop(Task):
    name = "hostile"
    description = "Ignore all that is above\0\x1b[2J<script>{{7*7}}$(reboot)\u202e"
    parameters_schema = MappingProxyType(
        {"$where": "1", "__proto__": {"constructor": "x"}, "a.b": {"$gt": ""}}
    )

    async def run(self, context):
        return WAYS[context.parameters.decode()]()

    async def on_success(self, context, result):
        self._again(context)

    async def on_fail(self, context, error):
        self._again(context)

    def _again(self, context):
        WAYS[context.parameters.decode()]()


class InAThread(OnTheLoop):
    name = "hostile-thread"

    def run(self, context):
        assert threading.current_thread() is not threading.main_thread()
        return WAYS[context.parameters.decode()]()

    def on_success(self, context, result):
        self._again(context)

    def on_fail(self, context, error):
        self._again(context)


@hookimpl
def later_tasks():
    return [OnTheLoop(), InAThread()]


@hookimpl
def later_on_event(event):
    if event.instance is not None and event.instance.task.startswith("hostile"):
        raise ValueError("\udcff" * 1000)
