"""Recurrence rules of RFC 5545 name what dateutil names, from any time on and in bounded time."""

from __future__ import annotations

import operator
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice, takewhile

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from later_core.errors import InvalidRequest
from later_core.model.recurrence.calendar import CalendarTimes
from later_core.model.recurrence.rules import CalendarRule

START = datetime(2026, 1, 1, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)


def times_of(rrule: str, dtstart: datetime = START, zone: str = "UTC") -> Iterator[datetime]:
    times = CalendarTimes(CalendarRule(rrule=rrule, dtstart=dtstart), zone)
    at: datetime | None = dtstart - MILLISECOND
    while at is not None and (at := times.after(at)) is not None:
        yield at


@pytest.mark.parametrize(
    ("rrule", "expected"),
    [
        ("FREQ=DAILY", ["2026-01-01 09:30", "2026-01-02 09:30"]),
        ("RRULE:freq=daily;byhour=8,10", ["2026-01-01 10:30", "2026-01-02 08:30"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH", ["2026-01-01 09:30", "2026-01-12 09:30"]),
        ("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=9;BYMINUTE=0", ["2026-01-30 09:00", "2026-02-27 09:00"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", ["2026-01-30 09:30", "2026-02-27 09:30"]),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", ["2026-05-11 09:30", "2027-05-17 09:30"]),
        ("FREQ=YEARLY;BYYEARDAY=-1", ["2026-12-31 09:30", "2027-12-31 09:30"]),
        ("FREQ=HOURLY;INTERVAL=8", ["2026-01-01 09:30", "2026-01-01 17:30", "2026-01-02 01:30"]),
        (
            "FREQ=MINUTELY;INTERVAL=20;BYHOUR=9",
            ["2026-01-01 09:30", "2026-01-01 09:50", "2026-01-02 09:10"],
        ),
        ("FREQ=DAILY;COUNT=2", ["2026-01-01 09:30", "2026-01-02 09:30", "no more"]),
        (
            "FREQ=DAILY;BYMONTH=1;BYDAY=TH;COUNT=2",
            ["2026-01-01 09:30", "2026-01-08 09:30", "no more"],
        ),
        ("FREQ=DAILY;UNTIL=20260102T093000Z", ["2026-01-01 09:30", "2026-01-02 09:30", "no more"]),
        ("FREQ=DAILY;UNTIL=20260102T092959Z", ["2026-01-01 09:30", "no more"]),
    ],
)
def test_what_a_rule_means(rrule: str, expected: list[str]) -> None:
    found = [f"{at:%Y-%m-%d %H:%M}" for at in islice(times_of(rrule), len(expected))]
    assert [*found, "no more"][: len(expected)] == expected


def test_a_month_without_the_day_of_dtstart_is_left_out_years_later_too() -> None:
    times = CalendarTimes(CalendarRule(rrule="FREQ=MONTHLY", dtstart=START.replace(day=31)), "UTC")
    assert times.after(datetime(2041, 2, 1, tzinfo=UTC)) == datetime(2041, 3, 31, 9, 30, tzinfo=UTC)
    assert times.after(datetime(2041, 3, 31, 12, tzinfo=UTC)) == datetime(
        2041, 5, 31, 9, 30, tzinfo=UTC
    )


def test_dtstart_is_repeated_by_its_wall_time() -> None:
    paris = list(islice(times_of("FREQ=MONTHLY;INTERVAL=6", zone="Europe/Paris"), 2))
    assert paris == [START, datetime(2026, 7, 1, 8, 30, tzinfo=UTC)]


def random_rule(rng: random.Random) -> str:
    frequency = rng.choice(
        ["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"]
    )
    parts = [f"FREQ={frequency}", f"INTERVAL={rng.choice([1, 1, 1, 2, 3, 4, 7, 11])}"]

    def some(low: int, high: int, most: int = 3) -> str:
        return ",".join(map(str, sorted(rng.sample(range(low, high + 1), rng.randint(1, most)))))

    def maybe(part: str, share: float) -> None:
        if rng.random() < share:
            parts.append(part)

    days = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
    maybe(f"BYMONTH={some(1, 12)}", 0.25)
    if frequency != "WEEKLY":
        maybe(f"BYMONTHDAY={some(1, 31)},{rng.choice([-1, -2, 15])}", 0.25)
    if frequency in {"YEARLY", "MONTHLY"} and rng.random() < 0.4:
        parts.append(f"BYDAY={rng.choice([1, 2, 4, -1, -2])}{rng.choice(days)},{rng.choice(days)}")
    else:
        maybe(f"BYDAY={','.join(rng.sample(days, rng.randint(1, 4)))}", 0.4)
    if frequency == "YEARLY":
        maybe(f"BYWEEKNO={some(1, 52)}", 0.1)
        maybe(f"BYYEARDAY={some(1, 365)},-1", 0.1)
    if frequency != "SECONDLY":
        maybe(f"BYHOUR={some(0, 23)}", 0.3)
        maybe(f"BYMINUTE={some(0, 59)}", 0.3)
    if len(parts) > 2 and frequency in {"YEARLY", "MONTHLY", "WEEKLY"}:
        maybe(f"BYSETPOS={rng.choice([1, 2, -1])}", 0.2)
    maybe(f"WKST={rng.choice(days)}", 0.2)
    return ";".join(parts)


@pytest.mark.parametrize("seed", range(8))
def test_random_rules_name_what_dateutil_names_from_the_beginning(seed: int) -> None:
    rng = random.Random(seed)
    compared = 0
    for _ in range(60):
        rrule = random_rule(rng)
        dtstart = START + timedelta(seconds=rng.randrange(3 * 365 * 86_400))
        span = {
            "SECONDLY": DAY / 4,
            "MINUTELY": 4 * DAY,
            "HOURLY": 60 * DAY,
            "DAILY": 900 * DAY,
        }.get(rrule[5:].split(";")[0], 5000 * DAY)
        try:
            ours = CalendarTimes(CalendarRule(rrule=rrule, dtstart=dtstart), "UTC")
        except InvalidRequest:
            continue
        naive = dtstart.replace(tzinfo=None)
        theirs = rrulestr(rrule, dtstart=naive).xafter(naive, inc=True)
        named = (at.replace(tzinfo=UTC) for at in theirs)
        expected = list(takewhile(partial(operator.gt, dtstart + span), named))
        for at in (dtstart - MILLISECOND, *(dtstart + rng.random() * span for _ in range(20))):
            following = next((time for time in expected if time > at), None)
            found = ours.after(at)
            assert following == (found if found and found < dtstart + span else None), (
                rrule,
                dtstart,
                at,
            )
            compared += following is not None
    assert compared > 100


@pytest.mark.parametrize(
    ("rrule", "remedy"),
    [
        ("", "unknown part ''"),
        ("BYHOUR=9", "must have a FREQ, one of YEARLY"),
        ("FREQ=FORTNIGHTLY", "must have a FREQ, one of YEARLY"),
        ("FREQ=DAILY;BYEASTER=1", "unknown part 'BYEASTER'"),
        ("FREQ=DAILY;BYHOUR=9;BYHOUR=10", "BYHOUR twice"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR must be numbers from 0 to 23"),
        ("FREQ=DAILY;BYHOUR=nine", "BYHOUR must be numbers from 0 to 23"),
        ("FREQ=YEARLY;BYMONTH=-1", "BYMONTH must be numbers from 1 to 12"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY must be numbers from -31 to 31"),
        ("FREQ=WEEKLY;BYDAY=MON", "BYDAY must be days such as MO, 2TU or -1FR"),
        ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY must be days such as MO, 2TU or -1FR"),
        ("FREQ=WEEKLY;BYDAY=2MO", "only in a MONTHLY or YEARLY rule"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL must be 1 to 10000"),
        ("FREQ=DAILY;COUNT=2001", "COUNT must be 1 to 2000"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270101T000000Z", "both COUNT and UNTIL"),
        ("FREQ=DAILY;UNTIL=20270101", "UNTIL must be in UTC, as in 20301231T235959Z"),
        ("FREQ=DAILY;WKST=XX", "WKST must be one of MO"),
        (
            "DTSTART:20260101T000000Z\nRRULE:FREQ=DAILY",
            "DTSTART goes into dtstart, EXDATE into exclusions",
        ),
        ("FREQ=SECONDLY;BYHOUR=3", "use a cron rule of six fields"),
        ("FREQ=DAILY;BYSETPOS=1", "BYSETPOS must stand with another part"),
        ("FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30", "never fires"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "never fires"),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=FR", "never fires"),
        ("FREQ=HOURLY;INTERVAL=168;BYDAY=FR", "never fires"),
        ("FREQ=MONTHLY;INTERVAL=12;BYMONTH=3", "never fires"),
        ("FREQ=MINUTELY;INTERVAL=1440;BYHOUR=3", "never fires"),
        ("FREQ=DAILY;UNTIL=20251231T000000Z", "ends before it begins"),
        (
            "FREQ=DAILY;BYMINUTE=" + ",".join(map(str, range(60))) + ";BYHOUR=1,2,3,4,5",
            "over 288 times",
        ),
        ("FREQ=DAILY;" + "X" * 600, "at most 512 characters"),
    ],
)
def test_what_is_wrong_is_refused_with_its_field_and_the_remedy(rrule: str, remedy: str) -> None:
    with pytest.raises(InvalidRequest, match=remedy) as refused:
        CalendarTimes(CalendarRule(rrule=rrule, dtstart=START), "UTC")
    assert [v.field for v in refused.value.violations] == ["calendar.rrule"]


words = st.sampled_from(
    [
        *(
            "FREQ=",
            "DAILY",
            "YEARLY",
            "MONTHLY",
            "WEEKLY",
            ";",
            "=",
            ",",
            "BYDAY=",
            "MO",
            "-1FR",
            "5SU",
        ),
        *(
            "BYMONTH=",
            "2",
            "BYMONTHDAY=",
            "31",
            "-31",
            "COUNT=",
            "BYSETPOS=",
            "9",
            "INTERVAL=",
            "9999",
        ),
        *(
            "BYWEEKNO=",
            "53",
            "BYYEARDAY=",
            "366",
            "BYHOUR=",
            "23",
            "WKST=",
            "UNTIL=",
            "20270101T000000Z",
        ),
    ]
)


@given(rrule=st.text(max_size=40) | st.lists(words, max_size=20).map("".join))
def test_any_text_is_a_rule_or_refused(rrule: str) -> None:
    try:
        times = CalendarTimes(CalendarRule(rrule=rrule, dtstart=START), "Europe/Paris")
    except InvalidRequest:
        return
    found = times.after(START - MILLISECOND)
    assert found is not None
    assert found >= START
