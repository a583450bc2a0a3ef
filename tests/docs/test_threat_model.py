"""Every threat names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("\n## Threats\n")[2].partition("\n\n## ")[0]
THREATS = [line.strip("| ").split(" | ") for line in TABLE.strip().splitlines()[2:]]


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat[0])
def test_a_threat_has_a_protection_and_tests_that_are_there(threat):
    _, actor, protection, tests = threat
    assert actor
    assert protection
    files = re.findall(r"`([^`]+)`", tests)
    assert files
    for file in files:
        assert "def test_" in (ROOT / file).read_text(encoding="utf-8"), file


def test_every_attack_of_the_fuzz_belongs_to_a_threat():
    attacks = {path.name for path in (ROOT / "tests" / "fuzz").glob("test_*.py")}
    assert {name for name in attacks if f"tests/fuzz/{name}`" not in TABLE} == set()
