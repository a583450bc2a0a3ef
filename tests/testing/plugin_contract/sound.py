"""A plugin that keeps the contract, to be changed into one that does not."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from later_core import Context, Task, hookimpl, parse_parameters
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
        await asyncio.sleep(0)  # noqa: TID251 - a turn of the event loop, in which others run
        return order.name * order.times


class Plugin:
    """A sound one, with the tasks that it is given."""

    def __init__(self, *tasks: Any) -> None:
        self.tasks = tasks

    @hookimpl
    def later_tasks(self) -> Sequence[Any]:
        return self.tasks


def of_greet(**changed: Any) -> Plugin:
    return Plugin(type("Changed", (Greet,), changed)())


def contract(plugin: object, **said: Any) -> PluginContract:
    found = PluginContract()
    for name, value in {"plugin": plugin, **said}.items():
        setattr(found, name, value)
    return found
