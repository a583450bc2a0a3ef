"""A stranger's plugin, as it reaches a user: built into a wheel, installed, found, and run."""

# ruff: noqa: TID251 -- servers and installers are other processes, with environments made for them

import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from later_core.client.client import Client
from later_core.model.instance import Instance, NewInstance
from later_core.model.state import State

Serve = Callable[..., AbstractAsyncContextManager[Any]]
Reached = Callable[..., Awaitable[Instance]]

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "3.1.4"
dependencies = ["later-core"]

[project.entry-points.later]
{module} = "{module}"
"""
SHOUT = '''
from later_core import Context, Task, hookimpl


class Shout(Task):
    """Says it louder."""

    name = "shout"
    description = "Answers in capital letters."

    def run(self, context: Context) -> str:
        return context.parameters.decode().upper()


@hookimpl
def later_tasks():
    return [Shout()]
'''
BROKEN = "import a_module_that_nobody_installed\n"
RUN = """
import json
from datetime import UTC, datetime

import structlog

from later_core import Context, Instance
from later_core.catalog import Catalog

catalog = Catalog.discover()
catalog.collect({setting.name: setting.default for setting in catalog.settings})
installed = catalog.get("shout")
now = datetime(2030, 1, 1, tzinfo=UTC)
instance = Instance(id="1", task="shout", execution_time=now, create_time=now, parameters=b"hello")
context = Context(instance=instance, deadline=None, log=structlog.get_logger())
print(json.dumps({
    "from": [installed.distribution, installed.version],
    "result": installed.task.run(context),
    "rejected": [[each.distribution, each.version, each.reason] for each in catalog.rejected],
}))
"""


def run(*words: str | Path) -> str:
    done = subprocess.run(
        words,
        env={k: v for k, v in os.environ.items() if not k.startswith(("LATER_", "PYTHONPATH"))},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(folder: Path, name: str, source: str) -> Path:
    """The wheel of a distribution of one module."""
    module = name.replace("-", "_")
    project = folder / name
    package = project / "src" / module
    package.mkdir(parents=True)
    (project / "pyproject.toml").write_text(PROJECT.format(name=name, module=module))
    (package / "__init__.py").write_text(source)
    builder = (
        "import os, sys, hatchling.build as b; os.chdir(sys.argv[1]); print(b.build_wheel('.'))"
    )
    wheel = run(sys.executable, "-c", builder, project).splitlines()[-1]
    return project / wheel


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with what this one has, and with two plugins more, one of them broken."""
    folder = tmp_path_factory.mktemp("third-party")
    wheels = [
        build(folder, "stranger-shout", SHOUT),
        build(folder, "stranger-broken", BROKEN),
    ]
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", *wheels)
    # Read by site at each start; addsitedir, so that what is installed editable here is seen too.
    places = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    site = next((folder / "venv" / "lib").glob("python*/site-packages"))
    lines = [f"import site; site.addsitedir({place!r})\n" for place in sorted(places)]
    (site / "what_this_environment_has.pth").write_text("".join(lines))
    return python


def test_an_installed_wheel_is_found_and_its_task_runs(python: Path) -> None:
    said = json.loads(run(python, "-W", "ignore", "-c", RUN).splitlines()[-1])
    assert said["from"] == ["stranger-shout", "3.1.4"]
    assert said["result"] == "HELLO"
    ((distribution, version, reason),) = said["rejected"]
    assert (distribution, version) == ("stranger-broken", "3.1.4")
    assert "No module named 'a_module_that_nobody_installed'" in reason


async def test_a_server_runs_what_an_installed_wheel_brings(
    python: Path, serve: Serve, reached: Reached, database: str
) -> None:
    async with serve(python, database) as served, Client(served.address) as client:
        listed = await client.tasks()
        assert "shout" in [task.name for task in listed.tasks]
        assert [each.distribution for each in listed.rejected] == ["stranger-broken"]

        created = await client.create(NewInstance(task="shout", parameters=b"hello"))
        ended = await reached(client, created.id, lambda state: state.is_final)
    assert (ended.state, ended.result) == (State.SUCCEEDED, b"HELLO")
