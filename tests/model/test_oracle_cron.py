"""Other libraries name the same times, but where the program knows why not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parent / "oracle_cron.py"


def test_a_few_hundred_random_expressions_agree_with_three_libraries() -> None:
    command = [sys.executable, str(PROGRAM), "--rules", "400"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "400 expressions, 0 differences that nobody has explained" in found.stdout
    assert "dateutil agrees" in found.stdout
