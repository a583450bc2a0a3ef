"""Times as people type and read them."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.cli.times import iso, parse_instant, parse_when, relative, spell_late
from later_core.model.instant import EARLIEST, LATEST

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def kathmandu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine in a zone that is never UTC: +05:45."""
    monkeypatch.setitem(os.environ, "TZ", "Asia/Kathmandu")  # noqa: TID251 - the zone of the process
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("now", 0),
        ("5m", 300),
        ("in 5m", 300),
        ("in 5 minutes", 300),
        ("5 min", 300),
        ("1h30m", 5400),
        ("1 hour, 5 minutes and 3 seconds", 3903),
        ("in 2 weeks", 1_209_600),
        ("500ms", 0.5),
        ("PT5M", 300),
        ("  In 10 Seconds ", 10),
    ],
)
def test_so_long_from_now_stays_a_duration(text: str, seconds: float):
    assert parse_when(text, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2030-01-31T09:00:00Z", datetime(2030, 1, 31, 9, tzinfo=UTC)),
        ("2030-01-31T09:00:00+02:00", datetime(2030, 1, 31, 7, tzinfo=UTC)),
        ("2030-01-31 09:00:00.123456Z", datetime(2030, 1, 31, 9, 0, 0, 123456, tzinfo=UTC)),
        ("tomorrow 09:00 UTC", datetime(2030, 1, 2, 9, tzinfo=UTC)),
    ],
)
def test_a_time_with_a_zone_is_that_instant(text: str, instant: datetime):
    assert parse_when(text, NOW) == instant


@pytest.mark.usefixtures("kathmandu")
@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2030-01-31T09:00", datetime(2030, 1, 31, 3, 15, tzinfo=UTC)),
        ("2030-01-31", datetime(2030, 1, 30, 18, 15, tzinfo=UTC)),
        ("tomorrow 09:00", datetime(2030, 1, 2, 3, 15, tzinfo=UTC)),
        # It is 17:45 there.
        ("17:50", datetime(2030, 1, 1, 12, 5, tzinfo=UTC)),
        ("17:40", datetime(2030, 1, 2, 11, 55, tzinfo=UTC)),
    ],
)
def test_a_time_without_a_zone_is_local(text: str, instant: datetime):
    assert parse_when(text, NOW) == instant


@pytest.mark.parametrize(
    "text",
    ["", "soon", "300", "in 300", "12.5", "tomorow", "2030-13-01", "01/02/2030 10:00 UTC", "🕰"],
)
def test_what_is_no_time_is_refused_with_what_is_accepted(text: str):
    with pytest.raises(ValueError, match="is not a time; write ISO 8601"):
        parse_when(text, NOW)


@pytest.mark.parametrize("text", ["1969-12-31T23:59:59Z", "9000-01-01T00:00:00Z", "0001-01-01"])
def test_a_time_outside_of_what_can_be_scheduled_is_refused(text: str):
    with pytest.raises(ValueError, match="is not between 1970 and 9000"):
        parse_when(text, NOW)


def test_too_long_from_now_is_refused():
    with pytest.raises(ValueError, match="more than 36500 days"):
        parse_when("in 9999999 hours", NOW)


def test_a_filter_counts_from_this_machines_now():
    assert parse_instant("5m", NOW) == NOW + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2030-07-01T09:00", "2030-07-01T07:00:00Z"),
        ("2030-01-01", "2029-12-31T23:00:00Z"),
        ("2030-07-01T09:00Z", "2030-07-01T09:00:00Z"),
        ("2030-07-01T09:00+05:00", "2030-07-01T04:00:00Z"),
        # Neither 02:30 exists on the day of the gap nor is it once on that of the fold.
        ("2030-03-31T02:30", "2030-03-31T01:00:00Z"),
        ("2030-10-27T02:30", "2030-10-27T00:30:00Z"),
        ("tomorrow 09:00", None),
    ],
)
def test_a_time_without_a_zone_is_in_the_one_that_is_given(text: str, expected: str | None):
    paris = ZoneInfo("Europe/Paris")
    found = parse_when(text, NOW, paris)
    assert isinstance(found, datetime)
    if expected is None:
        local = found.astimezone(paris)
        assert (local.hour, local.minute) == (9, 0)
        assert local.date() == NOW.astimezone(paris).date() + timedelta(days=1)
    else:
        assert found == datetime.fromisoformat(expected)


def test_the_zone_is_named_where_a_time_is_not_understood():
    with pytest.raises(ValueError, match="without a zone: Europe/Paris"):
        parse_when("someday", NOW, ZoneInfo("Europe/Paris"))


@given(
    st.text(max_size=40), st.sampled_from([None, ZoneInfo("Europe/Paris"), ZoneInfo("Asia/Tokyo")])
)
def test_any_text_is_a_time_or_refused(text: str, zone: ZoneInfo | None):
    try:
        when = parse_when(text, NOW, zone)
    except ValueError:
        return
    assert isinstance(when, timedelta) or EARLIEST <= when < LATEST


@given(st.datetimes(EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None, year=8999)))
def test_what_is_written_is_read_back_to_the_millisecond(naive: datetime):
    instant = naive.replace(tzinfo=UTC, microsecond=naive.microsecond // 1000 * 1000)
    assert parse_when(iso(instant), NOW) == instant


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "now"),
        (-0.4, "now"),
        (5, "in 5 s"),
        (119, "in 119 s"),
        (121, "in 2 min"),
        (-7300, "2 h ago"),
        (-86_400 * 3, "3 d ago"),
    ],
)
def test_how_far_away_is_told_in_the_largest_sensible_unit(seconds: float, text: str):
    assert relative(NOW + timedelta(seconds=seconds), NOW) == text


def test_lateness_is_told_in_milliseconds():
    assert spell_late(timedelta(microseconds=1250)) == "1.2 ms"
    assert spell_late(timedelta(hours=24)) == "24 h"
