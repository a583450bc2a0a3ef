"""Each link from a page of ours to a place of ours leads there: the file exists, and the heading in it.

Sphinx looks only at what it builds, and GitHub shows the README, this house's other front pages and the
plugins' READMEs as well: this holds for all of them, with the anchors that both make of headings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "plugins").glob("*/README.md")),
]
FENCE = re.compile(r"^(`{3,})[^\n]*\n.*?^\1`*\n", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!\\)\]\(([^()\s]+(?:\([^()\s]*\))?)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def prose(page: Path) -> str:
    """The page without its blocks of code, and without what is code in a line."""
    return re.sub(r"`[^`\n]*`", lambda found: "x" * len(found[0]), _unfenced(page))


def _unfenced(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> list[str]:
    """The anchor of each heading, as GitHub and MyST make them."""
    texts = (
        re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text) for text in HEADING.findall(_unfenced(page))
    )
    return [re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-") for text in texts]


def links(page: Path) -> Iterator[str]:
    for target in LINK.findall(prose(page)):
        if not re.match(r"[a-z]+:", target):
            yield target


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def broken(page: Path) -> list[str]:
    wrong = []
    for target in links(page):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_to_a_file_and_a_heading_in_it(page: Path):
    assert broken(page) == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_heading_that_is_linked_to_is_there_twice(page: Path):
    made = anchors(page)
    linked = {
        target.partition("#")[2]
        for other in PAGES
        for target in links(other)
        if "#" in target and (other.parent / target.partition("#")[0]).resolve() == page
    }
    assert [anchor for anchor in linked if made.count(anchor) > 1] == []


def test_pages_link_to_each_other_at_all():
    assert sum(1 for page in PAGES for _ in links(page)) > 100


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path):
    there = tmp_path / "there.md"
    there.write_text("# One `word`, two\n\n## Three\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](there.md#one-word-two) [c](there.md#four) [d](gone.md) [e](#f)\n"
        "`[g](gone.md)` [h](https://example.org/gone)\n```md\n[i](gone.md)\n```\n",
        encoding="utf-8",
    )
    assert broken(page) == ["there.md#four", "gone.md", "#f"]
