"""The picture of the quickstart shows what the page says today, and nothing of where it was drawn."""

from __future__ import annotations

import html
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

TEXT = re.compile(r'<text class="quickstart-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>')


@pytest.fixture(scope="module")
def record(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_record", root / "docs" / "record.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def picture(record: ModuleType) -> str:
    return record.PICTURE.read_text(encoding="utf-8")


def packed(text: str) -> str:
    """Without blanks and line ends: where a terminal breaks a line says nothing."""
    return "".join(text.split())


def shown(picture: str) -> list[str]:
    """What stands from each prompt to the next, packed."""
    found = [(float(y), float(x), html.unescape(text)) for x, y, text in TEXT.findall(picture)]
    sections: list[str] = []
    for _, x, text in sorted(found):
        if x == 0 and text.startswith("$\N{NO-BREAK SPACE}"):
            sections.append("")
        sections[-1] += packed(text)
    return sections


def is_said(lines: list[str], answer: str) -> bool:
    """The lines stand in the answer, in their order; ``…`` stands for anything."""
    for line in lines:
        for piece in filter(None, map(packed, line.split("…"))):
            _, found, answer = answer.partition(piece)
            if not found:
                return False
    return True


def test_the_picture_shows_what_the_page_says(record: ModuleType, picture: str):
    page = list(record.recorded(record.PAGE.read_text(encoding="utf-8")))
    sections = shown(picture)
    assert len(page) > 10
    assert len(sections) == len(page), "it is stale: run tox -e record"
    for (command, lines), section in zip(page, sections, strict=True):
        typed = packed(f"$ {command}")
        assert section.startswith(typed), f"{command} is stale: run tox -e record"
        answer = section.removeprefix(typed)
        assert is_said(lines, answer), f"{command} is stale: run tox -e record"


def test_a_line_that_is_not_in_the_picture_is_found():
    assert is_said(["id  first", "…", "state  …", "(in …)"], "idfirststatePENDING(in8h)")
    assert not is_said(["state", "id"], "idfirststate")
    assert not is_said(["id  second"], "idfirst")


def test_the_picture_fetches_nothing_and_tells_nothing_of_its_machine(picture: str):
    assert set(re.findall(r"\w+://[^\"'\s<)]+", picture)) == {"http://www.w3.org/2000/svg"}
    assert "@font-face" not in picture
    said = "\n".join(html.unescape(text) for _, _, text in TEXT.findall(picture))
    assert "SUCCEEDED" in said
    assert re.findall(r"(?<![\w}])/(?:home|root|tmp|work|usr|var)\b", said) == []
    assert set(re.findall(r'"?node"?:?\W+([\w.-]+)-\d+-[0-9a-f]{8}', said)) <= {"host"}


def test_the_picture_keeps_the_colours_of_a_terminal(picture: str):
    assert len(set(re.findall(r"\.quickstart-r\d+ \{ fill: (#\w+)", picture))) > 3


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_the_picture_is_shown(root: Path, page: str):
    assert "_static/quickstart.svg)" in (root / page).read_text(encoding="utf-8")
