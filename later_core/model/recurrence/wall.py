"""From wall times to instants, across the days on which clocks change: the one place that knows how.

Rules find wall times with plain calendar arithmetic (``Walls``); two functions make instants of them:

- ``next_of_fixed`` is for rules that name a time of the day. Each wall time happens once: in a fold the
  first time round, and in a gap, where it does not exist, at the moment the gap ends.
- ``next_of_running`` is for rules that go on through the hours. Whenever the clock shows a wall time
  of the rule it happens: in a fold both times round, in a gap not at all.

This is what Debian's cron(8) does for changes of less than three hours; here it holds for any change.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

#: The first wall time of a rule strictly after a wall time, or None. Both naive.
Walls = Callable[[datetime], datetime | None]

_SECOND = timedelta(seconds=1)
_NO_TIME = timedelta(0)
#: A running rule whose wall times all fall into gaps (such as the last Sunday of March at 02:00 in
#: Paris) is given up after so many years' gaps.
_GAPS_IN_A_ROW_MAX = 60


def to_wall(instant: datetime, zone: ZoneInfo) -> datetime:
    """What a clock in the zone shows at the instant, naive."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def to_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """When the clock first shows the wall time; if it never does, the end of the gap it falls in."""
    offset, later_offset = _offsets(wall, zone)
    if later_offset > offset:
        return _change(wall - later_offset, wall - offset, zone)
    return (wall - offset).replace(tzinfo=UTC)


def next_of_fixed(walls: Walls, zone: ZoneInfo, instant: datetime) -> datetime | None:
    """The first instant strictly after the given one at which a rule of fixed times happens."""
    wall = walls(to_wall(instant, zone))
    while wall is not None:
        found = to_instant(wall, zone)
        if found > instant:
            return found
        # The second time round: this wall time has had its turn.
        wall = walls(wall)
    return None


def next_of_running(walls: Walls, zone: ZoneInfo, instant: datetime) -> datetime | None:
    """The first instant strictly after the given one at which the clock shows a time of the rule."""
    wall = to_wall(instant, zone)
    offset, later_offset = _offsets(wall, zone)
    first = (wall - offset).replace(tzinfo=UTC)
    found = walls(wall)
    if offset > later_offset and first == instant:
        # The first time round: whatever the clock has shown since the fold began, it shows again.
        end = _change(wall - offset, wall - later_offset, zone)
        if found is not None and (found - offset).replace(tzinfo=UTC) < end:
            return (found - offset).replace(tzinfo=UTC)
        found = walls(to_wall(end, zone) - _SECOND)
    for _ in range(_GAPS_IN_A_ROW_MAX):
        if found is None:
            return None
        offset, later_offset = _offsets(found, zone)
        if later_offset <= offset:
            first = (found - offset).replace(tzinfo=UTC)
            return first if first > instant else (found - later_offset).replace(tzinfo=UTC)
        end = _change(found - later_offset, found - offset, zone)
        found = walls(to_wall(end, zone) - _SECOND)
    return None


def _offsets(wall: datetime, zone: ZoneInfo) -> tuple[timedelta, timedelta]:
    """What the offset is before and after a change near the wall time; equal if there is none.

    The second is less in a fold (the wall time happens twice), greater in a gap (it never does).
    """
    aware = wall.replace(tzinfo=zone)
    return aware.utcoffset() or _NO_TIME, aware.replace(fold=1).utcoffset() or _NO_TIME


def _change(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The instant in (low, high] from which on the offset is another than at ``low``; naive UTC in."""
    low, high = low.replace(tzinfo=UTC), high.replace(tzinfo=UTC)
    before = low.astimezone(zone).utcoffset()
    while high - low > _SECOND:
        middle = low + (high - low) // _SECOND // 2 * _SECOND
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high
