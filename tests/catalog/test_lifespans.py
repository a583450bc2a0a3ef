"""What plugins keep open begins before the first run and ends after the last, one apart from the other."""

import asyncio
import importlib
from collections.abc import Callable, Iterator

import pytest
from structlog.testing import capture_logs

from later_core.catalog import Catalog
from later_core.ports.clock import SystemClock
from later_core.testing.clock import FakeClock

Install = Callable[..., None]

SOURCE = """
import asyncio
from contextlib import asynccontextmanager
from later_core import Task, hookimpl

class T(Task):
    name = {name!r}
    async def run(self, context):
        return None

said = []
lead = {{}}

@hookimpl
def later_tasks():
    return [T()]

@hookimpl
def later_lifespan(settings):
    return keep()

async def break_down():
    await lead["breaks"].wait()
    raise ValueError("broken")

@asynccontextmanager
async def keep():
    {begin}
    said.append("begun")
    lead["breaks"] = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            breaker = group.create_task(break_down())
            yield
            breaker.cancel()
    finally:
        said.append("ended")
        {end}
"""


@pytest.fixture
def plugin(install: Install) -> Callable[..., list[str]]:
    def plugin(name: str, *, begin: str = "pass", end: str = "pass") -> list[str]:
        install(f"plugin-{name}", SOURCE.format(name=name, begin=begin, end=end))
        said: list[str] = importlib.import_module(f"plugin_{name}").said
        return said

    return plugin


@pytest.fixture
def catalog() -> Iterator[Callable[[], Catalog]]:
    def make() -> Catalog:
        catalog = Catalog.discover()
        catalog.collect({s.name: s.default for s in catalog.settings})
        return catalog

    return make


def values(catalog: Catalog) -> dict[str, object]:
    return {s.name: s.default for s in catalog.settings}


async def test_it_lasts_as_long_as_the_block(
    plugin: Callable[..., list[str]], catalog: Callable[[], Catalog]
) -> None:
    said = plugin("a")
    found = catalog()
    async with found.lifespans(values(found), SystemClock()):
        assert said == ["begun"]
    assert said == ["begun", "ended"]


async def test_a_plugin_that_cannot_begin_is_rejected_with_its_tasks(
    plugin: Callable[..., list[str]], catalog: Callable[[], Catalog]
) -> None:
    plugin("a", begin="raise OSError('no route')")
    said = plugin("b")
    found = catalog()
    with capture_logs() as lines:
        async with found.lifespans(values(found), SystemClock()):
            assert found.get("a") is None
            assert found.get("b") is not None
    assert said == ["begun", "ended"]
    (told,) = [line for line in lines if line["event"] == "plugin rejected"]
    assert told["distribution"] == "plugin-a"
    assert told["reason"] == "later_lifespan raised OSError: no route"


async def test_a_plugin_that_never_begins_is_given_up(
    plugin: Callable[..., list[str]], catalog: Callable[[], Catalog]
) -> None:
    plugin("a", begin="await asyncio.Event().wait()")
    found, clock = catalog(), FakeClock()
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(_serve(found, clock))
        while not serving.done():
            await clock.advance(1)
    assert found.get("a") is None


async def _serve(catalog: Catalog, clock: FakeClock) -> None:
    async with catalog.lifespans(values(catalog), clock):
        pass


async def test_a_plugin_that_breaks_down_later_ends_nobody_else(
    plugin: Callable[..., list[str]], catalog: Callable[[], Catalog]
) -> None:
    said = plugin("a")
    found = catalog()
    with capture_logs() as lines:
        async with found.lifespans(values(found), SystemClock()):
            importlib.import_module("plugin_a").lead["breaks"].set()
            while said != ["begun", "ended"]:
                await SystemClock().sleep(0.001)
            await SystemClock().sleep(0)
            assert found.get("a") is not None
    assert "plugin failed" in [line["event"] for line in lines]


async def test_what_raises_at_its_end_is_logged_and_no_more(
    plugin: Callable[..., list[str]], catalog: Callable[[], Catalog]
) -> None:
    plugin("a", end="raise ValueError('late')")
    found = catalog()
    with capture_logs() as lines:
        async with found.lifespans(values(found), SystemClock()):
            pass
    assert [line["distribution"] for line in lines if line["event"] == "plugin failed"] == [
        "plugin-a"
    ]


async def test_what_is_no_context_manager_is_rejected(
    install: Install, catalog: Callable[[], Catalog]
) -> None:
    source = "from later_core import hookimpl\n@hookimpl\ndef later_lifespan(): return 7\n"
    install("plugin-a", source)
    found = catalog()
    async with found.lifespans(values(found), SystemClock()):
        (rejected,) = found.rejected
    assert rejected.reason == "later_lifespan returned int; return an async context manager"
