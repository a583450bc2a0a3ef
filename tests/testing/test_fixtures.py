"""The fixture that plugin authors have without configuring anything."""

from datetime import timedelta

import pytest

from later_core import Context, Event, PluginSetting, Task, hookimpl
from later_core.model.instance import NewInstance
from later_core.model.state import State
from later_core.testing.node import StartNode


class Noting(Task):
    name = "noting"

    async def run(self, context: Context) -> str:
        return "noted"


class Plugin:
    def __init__(self) -> None:
        self.told: list[str] = []
        self.given: object = None

    @hookimpl
    def later_settings(self) -> list[PluginSetting]:
        return [PluginSetting(name="noting_volume", default=1, description="How loud.")]

    @hookimpl
    def later_tasks(self, settings: dict[str, object]) -> list[Task]:
        self.given = settings["noting_volume"]
        return [Noting()]

    @hookimpl
    def later_on_event(self, event: Event) -> None:
        assert event.instance
        self.told.append(event.instance.state.value)


async def test_a_plugin_brings_its_tasks_its_settings_and_its_ear(node: StartNode) -> None:
    plugin = Plugin()
    async with node(plugin=plugin, plugin_settings={"noting_volume": 11}) as later:
        order = NewInstance(task="noting", delay=timedelta(days=30))
        created = await later.instances.create(order)
        await later.travel(timedelta(days=31))
        ended = await later.instances.get(created.id)
    assert (ended.state, ended.result) == (State.SUCCEEDED, b"noted")
    assert plugin.told == ["PENDING", "RUNNING", "SUCCEEDED"]
    assert plugin.given == 11


async def test_a_plugin_that_no_server_would_use_is_refused_with_the_reason(
    node: StartNode,
) -> None:
    with pytest.raises(ValueError, match="implements no hook"):
        async with node(plugin=object()):
            pass
    with pytest.raises(ValueError, match="no such setting of the plugin: volume"):
        async with node(plugin=Plugin(), plugin_settings={"volume": 1}):
            pass
