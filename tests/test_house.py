"""The rules of the house that no tool checks."""

import ast
import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

import later_core

ROOT = Path(__file__).resolve().parents[1]
HOUSE = ROOT / "later_core"
FILES = [path for path in sorted(HOUSE.rglob("*.py")) if "_pb2" not in path.name]
#: Beside the house: all that people write in Python, and only that.
ROOMS = ("later_core", "tests", "plugins", "benchmarks", "docs", "facade", "proto")
WRITTEN = [
    path
    for room in ROOMS
    for path in sorted((ROOT / room).rglob("*.py"))
    if "_pb2" not in path.name
    and not {".venv", ".tox", "build", "dist"} & set(path.relative_to(ROOT).parts)
]
MOST_LINES = 350
#: Of a file of tests or of a program beside the house.
MOST_LINES_BESIDE = 450
SUPPRESSION = re.compile(r"# (noqa|type: ignore|pragma)")
REASONED = re.compile(r"# (noqa: [\w, ]*?[A-Z]+\d+|type: ignore\[[\w, -]+\])\W+[a-z]\w*.* \w+")
VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc", "core"}


def named(path: Path) -> str:
    return path.relative_to(HOUSE).as_posix()


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_file_says_what_it_is_for(path: Path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_file_is_short(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_beside_the_house_has_one_reason_to_exist_too(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES_BESIDE


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_file_has_a_name_that_says_something(path: Path):
    assert not VAGUE & {path.stem, path.parent.name}


@pytest.mark.parametrize("path", FILES, ids=named)
def test_the_oldest_entry_of_a_memory_is_found_without_a_search(path: Path):
    # The first key of a plain dict is looked for among all that have been deleted before it: 33
    # microseconds where 24,000 are remembered. An OrderedDict has popitem(last=False).
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(\.pop\(|\bdel .*\[)next\(iter\(", text)


def test_the_public_names_are_those_in_all():
    assert later_core.hookimpl  # loaded when it is asked for
    # pytest adds names with an @ to what it imports.
    public = {name for name in vars(later_core) if not name.startswith(("_", "@"))}
    # Floors and rooms appear as attributes once something imports them.
    rooms = {path.stem for path in HOUSE.iterdir()}
    assert public - rooms == set(later_core.__all__)
    assert list(later_core.__all__) == sorted(later_core.__all__)


def test_the_installed_version_is_that_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert importlib.metadata.version("later-core") == project["version"]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_suppression_says_why(path: Path):
    lines = path.read_text(encoding="utf-8").splitlines()
    silent = [line for line in lines if SUPPRESSION.search(line) and not REASONED.search(line)]
    assert silent == []


@pytest.mark.parametrize(
    "plugin", sorted((ROOT / "plugins").glob("later-plugin-*")), ids=lambda path: path.name
)
def test_every_plugin_is_held_to_the_contract(plugin: Path):
    tests = [path.read_text(encoding="utf-8") for path in plugin.glob("tests/test_*.py")]
    assert any("(PluginContract):" in text for text in tests)
