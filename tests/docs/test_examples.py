"""The examples in the docs are files; here they run."""

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from later_core.testing.contracts import PluginContract


@pytest.fixture
def example(root: Path) -> Path:
    return root / "docs" / "examples" / "later-plugin-webhook"


def test_the_example_plugin_passes_its_own_tests(example: Path, tmp_path: Path):
    environment = {**os.environ, "PYTHONPATH": str(example / "src")}  # noqa: TID251 - for a child
    tests = [sys.executable, "-m", "pytest", "--quiet", "-c", "pyproject.toml", "tests"]
    done = subprocess.run(
        [*tests, "-p", "no:cacheprovider", "--basetemp", tmp_path / "pytest"],
        cwd=example,
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_the_example_declares_the_entry_point_and_depends_on_the_core_alone(example: Path):
    project = tomllib.loads((example / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (module,) = project["entry-points"]["later"].values()
    assert importlib.util.find_spec(module) is None, "an example that is installed proves nothing"
    assert (example / "src" / module / "__init__.py").exists()
    assert [name.partition(">")[0] for name in project["dependencies"]] == ["later-core"]


def test_the_page_shows_the_files_of_the_example(example: Path, root: Path):
    page = (root / "docs" / "writing-a-plugin.md").read_text(encoding="utf-8")
    for file in ("pyproject.toml", "src/later_plugin_webhook/__init__.py", "tests/test_webhook.py"):
        assert f"literalinclude}} examples/later-plugin-webhook/{file}\n" in page
        assert (example / file).exists()


def test_the_example_of_time_travel_passes(root: Path, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--quiet", "-c", os.devnull, "-p", "no:cacheprovider",
         "--basetemp", tmp_path / "pytest", root / "docs" / "examples" / "test_time_travel.py"],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},  # noqa: TID251 - for a child
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_tests_on_the_page_pass_in_the_plugin_that_it_begins_with(root: Path, tmp_path: Path):
    page = (root / "docs" / "writing-a-plugin.md").read_text(encoding="utf-8")
    [command] = re.findall(r"^later (plugin new \w+)$", page, re.MULTILINE)
    shown = [
        text
        for text in re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        if "import later_plugin_greet" in text
    ]
    assert len(shown) == 2
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}  # noqa: TID251 - for a child
    subprocess.run(
        [sys.executable, "-m", "later_core.cli", *command.split()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=100,
        check=True,
    )
    plugin = tmp_path / "later-plugin-greet"
    _install(plugin)
    for number, text in enumerate(shown):
        (plugin / "tests" / f"test_shown_{number}.py").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "-k", "test_shown"],
        cwd=plugin,
        env={**environment, "PYTHONPATH": str(plugin / "src")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    checks = [name for name in dir(PluginContract) if name.startswith("test_")]
    assert f"{len(checks) + 1} passed" in done.stdout
    assert "skipped" not in done.stdout


def _install(plugin: Path) -> None:
    """What an editable install leaves on the path: the entry points beside the code."""
    project = tomllib.loads((plugin / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = plugin / "src" / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = [f"{name} = {value}" for name, value in project["entry-points"]["later"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[later]", *points]))
