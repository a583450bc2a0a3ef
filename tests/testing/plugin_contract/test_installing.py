"""What is looked for in the installed distribution."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.testing.plugin_contract.sound import contract

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

    def install(line: str = "", entry_points: str = "rival = a_rival\n") -> object:
        (tmp_path / "a_rival.py").write_text(MODULE.format(line=line))
        info = tmp_path / "a_rival-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: a-rival\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[later]\n" + entry_points)
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


async def test_two_entry_points_for_one_plugin_are_told(install: Callable[..., object]) -> None:
    check = contract(install(entry_points="one = a_rival\nother = a_rival\n"))
    with pytest.raises(AssertionError, match="2 entry points name the same plugin"):
        await check.test_it_is_found_by_the_entry_point_of_its_distribution()


async def test_an_import_that_needs_another_first_is_told(install: Callable[..., object]) -> None:
    check = contract(install("import sys; assert 'pytest' in sys.modules, 'alone'"))
    with pytest.raises(
        AssertionError, match=r"(?s)it cannot be imported alone: .*AssertionError: alone"
    ):
        await check.test_its_import_prints_nothing()
