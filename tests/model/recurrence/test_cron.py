"""Cron expressions mean what crontab(5) says, and what is wrong is refused with a remedy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from later_core.errors import InvalidRequest
from later_core.model.recurrence.cron import CronTimes
from later_core.model.recurrence.rules import CronRule

# A Thursday.
START = datetime(2026, 1, 1, tzinfo=UTC)


def times_of(expression: str, count: int, start: datetime = START, zone: str = "UTC") -> list[str]:
    times = CronTimes(CronRule(expression=expression), zone)

    def found(at: datetime | None = start) -> Iterator[datetime]:
        while at is not None and (at := times.after(at)) is not None:
            yield at

    return [f"{at:%Y-%m-%d %H:%M:%S}" for at in islice(found(), count)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/20 * * * *", ["2026-01-01 00:20:00", "2026-01-01 00:40:00", "2026-01-01 01:00:00"]),
        (
            "30 9-10 * * MON-FRI",
            ["2026-01-01 09:30:00", "2026-01-01 10:30:00", "2026-01-02 09:30:00"],
        ),
        ("0 0 * * 0", ["2026-01-04 00:00:00", "2026-01-11 00:00:00"]),
        ("0 0 * * 7", ["2026-01-04 00:00:00", "2026-01-11 00:00:00"]),
        ("0 0 * * fri-7", ["2026-01-02 00:00:00", "2026-01-03 00:00:00", "2026-01-04 00:00:00"]),
        ("0 0 1 feb,APR *", ["2026-02-01 00:00:00", "2026-04-01 00:00:00"]),
        ("7-7/2 3 * * *", ["2026-01-01 03:07:00", "2026-01-02 03:07:00"]),
        ("0 3 * * MON-1/2", ["2026-01-05 03:00:00", "2026-01-12 03:00:00"]),
        ("0 20/2 * * *", ["2026-01-01 20:00:00", "2026-01-01 22:00:00", "2026-01-02 20:00:00"]),
        ("15 30 4 * * *", ["2026-01-01 04:30:15", "2026-01-02 04:30:15"]),
        ("*/30 * * * * *", ["2026-01-01 00:00:30", "2026-01-01 00:01:00"]),
        ("@hourly", ["2026-01-01 01:00:00", "2026-01-01 02:00:00"]),
        ("@daily", ["2026-01-02 00:00:00", "2026-01-03 00:00:00"]),
        ("@Midnight", ["2026-01-02 00:00:00"]),
        ("@weekly", ["2026-01-04 00:00:00"]),
        ("@monthly", ["2026-02-01 00:00:00"]),
        ("@yearly", ["2027-01-01 00:00:00"]),
        ("@annually", ["2027-01-01 00:00:00"]),
        ("0 0 L * *", ["2026-01-31 00:00:00", "2026-02-28 00:00:00"]),
        ("0 0 LW * *", ["2026-01-30 00:00:00", "2026-02-27 00:00:00"]),
        # The 15th of February and of March 2026 are Sundays, the 15th of August is a Saturday.
        ("0 0 15W 2-4 *", ["2026-02-16 00:00:00", "2026-03-16 00:00:00", "2026-04-15 00:00:00"]),
        ("0 0 15W 8 *", ["2026-08-14 00:00:00"]),
        # The nearest within the month: Saturday the 1st goes forward, Sunday the 31st back.
        ("0 0 1W 8 *", ["2026-08-03 00:00:00"]),
        ("0 0 31W 5 *", ["2026-05-29 00:00:00"]),
        ("0 0 31W 1-3 *", ["2026-01-30 00:00:00", "2026-03-31 00:00:00", "2027-01-29 00:00:00"]),
        ("0 0 1,15W * *", ["2026-01-15 00:00:00", "2026-02-01 00:00:00", "2026-02-16 00:00:00"]),
        ("0 0 * * 5L", ["2026-01-30 00:00:00", "2026-02-27 00:00:00"]),
        ("0 0 * * MON#2", ["2026-01-12 00:00:00", "2026-02-09 00:00:00"]),
        ("0 0 29 2 *", ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
        ("0 0 * 2 MON#5", ["2044-02-29 00:00:00", "2072-02-29 00:00:00"]),
    ],
)
def test_what_an_expression_means(expression: str, expected: list[str]) -> None:
    assert times_of(expression, len(expected)) == expected


def test_two_restricted_day_fields_are_joined_by_or() -> None:
    found = times_of("0 0 13 * FRI", 4)
    assert found == [f"2026-01-{day} 00:00:00" for day in ("02", "09", "13", "16")]


def test_a_day_field_that_begins_with_a_star_is_joined_by_and() -> None:
    # Debian's cron looks at the first character alone: every second day that is a Friday.
    found = times_of("0 0 */2 * FRI", 3)
    assert found == [f"2026-{day} 00:00:00" for day in ("01-09", "01-23", "02-13")]


def test_wall_times_are_those_of_the_time_zone() -> None:
    assert times_of("30 2 * * *", 1, zone="Asia/Kathmandu") == ["2026-01-01 20:45:00"]
    own = CronTimes(CronRule(expression="30 2 * * *", time_zone="Asia/Kathmandu"), "America/Lima")
    assert own.after(START) == datetime(2026, 1, 1, 20, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "remedy"),
    [
        ("", r"it has 0 fields, not 5 or 6; write 'minute hour day-of-month month day-of-week'"),
        ("* * * *", r"it has 4 fields"),
        ("0 0 12 * * ? 2026", r"it has 7 fields"),
        ("60 * * * *", "bad minute"),
        ("* 24 * * *", "bad hour"),
        ("* * 0 * *", "bad day-of-month"),
        ("* * * 13 *", "bad month"),
        ("* * * * 8", "bad day-of-week"),
        ("60 * * * * *", "bad second"),
        ("0 0 * * FRI-SUN", r"a range that ends on a Sunday ends on 7"),
        ("0 0 ? * MON", r"'\?' is not understood, '\*' says the same"),
        ("*/0 * * * *", "bad minute"),
        ("0 0 1,,2 * *", "bad day-of-month"),
        ("0 0 32W * *", "bad day-of-month"),
        ("0 0 30 2 *", "no such month has this day and it never fires"),
        ("0 0 31 4,6 *", "no such month has this day and it never fires"),
        ("0 0 30W 2 *", "never fires: no month has such a day"),
        ("@reboot", r"a schedule belongs to all nodes and not to one machine's start"),
        ("@every 5m", "use an interval rule"),
        ("@fortnightly", r"write one of @yearly, @annually"),
        ("* " * 200, "longer than 256 characters"),
        ("9" * 200 + " * * * *", "bad minute"),
        ("\N{ARABIC-INDIC DIGIT THREE} * * * *", "characters that no expression has"),
    ],
)
def test_what_is_wrong_is_refused_with_its_field_and_the_remedy(
    expression: str, remedy: str
) -> None:
    with pytest.raises(InvalidRequest, match=remedy) as refused:
        CronTimes(CronRule(expression=expression), "UTC")
    assert [v.field for v in refused.value.violations] == ["cron.expression"]


def test_an_unknown_time_zone_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidRequest, match=r"cron.time_zone: 'Europe/Pariss' .* 'Europe/Paris'"):
        CronTimes(CronRule(expression="* * * * *", time_zone="Europe/Pariss"), "UTC")


terms = st.text(alphabet="0123456789*/-,LW#?JANMONSUN ", max_size=30)


@given(
    expression=st.text(max_size=40)
    | terms
    | st.lists(terms.map(lambda t: t.replace(" ", "") or "*"), min_size=5, max_size=6).map(" ".join)
)
@example(expression="0 0 L/2 * *")
@example(expression="0 0 LW/2 * *")
@example(expression="0 0 * * MON#2/3")
@example(expression="0 0 1-W * *")
@example(expression="0 0 15W/2 * *")
@example(expression="0-0/2²  * * * *")
@example(expression="²-²/2  * * * *")
def test_any_text_is_an_expression_or_refused(expression: str) -> None:
    with contextlib.suppress(InvalidRequest):
        found = CronTimes(CronRule(expression=expression), "Europe/Paris").after(START)
        assert found is not None
        assert found > START


@given(
    start=st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis wants naive bounds
    zone=st.sampled_from(["UTC", "Europe/Paris", "Australia/Lord_Howe", "America/Sao_Paulo"]),
)
def test_times_are_after_the_instant_and_on_whole_seconds(start: datetime, zone: str) -> None:
    for expression in ("*/7 * * * *", "30 2 * * *", "*/13 59 23 * * *"):
        found = CronTimes(CronRule(expression=expression), zone).after(start)
        assert found is not None
        assert start < found < start + timedelta(days=3)
        assert found.microsecond == 0
        assert found.utcoffset() == timedelta(0)
