"""Plugins that do what they must not."""

# ruff: noqa: TID251 -- they do it on purpose

import asyncio
import pickle
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pydantic import ConfigDict

from later_core import Context, PluginSetting, Task, TaskError, hookimpl, parse_parameters
from later_core.model.limits import RESULT_MAX_BYTES
from tests.testing.plugin_contract.sound import Greet, Order, Plugin


class MisspeltHook:
    @hookimpl
    def later_task(self) -> Sequence[Task]:
        return []


class AsyncHook:
    @hookimpl
    async def later_tasks(self) -> Sequence[Task]:
        return []


class UnknownArgument:
    @hookimpl
    def later_tasks(self, config: object) -> Sequence[Task]:
        return []


class BadSetting(Plugin):
    @hookimpl
    def later_settings(self) -> Sequence[PluginSetting]:
        return [PluginSetting(name="Not-A-Name", default=1, description="")]


class TakesACommand(Plugin):
    @hookimpl
    def later_cli(self, group: Any) -> None:
        group.commands["serve"] = group.command()(lambda: None)


class FailsAtItsBeginning(Plugin):
    @hookimpl
    @asynccontextmanager
    async def later_lifespan(self) -> Any:
        raise OSError("no way in")
        yield


class FailsAtItsEnd(Plugin):
    @hookimpl
    @asynccontextmanager
    async def later_lifespan(self) -> Any:
        yield
        raise OSError("no way out")


class NeverEnds(Plugin):
    @hookimpl
    @asynccontextmanager
    async def later_lifespan(self) -> Any:
        yield
        await asyncio.Event().wait()


class FailsAtResync(Plugin):
    @hookimpl
    def later_on_event(self, event: Any) -> None:
        assert event.instance.id


class SleepsAtEvents(Plugin):
    @hookimpl
    def later_on_event(self) -> None:
        time.sleep(0.001)


async def swallow(self: Task, context: Context) -> str:
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        return "as if nothing had happened"
    return ""


async def outlast(self: Task, context: Context) -> None:
    until = asyncio.get_running_loop().time() + 0.3
    while asyncio.get_running_loop().time() < until:
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            continue


async def replace(self: Task, context: Context) -> None:
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        raise OSError("as if something else had happened") from None


async def swallow_later(self: Task, context: Context) -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await swallow(self, context)


async def wait_for_ever(self: Task, context: Context) -> None:
    await asyncio.Event().wait()


async def say_too_much(self: Task, context: Context) -> bytes:
    return bytes(RESULT_MAX_BYTES + 1)


def deaf(self: Task, context: Context) -> None:
    RELEASE.wait(30)


RELEASE = threading.Event()


async def keep_state(self: Any, context: Context) -> None:
    assert not getattr(self, "busy", False)
    self.busy = True
    await asyncio.sleep(0)
    self.busy = False


async def unpickle(self: Task, context: Context) -> None:
    pickle.loads(context.parameters)


async def take_anything(self: Task, context: Context) -> None:
    context.json()


async def ask_only_whether_it_is_there(self: Task, context: Context) -> None:
    if "name" not in context.json():
        raise TaskError("name: there is none", **FINAL)


async def ignore_the_unknown(self: Task, context: Context) -> None:
    parse_parameters(Lenient, context.parameters)


class Lenient(Order):
    model_config = ConfigDict(extra="ignore")


def refuse_with(message: str, **options: Any) -> Callable[..., Any]:
    async def run(self: Task, context: Context) -> None:
        try:
            Order.model_validate_json(context.parameters)
        except ValueError:
            raise TaskError(message.format(context.parameters.decode()), **options) from None

    return run


FINAL: dict[str, Any] = {"reason": "INVALID_PARAMETERS", "is_final": True}


class RaisesAfterwards(Greet):
    async def on_success(self, context: Context, result: bytes) -> None:
        raise KeyError("there was none")


class RaisesInTheEnd(Greet):
    def on_fail(self, context: Context, error: object) -> None:
        raise KeyError("there was none")


class AbortsWhatHasStarted(Greet):
    async def on_abort(self, context: Context) -> None:
        assert context.attempt
