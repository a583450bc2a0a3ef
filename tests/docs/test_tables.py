import re
from pathlib import Path
from types import ModuleType

import pytest

from later_core.plugin.hookspecs import Hooks
from later_core.rpc.v1 import later_pb2
from later_core.settings import NAMES


def test_every_generated_table_is_fresh(tables: ModuleType):
    for page in tables.pages():
        text = page.read_text(encoding="utf-8")
        assert text == tables.fresh(text), f"{page.name} is stale: run tox -e tables"


def test_every_table_stands_on_a_page(tables: ModuleType):
    text = "".join(page.read_text(encoding="utf-8") for page in tables.pages())
    placed = [match["name"] for match in tables.MARKED.finditer(text)]
    assert sorted(placed) == sorted(tables.TABLES)
    assert text.count("<!-- table:") == text.count("<!-- end of table -->") == len(placed)


def test_every_rpc_of_the_wire_is_in_the_table_with_what_it_does(tables: ModuleType):
    services = later_pb2.DESCRIPTOR.services_by_name.values()
    wire = [(service.name, method.name) for service in services for method in service.methods]
    written = list(tables.methods())
    assert [(service, method) for service, method, _ in written] == wire
    assert all(comment for _, _, comment in written)


@pytest.mark.parametrize("hook", [name for name in vars(Hooks) if name.startswith("later_")])
def test_every_hook_has_a_heading(hook: str, root: Path):
    page = (root / "docs" / "hooks.md").read_text(encoding="utf-8")
    assert f"### {hook}\n" in page


@pytest.mark.parametrize("hook", [name for name in vars(Hooks) if name.startswith("later_")])
def test_the_picture_shows_when_every_hook_is_called(hook: str, tables: ModuleType):
    assert re.search(rf"--> .*\b{hook}\b", tables.lifecycle())


@pytest.mark.parametrize("method", ["run", "on_success", "on_fail", "on_abort"])
def test_the_picture_shows_when_every_method_of_a_task_is_called(method: str, tables: ModuleType):
    assert re.search(rf"--> .*\bTask\.{method}\b", tables.lifecycle())


@pytest.mark.parametrize("hook", [name for name in vars(Hooks) if name.startswith("later_")])
def test_every_hook_says_when_how_often_and_what_if_it_raises(hook: str):
    text = getattr(Hooks, hook).__doc__
    places = [text.find(f"{word}:") for word in ("When", "How often", "Since")]
    assert -1 not in places
    assert places == sorted(places)
    assert "If it raises:" in text or "is rejected" in text


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_setting_has_a_row(name: str, root: Path):
    page = (root / "docs" / "settings.md").read_text(encoding="utf-8")
    assert f"| `{name}` |" in page
