"""The page on clients names what there is."""

import re
from pathlib import Path

from later_core.client import Client


def test_each_template_is_named_and_checked(root: Path):
    page = (root / "docs" / "clients.md").read_text(encoding="utf-8")
    templates = {path.name for path in (root / "proto").glob("buf.gen.*.yaml")}
    assert templates == set(re.findall(r"buf\.gen\.\w+\.yaml", page))
    # proto/check.py, which needs buf, is run by tox -e protocheck.
    assert "buf.gen.*.yaml" in (root / "proto" / "check.py").read_text(encoding="utf-8")


def test_the_methods_that_the_page_names_exist(root: Path):
    page = (root / "docs" / "clients.md").read_text(encoding="utf-8")
    table = page[page.index("| Method |") : page.index("What fails raises")]
    names = re.findall(r"`(\w+)`", table)
    assert names
    assert [name for name in names if not callable(getattr(Client, name, None))] == []


def test_the_programs_on_the_page_are_those_that_are_tested(root: Path):
    page = (root / "docs" / "clients.md").read_text(encoding="utf-8")
    shown = [Path(name).name for name in re.findall(r"literalinclude\} (\S+)", page)]
    tests = "".join(
        (root / "tests" / "e2e" / name).read_text(encoding="utf-8")
        for name in ("test_client_examples.py", "test_foreign_clients.py")
    )
    assert [name for name in shown if f'"{name}"' not in tests] == []
