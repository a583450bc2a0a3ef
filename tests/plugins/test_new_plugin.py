"""What ``later plugin new`` writes works at once: its tests, its style, its types, and on a server."""

# ruff: noqa: TID251 -- the tools and servers here are other processes, and their environment is made for them

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from later_core.cli.plugin.naming import LONGEST, names_from
from later_core.client.client import Client
from later_core.model.instance import Instance, NewInstance
from later_core.model.state import State

Serve = Callable[..., AbstractAsyncContextManager[Any]]
Reached = Callable[..., Awaitable[Instance]]

BUILD = "import os, sys, hatchling.build as b; os.chdir(sys.argv[1]); print(b.build_wheel('.'))"


def run(*words: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        words,
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if not k.startswith(("LATER_", "PYTHONPATH"))},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Project:
    """A new plugin, and the interpreter of an environment into which it is installed."""

    kind: str
    name: str
    folder: Path
    python: Path


#: Short names and long ones: what is written has lines with the name in them.
@pytest.fixture(scope="module", params=["task a", "task " + "w" * LONGEST, "event my-ear"])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    kind, name = request.param.split()
    there = tmp_path_factory.mktemp("new")
    later = (sys.executable, "-m", "later_core.cli")
    run(*later, "plugin", "new", name, "--kind", kind, cwd=there)
    folder = there / f"later-plugin-{name}"

    venv.create(there / "venv", with_pip=False)
    site = next((there / "venv" / "lib").glob("python*/site-packages"))
    wheel = run(sys.executable, "-c", BUILD, folder).splitlines()[-1]
    with zipfile.ZipFile(folder / wheel) as packed:  # what installing a pure wheel is
        packed.extractall(site)
    # Read by site at each start; addsitedir, so that what is installed editable here is seen too.
    places = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    lines = [f"import site; site.addsitedir({place!r})\n" for place in sorted(places)]
    (site / "what_this_environment_has.pth").write_text("".join(lines))
    return Project(kind, name, folder, there / "venv" / "bin" / "python")


def test_it_passes_its_own_tests_and_is_as_its_tools_want_it(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    said = run(project.python, "-m", "pytest", "-p", "no:cacheprovider", cwd=project.folder)
    assert " passed" in said
    assert "skipped" not in said
    run(project.python, "-m", "ruff", "check", "--no-cache", cwd=project.folder)
    run(project.python, "-m", "ruff", "format", "--check", "--no-cache", cwd=project.folder)
    cache = tmp_path_factory.getbasetemp() / "mypy-of-new-plugins"  # what all share is read once
    run(project.python, "-m", "mypy", "--cache-dir", cache, cwd=project.folder)


async def test_a_server_uses_it(
    project: Project, serve: Serve, reached: Reached, database: str
) -> None:
    async with serve(project.python, database) as served, Client(served.address) as client:
        listed = await client.tasks()
        assert list(listed.rejected) == []
        if project.kind == "event":
            return  # what it hears, its own tests have shown on a node
        assert project.name in [task.name for task in listed.tasks]
        order = NewInstance(task=project.name, parameters=b'{"name": "Ada"}')
        ended = await reached(client, (await client.create(order)).id, lambda s: s.is_final)
    assert (ended.state, ended.result) == (State.SUCCEEDED, b"hello Ada")


@pytest.mark.parametrize(
    ("text", "distribution", "module", "task_class"),
    [
        ("greet", "later-plugin-greet", "later_plugin_greet", "GreetTask"),
        ("My_Own.Task", "later-plugin-my-own-task", "later_plugin_my_own_task", "MyOwnTaskTask"),
        ("later-plugin-none", "later-plugin-none", "later_plugin_none", "NoneTask"),
        ("a--b9", "later-plugin-a-b9", "later_plugin_a_b9", "AB9Task"),
    ],
)
def test_names_follow_from_one(text: str, distribution: str, module: str, task_class: str) -> None:
    names = names_from(text)
    assert (names.distribution, names.module, names.task_class) == (
        distribution,
        module,
        task_class,
    )
    assert module.isidentifier()
    assert task_class.isidentifier()


@pytest.mark.parametrize(
    "text",
    ["", "-", "-a", "a-", "3d", "a b", "a/b", "../a", "é", "later-plugin-3", "x" * 33, "a\n"],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no name|is longer"):
        names_from(text)
