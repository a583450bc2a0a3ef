"""The contract is worth something only if each mistake is caught by the check that is meant for it."""

# ruff: noqa: TID251
# Plugins that do what they must not.

import asyncio
import importlib
import pickle
import queue
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from later_core import Context, PluginSetting, Task, TaskError, hookimpl, parse_parameters
from later_core.testing.contracts import PluginContract


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "Ada"}]})

    name: str
    times: int = 1


class Greet(Task):
    name = "greet"
    description = "Greets."
    parameters_schema: Mapping[str, Any] = Order.model_json_schema()

    async def run(self, context: Context) -> str:
        order = parse_parameters(Order, context.parameters)
        await asyncio.sleep(0)
        return order.name * order.times


class Plugin:
    """A sound one, with the tasks that it is given."""

    def __init__(self, *tasks: Any) -> None:
        self.tasks = tasks

    @hookimpl
    def later_tasks(self) -> Sequence[Any]:
        return self.tasks


def contract(plugin: object, **said: Any) -> PluginContract:
    found = PluginContract()
    for name, value in {"plugin": plugin, "patience": 0.05, **said}.items():
        setattr(found, name, value)
    return found


CHECKS = sorted(name for name in dir(PluginContract) if name.startswith("test_"))
#: For these a plugin must be installed, or be a module.
ON_DISK = {
    "test_it_is_found_by_the_entry_point_of_its_distribution",
    "test_its_import_prints_nothing",
}


@pytest.mark.parametrize("check", [check for check in CHECKS if check not in ON_DISK])
async def test_a_sound_plugin_passes(check: str) -> None:
    await getattr(contract(Plugin(Greet()), patience=30), check)()
    threaded = of_greet(run=lambda self, context: Order.__name__, parameters_schema=None)
    await getattr(contract(threaded, patience=30, examples={"greet": [b"x"]}), check)()


def of_greet(**changed: Any) -> Plugin:
    return Plugin(type("Changed", (Greet,), changed)())


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


class FailsAtItsEnd(Plugin):
    @hookimpl
    def later_lifespan(self) -> Any:
        @asynccontextmanager
        async def opening() -> Any:
            raise OSError("no way in")
            yield

        return opening()


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


def blocking(call: Callable[[], object]) -> Plugin:
    async def run(self: Task, context: Context) -> None:
        parse_parameters(Order, context.parameters)
        call()

    return of_greet(run=run)


def connect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


def fetch() -> None:
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen("http://127.0.0.1:1/", timeout=5)


def wait_in_queue() -> None:
    with pytest.raises(queue.Empty):
        queue.Queue[int]().get(timeout=0.001)


def wait_for_future() -> None:
    loop = asyncio.get_running_loop()
    from concurrent.futures import ThreadPoolExecutor

    assert loop
    with ThreadPoolExecutor() as threads:
        threads.submit(threading.Event().wait, 0.05).result()


HOOKS = "test_its_hooks_and_settings_are_taken"
TASKS = "test_its_tasks_are_taken"
SCHEMA = "test_every_schema_is_a_json_schema"
EXAMPLES = "test_every_example_keeps_to_the_schema"
REFUSES = "test_what_the_schema_refuses_the_task_refuses"
EXPLICIT = "test_what_is_to_be_refused_is_refused"
SUCCEEDS = "test_every_example_succeeds"
AT_ONCE = "test_runs_at_the_same_time_do_not_disturb_each_other"
ON_NODE = "test_on_a_node_every_example_succeeds"
CALLBACKS = "test_its_callbacks_raise_nothing"
ABORT = "test_an_abort_ends_every_run"
BLOCKS = "test_no_run_holds_up_the_event_loop"
EVENTS = "test_every_kind_of_event_is_taken"

