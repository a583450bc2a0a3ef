"""The screens as they look: what is drawn today, from fixed figures, is what the docs show."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
#: What Rich derives names from differs with each version of it; the letters and their colours do not.
_TEXT = re.compile(r'<text class="[\w-]+?-(r\d+)" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>')
_STYLE = re.compile(r"\.[\w-]+?-(r\d+) \{([^}]*)\}")


def _program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_screens", ROOT / "docs" / "screens.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCREENS = _program()


def seen(svg: str) -> list[tuple[str, str, str, str]]:
    """Each piece of text, where it stands, and how it looks."""
    styles = {name: " ".join(style.split()) for name, style in _STYLE.findall(svg)}
    return [(x, y, text, styles[name]) for name, x, y, text in _TEXT.findall(svg)]


@pytest.mark.parametrize("name", SCREENS.KEYS)
async def test_a_screen_looks_as_the_docs_show_it(name):
    recorded = (SCREENS.DIRECTORY / f"{name}.svg").read_text(encoding="utf-8")
    drawn = seen(await SCREENS.draw(name))
    assert len(drawn) > 10
    assert drawn == seen(recorded), "tox -e screens draws them anew"


def test_no_screen_is_recorded_that_is_not_drawn():
    assert {path.stem for path in SCREENS.DIRECTORY.glob("*.svg")} == set(SCREENS.KEYS)
