"""Every transition of every zone of the IANA database from 1970 to 2100.

The reference is Debian's cron(8) played minute by minute: a clock that shows wall times, jobs that run
when it shows theirs, jobs of fixed times that were jumped over run after the jump, and those of a
repeated hour do not run again.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from itertools import pairwise
from zoneinfo import ZoneInfo

from later_core.model.recurrence.calendar import CalendarTimes
from later_core.model.recurrence.cron import CronTimes
from later_core.model.recurrence.rules import CalendarRule, CronRule
from later_core.model.recurrence.zones import time_zone, zone_names

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MARGIN = timedelta(minutes=40)
DAY = timedelta(days=1)
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)
#: Monrovia left its 44 minutes and 30 seconds behind in 1972: a gap that ends within a minute.
WITHIN_A_MINUTE = {("Africa/Monrovia", 1972)}

Transition = tuple[str, datetime, timedelta, timedelta]


def listed(data: bytes) -> list[datetime]:
    """The transitions that a TZif file (RFC 8536) lists; behind the last, its rule holds."""
    header = struct.Struct(">4s c15x 6l")
    counts = header.unpack_from(data)[2:]
    utc, std, leap, times, types, chars = counts
    second = header.size + times * 5 + types * 6 + chars + leap * 8 + std + utc
    times = header.unpack_from(data, second)[5]
    seconds = struct.unpack_from(f">{times}q", data, second + header.size)
    start, end = FIRST.timestamp(), LAST.timestamp()
    return [datetime.fromtimestamp(at, UTC) for at in seconds if start < at < end]


def change_between(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        same = offset_at(middle, zone) == offset_at(low, zone)
        low, high = (middle, high) if same else (low, middle)
    return high


def offset_at(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def transitions_of(name: str, data: bytes) -> Iterator[Transition]:
    zone = time_zone(name)
    instants = listed(data)
    # Behind the last listed transition a rule holds; without a comma it names no change at all.
    has_rule = b"," in data.rstrip(b"\n").rpartition(b"\n")[2]
    week = (instants[-1] if instants else FIRST) + timedelta(seconds=1)
    while has_rule and week < LAST:
        # Such a rule changes the clock twice a year, months apart.
        if offset_at(week, zone) != offset_at(week + 7 * DAY, zone):
            instants.append(change_between(week, week + 7 * DAY, zone))
        week += 7 * DAY
    for instant in instants:
        before, after = offset_at(instant - timedelta(seconds=1), zone), offset_at(instant, zone)
        if before != after:
            yield name, instant, before, after


@cache
def all_transitions() -> tuple[Transition, ...]:
    """Of all zones; of those that are the same under two names, once."""
    files: dict[bytes, str] = {}
    for name in sorted(zone_names()):
        files.setdefault(resources.files("tzdata").joinpath("zoneinfo", name).read_bytes(), name)
    return tuple(t for data, name in files.items() for t in transitions_of(name, data))


def fires(times: CronTimes | CalendarTimes, start: datetime, end: datetime) -> list[datetime]:
    found, at = [], start - timedelta(milliseconds=1)
    while (after := times.after(at)) is not None and after < end:
        assert after > at
        found.append(after)
        at = after
    return found


def test_the_transitions_are_all_there() -> None:
    found = all_transitions()
    assert len(found) > 10_000
    data = resources.files("tzdata").joinpath("zoneinfo/Europe/Paris").read_bytes()
    paris = [instant for _, instant, _, _ in transitions_of("Europe/Paris", data)]
    assert datetime(2026, 3, 29, 1, tzinfo=UTC) in paris
    assert datetime(2099, 10, 25, 1, tzinfo=UTC) in paris
    # A day that never was, a gap of half an hour, and a Ramadan in Morocco.
    assert ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC), -10 * HOUR, 14 * HOUR) in found
    assert any(n == "Australia/LHI" and abs(a - b) == HOUR / 2 for n, _, b, a in found)
    assert any(n == "Africa/Casablanca" and i.year == 2023 for n, i, _, _ in found)


def test_a_fixed_time_runs_exactly_once_a_day_in_every_zone_across_every_transition() -> None:
    for name, instant, before, after in all_transitions():
        if (name, instant.year) in WITHIN_A_MINUTE:
            continue
        # The middle of what is jumped over or repeated: a time that never is, or is twice.
        low, high = sorted((instant + before, instant + after))
        wall = (low + (high - low) / 2).replace(second=0, microsecond=0, tzinfo=None)
        if wall < low.replace(tzinfo=None):
            continue
        times = CronTimes(CronRule(expression=f"{wall.minute} {wall.hour} * * *"), name)
        expected = instant if after > before else (wall - before).replace(tzinfo=UTC)
        found = fires(times, expected - 12 * HOUR, expected + 12 * HOUR)
        if after - before < 12 * HOUR:
            assert found == [expected], (name, instant)
        else:
            # A whole day was left out; what belonged to it runs when it would have ended.
            assert found == [expected - 12 * HOUR, expected], (name, instant)


def half_hours(start: datetime, end: datetime, offset: timedelta) -> Iterator[datetime]:
    """When clocks at this offset show a full or a half hour."""
    at = start + (FIRST - start - offset) % (HOUR / 2)
    while at < end:
        yield at
        at += HOUR / 2


def test_a_running_rule_follows_the_clock_in_every_zone_across_every_transition() -> None:
    for name, instant, before, after in all_transitions():
        times = CronTimes(CronRule(expression="*/30 * * * *"), name)
        expected = [
            *half_hours(instant - MARGIN, instant, before),
            *half_hours(instant, instant + MARGIN, after),
        ]
        assert fires(times, instant - MARGIN, instant + MARGIN) == expected, (name, instant)


def shapes() -> Iterable[Transition]:
    """One transition of each kind: how far, from where, at which time of the day, what is near."""
    kinds: dict[object, Transition] = {}
    by_zone: dict[str, list[Transition]] = {}
    for transition in all_transitions():
        by_zone.setdefault(transition[0], []).append(transition)
    for zone in by_zone.values():
        gaps = [zone[0][1] - DAY * 99, *(t[1] for t in zone), zone[-1][1] + DAY * 99]
        for index, (name, instant, before, after) in enumerate(zone, 1):
            near = [
                at - instant for at in gaps[index - 1 : index + 2] if abs(at - instant) < 5 * DAY
            ]
            kind = (before, after, instant.time(), tuple(near))
            kinds.setdefault(kind, (name, instant, before, after))
    return kinds.values()


def played(
    walls: list[tuple[datetime, datetime]], matches: Callable[[datetime], bool], *, is_fixed: bool
) -> list[datetime]:
    """What cron runs, minute by minute, of a job that matches these wall times."""
    ran = []
    shown_last = walls[0][1] - MINUTE
    for instant, wall in walls:
        if not is_fixed:
            if matches(wall):
                ran.append(instant)
            continue
        jumped_over = []
        while shown_last < wall:
            shown_last += MINUTE
            jumped_over.append(shown_last)
        if any(matches(shown) for shown in jumped_over):
            ran.append(instant)
    return ran


def test_cron_played_minute_by_minute_runs_the_same() -> None:
    kinds = [t for t in shapes() if (t[0], t[1].year) not in WITHIN_A_MINUTE]
    assert len(kinds) > 100
    for name, instant, before, after in kinds:
        zone = time_zone(name)
        around = 2 * HOUR + abs(after - before)
        start, end = instant - around, instant + around
        clock = [start + n * MINUTE for n in range(2 * around // MINUTE)]
        walls = [(at, at.astimezone(zone).replace(tzinfo=None, fold=0)) for at in clock]
        edges = {
            (instant + offset + minutes * MINUTE).strftime("%M %H")
            for offset in (before, after)
            for minutes in (-1, 0, 15)
        }
        for edge in [*edges, "0 0", "59 23", "30 2"]:
            minute, hour = map(int, edge.split())
            rules: list[tuple[str, Callable[[datetime], bool], bool]] = [
                (
                    f"{minute} {hour} * * *",
                    lambda w, m=minute, h=hour: (w.minute, w.hour) == (m, h),
                    True,
                ),
                (f"{minute} * * * *", lambda w, m=minute: w.minute == m, False),
                (f"*/7 {hour} * * *", lambda w, h=hour: w.hour == h and w.minute % 7 == 0, False),
                (
                    f"5,{minute},50 {hour},12 * * *",
                    lambda w, m=minute, h=hour: w.minute in {5, m, 50} and w.hour in {h, 12},
                    True,
                ),
            ]
            for expression, matches, is_fixed in rules:
                expected = played(walls, matches, is_fixed=is_fixed)
                found = fires(CronTimes(CronRule(expression=expression), name), start, end)
                assert found == expected, (name, instant, expression)


def test_calendar_rules_keep_the_same_rules_as_cron() -> None:
    pairs = [
        ("FREQ=DAILY;BYHOUR=2;BYMINUTE=30;BYSECOND=0", "30 2 * * *"),
        ("FREQ=DAILY;BYHOUR=0;BYMINUTE=0;BYSECOND=0", "0 0 * * *"),
        ("FREQ=WEEKLY;BYDAY=SU,SA;BYHOUR=1,2;BYMINUTE=15;BYSECOND=0", "15 1,2 * * SAT,SUN"),
        ("FREQ=HOURLY;BYMINUTE=0,30;BYSECOND=0", "0,30 * * * *"),
        ("FREQ=MINUTELY;INTERVAL=15;BYSECOND=0", "*/15 * * * *"),
    ]
    for name, instant, _, _ in shapes():
        dtstart = datetime(1969, 12, 1, tzinfo=UTC)
        for rrule, expression in pairs:
            # Midnight on the wall, so that the minutes of both rules begin on the full hour.
            begin = dtstart - offset_at(dtstart, time_zone(name))
            calendar = CalendarTimes(CalendarRule(rrule=rrule, dtstart=begin), name)
            cron = CronTimes(CronRule(expression=expression), name)
            window = (instant - 3 * HOUR, instant + 3 * HOUR)
            assert fires(calendar, *window) == fires(cron, *window), (name, instant, rrule)


def test_six_fields_keep_the_same_rules_as_five() -> None:
    for name, instant, _, _ in shapes():
        for expression in ("30 2 * * *", "*/20 * * * *", "0 0 * * *", "5 1-3 * * *"):
            window = (instant - 3 * HOUR, instant + 3 * HOUR)
            five = fires(CronTimes(CronRule(expression=expression), name), *window)
            six = fires(CronTimes(CronRule(expression=f"0 {expression}"), name), *window)
            assert five == six


def test_a_running_rule_that_lives_in_gaps_alone_never_fires_and_never_hangs() -> None:
    # Clocks in Paris go forward on the last Sunday of March at 02:00, by today's law for ever.
    times = CronTimes(CronRule(expression="*/10 2 * 3 7L"), "Europe/Paris")
    assert times.after(datetime(2026, 1, 1, tzinfo=UTC)) is None
    fixed = CronTimes(CronRule(expression="10 2 * 3 7L"), "Europe/Paris")
    found = fires(fixed, datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))
    assert found == [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2027, 3, 28, 1, tzinfo=UTC)]
    assert all(later - earlier > 300 * DAY for earlier, later in pairwise(found))
