"""Compare our times of cron expressions with those of other libraries, on many random expressions.

    python tests/model/oracle_cron.py --rules 100000

- python-dateutil, as recurrence rules that this program makes of the fields itself: must agree always.
- cronsim, asked directly in the time zone: must agree but where DIFFERENCES says why.
- croniter: must agree but where DIFFERENCES says why.

Ends with 1 and the first expressions at fault if there is a difference that nobody has explained.
"""

from __future__ import annotations

import argparse
import calendar
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice
from zoneinfo import ZoneInfo

from croniter import CroniterError, croniter
from cronsim import CronSim
from dateutil.rrule import MONTHLY, rrule, weekday

from later_core.errors import InvalidRequest
from later_core.model.recurrence.cron import CronTimes
from later_core.model.recurrence.rules import CronRule
from later_core.model.recurrence.zones import time_zone

TIMES = 5
YEARS = 9
ZONES = (
    "UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kathmandu",
    "Africa/Casablanca", "America/Havana", "Pacific/Chatham", "Asia/Beirut",
)  # fmt: skip
DAY_NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MONTH_NAMES = tuple(name.upper() for name in calendar.month_abbr)[1:]

DIFFERENCES = {
    "cronsim: a step in a range from a number to itself": (
        "cronsim takes 7-7/2 for 7/2, every second from 7 on; in crontab(5) it is 7"
    ),
    "cronsim: near a change of the clock": (
        "cronsim steps in real hours and minutes from the full hour, and so misses or adds times of running"
        " rules where a gap or fold does not begin and end on a full hour; and asked within the second"
        " round of a fold it answers with a time of the first round, which lies before the question"
    ),
    "croniter: a step from a star in a day field": (
        "crontab(5) joins day-of-month and day-of-week by AND if one begins with a star, */2 included;"
        " croniter joins them by OR unless one is a bare star"
    ),
    "croniter: a range from a number to itself": (
        "croniter takes 7-7 for all values and 7-7/2 for every second of all; in crontab(5) both are 7"
    ),
    "croniter: 5L or MON#2 beside days of the month": (
        "croniter joins them by AND; crontab(5) has OR for two day fields without stars"
    ),
}


@dataclass(frozen=True)
class Field:
    """The text of one field, and what it means, made together."""

    text: str
    values: frozenset[int]

    @property
    def has_star(self) -> bool:
        return self.text.startswith("*")


@dataclass(frozen=True)
class Expression:
    second: Field | None
    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field
    #: What the day fields say that is no number: the arguments of dateutil's rrule for it.
    special_day: dict[str, object] | None = None
    special_weekday: dict[str, object] | None = None

    @property
    def text(self) -> str:
        fields = [self.minute, self.hour, self.day, self.month, self.weekday]
        return " ".join(f.text for f in ([self.second, *fields] if self.second else fields))


def random_field(rng: random.Random, low: int, high: int, names: tuple[str, ...] = ()) -> Field:
    kind = rng.random()
    if kind < 0.25:
        return Field("*", frozenset(range(low, high + 1)))
    if kind < 0.45:
        step = rng.choice((1, 2, 3, 5, 7, 10, 15, 20, high))
        return Field(f"*/{step}", frozenset(range(low, high + 1, step)))
    texts, values = [], set()
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        first = rng.randint(low, high)
        if rng.random() < 0.6:
            texts.append(names[first - low] if names and rng.random() < 0.5 else str(first))
            values.add(first)
            continue
        last = rng.randint(first, high)
        step = rng.choice((1, 1, 2, 3, 4))
        texts.append(f"{first}-{last}" + (f"/{step}" if step > 1 else ""))
        values.update(range(first, last + 1, step))
    return Field(",".join(texts), frozenset(values))


def random_expression(rng: random.Random) -> Expression:
    day: Field = random_field(rng, 1, 31)
    week: Field = random_field(rng, 0, 7, (*DAY_NAMES, "SUN"))
    special_day: dict[str, object] | None = None
    special_weekday: dict[str, object] | None = None
    if rng.random() < 0.08:
        day, special_day = Field("L", frozenset()), {"bymonthday": -1}
    elif rng.random() < 0.04:
        workdays = [weekday(n) for n in range(5)]
        day, special_day = Field("LW", frozenset()), {"byweekday": workdays, "bysetpos": -1}
    if rng.random() < 0.1:
        number, nth = rng.randint(0, 7), rng.randint(1, 5)
        text = f"{number}#{nth}" if rng.random() < 0.5 else f"{number}L"
        on = weekday((number - 1) % 7)(nth if "#" in text else -1)
        week, special_weekday = Field(text, frozenset()), {"byweekday": on}
    return Expression(
        second=random_field(rng, 0, 59) if rng.random() < 0.2 else None,
        minute=random_field(rng, 0, 59),
        hour=random_field(rng, 0, 23),
        day=day,
        month=random_field(rng, 1, 12, MONTH_NAMES),
        weekday=week,
        special_day=special_day,
        special_weekday=special_weekday,
    )


def in_both(one: Iterator[datetime], other: Iterator[datetime]) -> Iterator[datetime]:
    left, right = next(one, None), next(other, None)
    while left is not None and right is not None:
        if left == right:
            yield left
        if left <= right:
            left = next(one, None)
        else:
            right = next(other, None)


