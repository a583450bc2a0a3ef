"""The text of a recurrence rule of RFC 5545: what is in it, and whether Later can follow it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from dateutil.rrule import rrule, rrulestr

from later_core.errors import InvalidRequest

TEXT_MAX_LENGTH = 512
COUNT_MAX = 2000
INTERVAL_MAX = 10_000
TIMES_OF_DAY_MAX = 288

#: Parts that choose days. Without any, the day is that of ``dtstart``.
_DAYS = {"BYMONTHDAY", "BYDAY", "BYYEARDAY", "BYWEEKNO"}
_TIMES = {"BYHOUR": 23, "BYMINUTE": 59, "BYSECOND": 59}
_NUMBERS = {"BYMONTH": 12, "BYMONTHDAY": 31, "BYYEARDAY": 366, "BYWEEKNO": 53, "BYSETPOS": 366}
_OTHERS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY"}
_KNOWN = _OTHERS | _TIMES.keys() | _NUMBERS.keys()
_MAY_BE_NEGATIVE = {"BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS"}
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_BYDAY = re.compile(r"(?:[+-]?[1-9][0-9]?)?(?:MO|TU|WE|TH|FR|SA|SU)")
_FORM = "write it as in 'FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=9;BYMINUTE=30'"
_FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")


@dataclass(frozen=True, slots=True)
class RuleText:
    """A rule that was read. ``until`` is the last instant it may name.

    ``parts`` are those of the text, in upper case. If it does not choose days, dtstart does.
    """

    parts: dict[str, str]
    until: datetime | None
    count: int | None

    @property
    def is_finer_than_daily(self) -> bool:
        """Whether the rule goes on through the hours."""
        return self.parts["FREQ"] in {"HOURLY", "MINUTELY", "SECONDLY"}

    @property
    def chooses_days(self) -> bool:
        return not _DAYS.isdisjoint(self.parts)

    def without(self, *names: str) -> str:
        """The text of the rule without some of its parts."""
        return ";".join(
            f"{name}={value}" for name, value in self.parts.items() if name not in names
        )


def read(text: str) -> RuleText:
    """Take a rule apart and check it.

    Raises:
        InvalidRequest: ``calendar.rrule`` is wrong, or names what could not be followed in bounded
            time.

    """
    parts = _split(text)
    for name, value in parts.items():
        _check(name, value)
    if parts.get("FREQ") not in _FREQUENCIES:
        raise _wrong(f"must have a FREQ, one of {', '.join(_FREQUENCIES)}")
    count = int(parts["COUNT"]) if "COUNT" in parts else None
    if count is not None and "UNTIL" in parts:
        raise _wrong("must not have both COUNT and UNTIL; leave one out")
    _check_together(parts)
    until = _until(parts["UNTIL"]) if "UNTIL" in parts else None
    return RuleText(parts, until, count)


def parse(text: str, dtstart: datetime) -> rrule:
    """The rule that dateutil makes of a checked text without UNTIL, from a naive wall time.

    Raises:
        InvalidRequest: dateutil finds that it can never be met.

    """
    try:
        parsed = rrulestr(text, dtstart=dtstart)
    except (ValueError, KeyError) as error:
        raise _wrong(f"cannot be followed: {error}; {_FORM}") from None
    if not isinstance(parsed, rrule):
        raise _wrong(_FORM)
    return parsed


def never_fires() -> InvalidRequest:
    """The error for a rule that no date meets."""
    return _wrong("never fires: no date meets all of its parts; leave one out")


def ends_before_it_begins() -> InvalidRequest:
    """The error for a rule whose UNTIL lies before its first time."""
    return _wrong("ends before it begins; UNTIL must be later than dtstart")


def _split(text: str) -> dict[str, str]:
    if len(text) > TEXT_MAX_LENGTH:
        raise _wrong(f"must have at most {TEXT_MAX_LENGTH} characters; use several rules")
    body = text.strip().upper().removeprefix("RRULE:")
    if "\n" in body or ":" in body:
        raise _wrong("must be one RRULE alone: DTSTART goes into dtstart, EXDATE into exclusions")
    parts: dict[str, str] = {}
    for item in body.split(";"):
        name, _, value = item.partition("=")
        if name not in _KNOWN:
            raise _wrong(f"has an unknown part {name[:32]!r}; {_FORM}")
        if name in parts:
            raise _wrong(f"has {name} twice; write its values with commas between")
        parts[name] = value
    return parts


def _check(name: str, value: str) -> None:
    if name in {"COUNT", "INTERVAL"}:
        most = COUNT_MAX if name == "COUNT" else INTERVAL_MAX
        if not re.fullmatch(r"[0-9]{1,5}", value) or not 1 <= int(value) <= most:
            raise _wrong(f"{name} must be 1 to {most}")
    elif name in _TIMES or name in _NUMBERS:
        most = _TIMES.get(name) or _NUMBERS[name]
        least = 0 if name in _TIMES else -most if name in _MAY_BE_NEGATIVE else 1
        for item in value.split(","):
            number = int(item) if re.fullmatch(r"[+-]?[0-9]{1,3}", item) else most + 1
            if not least <= number <= most or (number == 0 and name not in _TIMES):
                raise _wrong(f"{name} must be numbers from {least} to {most}")
    elif name == "BYDAY" and not all(_BYDAY.fullmatch(item) for item in value.split(",")):
        raise _wrong("BYDAY must be days such as MO, 2TU or -1FR")
    elif name == "WKST" and value not in _WEEKDAYS:
        raise _wrong(f"WKST must be one of {', '.join(_WEEKDAYS)}")


def _check_together(parts: dict[str, str]) -> None:
    frequency = parts["FREQ"]
    if re.search(r"[0-9]", parts.get("BYDAY", "")) and frequency not in {"YEARLY", "MONTHLY"}:
        raise _wrong("BYDAY may count days, such as 2TU, only in a MONTHLY or YEARLY rule")
    if "BYWEEKNO" in parts and frequency != "YEARLY":
        raise _wrong("BYWEEKNO may stand only in a YEARLY rule")
    if "BYYEARDAY" in parts and frequency in {"DAILY", "WEEKLY", "MONTHLY"}:
        raise _wrong(f"BYYEARDAY may not stand in a {frequency} rule")
    if "BYMONTHDAY" in parts and frequency == "WEEKLY":
        raise _wrong("BYMONTHDAY may not stand in a WEEKLY rule")
    if "BYSETPOS" in parts and not any(n.startswith("BY") and n != "BYSETPOS" for n in parts):
        raise _wrong("BYSETPOS must stand with another part that begins with BY")
    if frequency == "SECONDLY" and not {"BYHOUR", "BYMINUTE"}.isdisjoint(parts):
        raise _wrong(
            "a SECONDLY rule may not have BYHOUR or BYMINUTE; use a cron rule of six fields"
        )
    a_day = 1
    for name in _TIMES:
        a_day *= len(parts[name].split(",")) if name in parts else 1
    if a_day > TIMES_OF_DAY_MAX:
        raise _wrong(
            f"names over {TIMES_OF_DAY_MAX} times of a day; use a finer FREQ or a cron rule"
        )


def _until(value: str) -> datetime:
    try:
        return datetime.strptime(value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _wrong("UNTIL must be in UTC, as in 20301231T235959Z") from None


def _wrong(description: str) -> InvalidRequest:
    return InvalidRequest.of("calendar.rrule", description)