BROKEN: list[tuple[object, str, str]] = [
    (MisspeltHook(), HOOKS, "there is no hook later_task; did you mean later_tasks?"),
    (AsyncHook(), HOOKS, "later_tasks is async"),
    (UnknownArgument(), HOOKS, "config"),
    (object(), HOOKS, "implements no hook"),
    (BadSetting(), HOOKS, "'Not-A-Name' is not lower case"),
    (of_greet(name="Not A Name"), TASKS, "'Not A Name' is not lower case"),
    (Plugin(Greet), TASKS, r"the class Greet; return Greet\(\)"),
    (Plugin(Greet(), Greet()), TASKS, "two tasks named 'greet'"),
    (of_greet(permission="No Way"), TASKS, "permission"),
    (of_greet(parameters_schema={"a": {1}}), TASKS, "is not JSON"),
    (TakesACommand(), "test_its_commands_are_taken", "replaces the command 'serve'"),
    (FailsAtItsEnd(), "test_it_begins_and_ends_with_a_server", "no way in"),
    (of_greet(description=""), "test_every_task_says_in_a_line_what_it_does", "not a line"),
    (Plugin(), "test_it_is_found_by_the_entry_point_of_its_distribution", "no entry point"),
    (of_greet(parameters_schema={"type": "text"}), SCHEMA, "is no JSON Schema"),
    (of_greet(parameters_schema={"type": "object"}), EXAMPLES, "has a schema and no example"),
    (
        of_greet(parameters_schema={"type": "object", "required": ["id"], "examples": [{}]}),
        EXAMPLES,
        "'id' is a required property",
    ),
    (of_greet(run=take_anything), REFUSES, "is not refused, though name is wrong"),
    (of_greet(run=refuse_with("no")), REFUSES, "fails as TASK_FAILED, not INVALID_PARAMETERS"),
    (of_greet(run=refuse_with("no", reason="INVALID_PARAMETERS")), REFUSES, "is tried again"),
    (of_greet(run=refuse_with("no", **FINAL)), REFUSES, "refused without the path name"),
    (
        of_greet(run=refuse_with("name, unheard_of_field: {}", **FINAL)),
        REFUSES,
        "the message repeats a value",
    ),
    (of_greet(run=unpickle), "test_parameters_are_never_unpickled", "'greet' unpickles"),
    (of_greet(run=unpickle), SUCCEEDS, "fails: TASK_FAILED: UnpicklingError"),
    (of_greet(run=keep_state), AT_ONCE, "AssertionError"),
    (of_greet(run=refuse_with("no", **FINAL), parameters_schema=None), ON_NODE, "FAILED"),
    (Plugin(RaisesAfterwards()), ON_NODE, "on_success of task 'greet' raised"),
    (Plugin(RaisesAfterwards()), CALLBACKS, "on_success of task 'greet' raised"),
    (Plugin(RaisesInTheEnd()), CALLBACKS, "on_fail of task 'greet' raised"),
    (Plugin(AbortsWhatHasStarted()), CALLBACKS, "on_abort of task 'greet' raised in attempt 0"),
    (of_greet(run=swallow), ABORT, "keeps its CancelledError from getting through"),
    (of_greet(run=outlast), ABORT, "goes on 0.05 s after its abort"),
    (of_greet(run=deaf), ABORT, "it must ask context.is_cancelled"),
    (blocking(lambda: time.sleep(0.001)), BLOCKS, r"in time.sleep \("),
    (blocking(lambda: subprocess.run(["true"], check=True)), BLOCKS, "subprocess.Popen"),
    (blocking(connect), BLOCKS, "in socket."),
    (blocking(fetch), BLOCKS, "in socket."),
    (blocking(wait_in_queue), BLOCKS, "threading.Condition.wait"),
    (blocking(wait_for_future), BLOCKS, "threading.Condition.wait"),
    (FailsAtResync(), EVENTS, "later_on_event raises at RESYNC"),
    (SleepsAtEvents(), EVENTS, "holds up the event loop at CREATED PENDING, in time.sleep"),
]


@pytest.mark.parametrize(("broken", "check", "complaint"), BROKEN)
async def test_a_mistake_is_caught_by_the_check_for_it(
    broken: object, check: str, complaint: str
) -> None:
    RELEASE.clear()
    examples = {"greet": [b"{}"]} if check == ON_NODE and "FAILED" in complaint else {}
    with pytest.raises((AssertionError, ValueError), match=complaint):
        await getattr(contract(broken, examples=examples), check)()
    RELEASE.set()  # so that no thread outlasts the tests


def test_every_check_is_shown_to_be_able_to_fail() -> None:
    shown = {check for _, check, _ in BROKEN} | {EXPLICIT} | ON_DISK
    assert shown == set(CHECKS)


async def test_what_the_author_names_as_refused_must_be_refused() -> None:
    check = contract(Plugin(Greet()), refused={"greet": [('{"times": 2}', "name")]})
    await check.test_what_is_to_be_refused_is_refused()
    check = contract(Plugin(Greet()), refused={"greet": [({"name": "Ada"}, "name")]})
    with pytest.raises(AssertionError, match="is not refused"):
        await check.test_what_is_to_be_refused_is_refused()
    check = contract(Plugin(Greet()), refused={"great": []})
    with pytest.raises(AssertionError, match="tasks that there are not"):
        await check.test_what_is_to_be_refused_is_refused()


class Labelled(Order):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Ada", "labels": {}}]})

    labels: Mapping[str, str]


async def test_the_path_of_a_wrong_field_may_name_the_key_of_a_map() -> None:
    async def run(self: Task, context: Context) -> None:
        parse_parameters(Labelled, context.parameters)

    plugin = of_greet(run=run, parameters_schema=Labelled.model_json_schema())
    await contract(plugin).test_what_the_schema_refuses_the_task_refuses()


async def test_without_what_examples_need_they_are_not_run() -> None:
    with pytest.raises(pytest.skip.Exception, match="runs_examples"):
        await contract(of_greet(run=swallow), runs_examples=False).test_an_abort_ends_every_run()


async def test_waiting_in_a_thread_or_by_the_loop_holds_nothing_up() -> None:
    async def run(self: Task, context: Context) -> None:
        await asyncio.to_thread(time.sleep, 0.001)
        process = await asyncio.create_subprocess_exec("true")
        await process.wait()
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.close()
            await writer.wait_closed()

    check = contract(of_greet(run=run))
    await check.test_no_run_holds_up_the_event_loop()


MODULE = """
from later_core import Task, hookimpl
{line}

class Named(Task):
    name = "echo"
    description = "Takes a name that is taken."

    def run(self, context):
        return None

@hookimpl
def later_tasks():
    return [Named()]
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """A distribution on the path as an installer puts it there; answers its module."""

    def install(line: str = "") -> object:
        (tmp_path / "a_rival.py").write_text(MODULE.format(line=line))
        info = tmp_path / "a_rival-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: a-rival\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[later]\nrival = a_rival\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "a_rival", raising=False)
        importlib.invalidate_caches()
        return importlib.import_module("a_rival")

    return install


async def test_a_name_that_another_installed_plugin_has_is_told(
    install: Callable[..., object],
) -> None:
    check = contract(install())
    with pytest.raises(AssertionError, match="task 'echo' is provided by"):
        await check.test_it_is_found_by_the_entry_point_of_its_distribution()
    await check.test_its_import_prints_nothing()


async def test_an_import_that_prints_is_told(install: Callable[..., object]) -> None:
    check = contract(install("print('loading')"))
    with pytest.raises(AssertionError, match="its import prints"):
        await check.test_its_import_prints_nothing()