def by_dateutil(expression: Expression, start: datetime) -> Iterator[datetime]:
    """The same times from python-dateutil, in UTC, for nine years."""
    begin = start.replace(tzinfo=None, day=1, hour=0, minute=0, second=0, microsecond=0)

    def dates(condition: dict[str, object]) -> Iterator[datetime]:
        end = begin + timedelta(days=YEARS * 365)
        months = expression.month.values
        return iter(rrule(MONTHLY, dtstart=begin, until=end, bymonth=months, **condition))

    days = dates(expression.special_day or {"bymonthday": expression.day.values})
    on = {(number - 1) % 7 for number in expression.weekday.values}
    weekdays = dates(expression.special_weekday or {"byweekday": on})
    has_star = expression.day.has_star or expression.weekday.has_star
    chosen = in_both(days, weekdays) if has_star else merge(days, weekdays)
    previous = None
    for date in chosen:
        if date == previous or date.date() < start.date():
            continue
        previous = date
        for hour in sorted(expression.hour.values):
            for minute in sorted(expression.minute.values):
                for second in sorted(expression.second.values) if expression.second else [0]:
                    at = date.replace(hour=hour, minute=minute, second=second, tzinfo=UTC)
                    if at > start:
                        yield at


def by_cronsim(expression: Expression, start: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    return (at.astimezone(UTC) for at in CronSim(expression.text, start.astimezone(zone)))


def by_croniter(expression: Expression, start: datetime) -> Iterator[datetime] | None:
    """None if croniter cannot read it. What is 5L in cron is L5 in croniter."""
    text = re.sub(r"([0-7])L$", lambda found: f"L{int(found[1]) % 7}", expression.text)
    try:
        found = croniter(text, start, second_at_beginning=True, max_years_between_matches=YEARS)
    except CroniterError:
        return None
    return found.all_next(datetime)


def by_us(expression: Expression, start: datetime, zone: str) -> Iterator[datetime]:
    times = CronTimes(CronRule(expression=expression.text), zone)
    found = times.after(start)
    while found is not None:
        yield found
        found = times.after(found)


def is_near_a_change(start: datetime, times: list[datetime], zone: ZoneInfo) -> bool:
    """Whether the clock changes within three days of the question or an answer."""
    return any(
        at.astimezone(zone).utcoffset() != (at + timedelta(days=days)).astimezone(zone).utcoffset()
        for at in (start, *times)
        for days in (-3, -1, 1, 3)
    )


def explained(
    who: str, expression: Expression, start: datetime, times: list[datetime], zone: ZoneInfo
) -> str | None:
    """Which of DIFFERENCES it is, if any."""
    if who == "cronsim" and is_near_a_change(start, times, zone):
        return "cronsim: near a change of the clock"
    starred = [f for f in (expression.day, expression.weekday) if f.has_star and f.text != "*"]
    if who == "croniter" and starred:
        return "croniter: a step from a star in a day field"
    if who == "croniter" and re.search(r"\b([0-9]+)-\1\b", expression.text):
        return "croniter: a range from a number to itself"
    if who == "croniter" and expression.special_weekday and expression.day.text != "*":
        return "croniter: 5L or MON#2 beside days of the month"
    if who == "cronsim" and re.search(r"\b([0-9]+)-\1/", expression.text):
        return "cronsim: a step in a range from a number to itself"
    return None


def compare(rng: random.Random, counts: Counter[str]) -> str | None:
    """One random expression at a random time; what nobody explained, if anything."""
    expression = random_expression(rng)
    start = datetime(1975, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(100 * 365 * 86_400))
    name = rng.choice(ZONES)
    zone = time_zone(name)
    try:
        in_utc = list(islice(by_us(expression, start, "UTC"), TIMES))
    except InvalidRequest:
        counts["never fires"] += 1
        return (
            None
            if next(by_dateutil(expression, start), None) is None
            else f"{expression.text}: refused"
        )
    in_zone = list(islice(by_us(expression, start, name), TIMES))
    answers = [
        ("dateutil", in_utc, by_dateutil(expression, start)),
        ("croniter", in_utc, by_croniter(expression, start)),
        ("cronsim", in_zone, by_cronsim(expression, start, zone)),
    ]
    for who, times, theirs in answers:
        if theirs is None:
            counts[f"{who} cannot read it"] += 1
            continue
        # The others look no further than so many years.
        ours = [at for at in times if at < start + timedelta(days=(YEARS - 1) * 365)]
        found = list(islice(theirs, len(ours)))
        if found == ours:
            counts[f"{who} agrees"] += 1
        elif why := explained(who, expression, start, [*ours, *found], zone):
            counts[why] += 1
        else:
            return f"{who}: {expression.text!r} from {start} in {name}:\n  {found}\n  ours {ours}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare cron expressions with other libraries.")
    parser.add_argument("--rules", type=int, default=1000, help="how many random expressions")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    counts: Counter[str] = Counter()
    faults = [fault for _ in range(options.rules) if (fault := compare(rng, counts))]
    for what, count in sorted(counts.items()):
        print(f"{count:>8}  {what}")
        if what in DIFFERENCES:
            print(f"          {DIFFERENCES[what]}")
    for fault in faults[:20]:
        print(f"UNEXPLAINED {fault}")
    print(f"{options.rules} expressions, {len(faults)} differences that nobody has explained")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
