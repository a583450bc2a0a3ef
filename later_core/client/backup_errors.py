"""What a backup file holds, counted, and what can be wrong with one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """How much a file holds up to some place in it."""

    parts: int = 0
    instances: int = 0
    schedules: int = 0

    def with_part(self, instances: int, schedules: int) -> Totals:
        """One more part, which holds so many."""
        return Totals(
            parts=self.parts + 1,
            instances=self.instances + instances,
            schedules=self.schedules + schedules,
        )

    def __str__(self) -> str:
        return f"{_counted(self.instances, 'instance')} and {_counted(self.schedules, 'schedule')}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


class BackupUnusable(Exception):
    """Not a backup, or one of a newer version: nothing of it can be read."""


class BackupDamaged(Exception):
    """A backup that is cut off, or not as it was written.

    ``totals`` is what the part before the damage holds, which is as it was written.
    """

    def __init__(self, what: str, totals: Totals) -> None:
        self.totals = totals
        good = (
            f"what comes before, parts 1 to {totals.parts:,} ({totals}), is good"
            if totals.parts
            else "none of it is good"
        )
        super().__init__(f"{what}; {good}")
