"""The rate limits that the pages show are those that the code reads."""

import re
from datetime import timedelta
from pathlib import Path

from later_core import RateLimit
from later_core.settings import load


def test_the_setting_on_the_page_is_read(root: Path):
    page = (root / "docs" / "operating.md").read_text(encoding="utf-8")
    [shown] = re.findall(r'^rate_limits = "(.+)"$', page, re.MULTILINE)
    assert load({"rate_limits": shown}).rate_limits == {
        "http-post": RateLimit(count=10),
        "mail": RateLimit(count=100, per=timedelta(minutes=5), burst=20),
        "bash": None,
    }


def test_the_declaration_on_the_page_is_code(root: Path):
    page = (root / "docs" / "writing-a-plugin.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"rate_limit = (RateLimit\(.+\))$", page, re.MULTILINE)
    rate = eval(shown, {"RateLimit": RateLimit, "timedelta": timedelta})
    assert str(rate) == "10/1s+5"
