"""Cron expressions: cronsim's arithmetic on wall times, with what people write besides.

cronsim reads expressions as Debian's cron does. What it is not asked for here is daylight saving: it
leaves out some times near changes that do not happen on the full hour, and gives six fields other
rules than five. It sees naive wall times only, and ``wall`` makes instants of them.
"""

from __future__ import annotations

import calendar
import copy
import re
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

from cronsim import CronSim, CronSimError

from later_core.errors import InvalidRequest
from later_core.model.recurrence.rules import CronRule
from later_core.model.recurrence.wall import next_of_fixed, next_of_running
from later_core.model.recurrence.zones import time_zone

EXPRESSION_MAX_LENGTH = 256

_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NEAREST = re.compile(r"([0-9]{1,2})W")
_FORM = (
    "write 'minute hour day-of-month month day-of-week', as in '*/5 9-17 * * MON-FRI', "
    "with a field for seconds in front if need be, or @daily"
)
#: Every combination of date and day of the week that occurs at all occurs within 40 years of any date.
_SOME_DAY = datetime(2026, 1, 1)  # noqa: DTZ001 - a wall time


class CronTimes:
    """When a cron rule fires."""

    def __init__(self, rule: CronRule, default_zone: str) -> None:
        """Raises InvalidRequest about ``cron.expression`` or ``cron.time_zone``."""
        self._zone = time_zone(rule.time_zone or default_zone, "cron.time_zone")
        self._expression = _parse(rule.expression)
        self._next = next_of_running if self._expression.is_running else next_of_fixed

    def after(self, instant: datetime) -> datetime | None:
        """The first time strictly after the instant; None if there is none within 50 years."""
        return self._next(self._expression.next_wall, self._zone, instant)


@dataclass(frozen=True, slots=True)
class _Expression:
    """A parsed expression. It ``is_running`` if its minutes or hours begin with a star: such rules go
    on through the hours, all others name a time of the day (cron(8), on changes of the clock).
    """

    start: _WallTimes
    is_running: bool

    def next_wall(self, wall: datetime) -> datetime | None:
        times = copy.copy(self.start)
        times.dt = wall.replace(microsecond=0)
        return next(times, None)


class _WallTimes(CronSim):
    """cronsim, and what it does not read: ``15W``, the day from Monday to Friday nearest to the 15th."""

    def __init__(self, expression: str) -> None:
        fields = [
            ",".join(_without_idle_step(term) for term in f.split(",")) for f in expression.split()
        ]
        nearest: list[str] = []
        others: list[str] = []
        if len(fields) in {5, 6}:
            for day in fields[-3].split(","):
                (nearest if _NEAREST.fullmatch(day) else others).append(day)
            # Without another day cronsim still wants one; it is taken out again below.
            fields[-3] = ",".join(others) or "1"
        super().__init__(" ".join(fields), _SOME_DAY)
        if nearest and not others:
            self.days = set()
        self._nearest = frozenset(int(day[:-1]) for day in nearest)
        if not self._nearest <= set(range(1, 32)):
            raise CronSimError("Bad day-of-month")

    def match_dom(self, d: date) -> bool:
        return super().match_dom(d) or any(d.day == _workday(d, day) for day in self._nearest)


def _without_idle_step(term: str) -> str:
    """``7-7/2`` is 7, as in Debian's cron; cronsim would take it for ``7/2``, every second from 7 on."""
    bounds, _, step = term.partition("/")
    first, _, last = bounds.partition("-")
    is_idle = step.isdigit() and int(step) > 0 and _number(first) == _number(last)
    return bounds if is_idle and last else term


def _number(text: str) -> str:
    for names in (_DAYS, _MONTHS):
        if text in names:
            return str(names.index(text))
    return text.lstrip("0") or "0"


def _workday(month: date, day: int) -> int | None:
    """The day from Monday to Friday nearest to a day of the month, in the same month."""
    last = calendar.monthrange(month.year, month.month)[1]
    if day > last:
        return None
    weekday = calendar.weekday(month.year, month.month, day)
    if weekday == calendar.SATURDAY:
        return day - 1 if day > 1 else 3
    if weekday == calendar.SUNDAY:
        return day + 1 if day < last else day - 2
    return day


@lru_cache(maxsize=4096)
def _parse(expression: str) -> _Expression:
    text = " ".join(expression[: EXPRESSION_MAX_LENGTH + 1].upper().split())
    if len(text) > EXPRESSION_MAX_LENGTH:
        raise _wrong(f"is longer than {EXPRESSION_MAX_LENGTH} characters; use several rules")
    if not text.isascii():
        raise _wrong(f"{text!r} has characters that no expression has; {_FORM}")
    if text.startswith("@"):
        text = _expand(text.lower())
    try:
        start = _WallTimes(text)
    except CronSimError as error:
        raise _wrong(f"{text!r}: {_explain(text, str(error))}; {_FORM}") from None
    if next(copy.copy(start), None) is None:
        raise _wrong(f"{text!r} never fires: no month has such a day")
    minute, hour = text.split()[-5:-3]
    return _Expression(start, minute.startswith("*") or hour.startswith("*"))


def _expand(nickname: str) -> str:
    if nickname == "@reboot":
        raise _wrong(
            "'@reboot' names no time: a schedule belongs to all nodes and not to one machine's start;"
            " create an instance from the machine's own service manager instead"
        )
    if nickname.startswith("@every"):
        raise _wrong(f"{nickname!r} is not a cron expression; use an interval rule")
    if nickname not in _NICKNAMES:
        raise _wrong(f"{nickname!r} is not known; write one of {', '.join(_NICKNAMES)}")
    return _NICKNAMES[nickname]


def _explain(text: str, fault: str) -> str:
    fields = len(text.split())
    if fields not in {5, 6}:
        return f"it has {fields} fields, not 5 or 6"
    if "?" in text:
        return "'?' is not understood, '*' says the same"
    if fault == "Bad day-of-month":
        return "bad day-of-month, or no such month has this day and it never fires"
    if fault == "Bad day-of-week":
        return "bad day-of-week (a range that ends on a Sunday ends on 7)"
    return fault[:1].lower() + fault[1:]


def _wrong(description: str) -> InvalidRequest:
    return InvalidRequest.of("cron.expression", description)
