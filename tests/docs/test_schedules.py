"""The table of docs/schedules.md about a gap and a fold in Paris is what happens."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from later_core.model.recurrence.combine import recurrence
from later_core.model.recurrence.rules import CronRule

PAGE = Path(__file__).parents[2] / "docs" / "schedules.md"
DAYS = (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC))


def test_the_table_of_clock_changes_in_paris_is_true() -> None:
    rows = re.findall(
        r"^\| `(.+)` \| ([0-9: ]+|none) \| ([0-9: ]+|none) \|$",
        PAGE.read_text("utf-8"),
        re.MULTILINE,
    )
    assert len(rows) == 7
    for expression, *written in rows:
        times = recurrence((CronRule(expression=expression),), (), "Europe/Paris")
        for day, cell in zip(DAYS, written, strict=True):
            found = [f"{at:%H:%M}" for at in times.between(day, day + timedelta(hours=2))]
            assert " ".join(found or ["none"]) == cell.strip(), (expression, day)
