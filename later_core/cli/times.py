"""Times and durations as people type and read them.

What means "so long from now" is kept as a duration: the database's clock then counts it, and a
wrong clock on this machine does no harm.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from later_core.model.duration import parse_duration
from later_core.model.instant import EARLIEST, LATEST
from later_core.model.limits import DURATION_MAX
from later_core.model.recurrence.wall import to_instant

#: An instant, or so long from now.
When = datetime | timedelta

_WORDS = re.compile(
    r"(?<=[\d\s])(?:(milliseconds?)|(sec(?:ond)?s?)|(min(?:ute)?s?)|(hours?|hrs?)|(days?)|(weeks?))\b",
    re.IGNORECASE,
)
#: 01/02/2030, 2030-13-01, 12.5: everybody reads them another way. Dates in digits are ISO 8601.
_GUESSWORK = re.compile(r"\d[-/.]\d")
_WORD_OR_CLOCK = re.compile(r"[a-z]{3}|^\d{1,2}:\d\d", re.IGNORECASE)
_LETTERS = ("ms", "s", "m", "h", "d", "w")


def parse_when(text: str, now: datetime, zone: ZoneInfo | None = None) -> When:
    """What a person means by ``text``: ``now``, ``in 5 minutes``, ``5m``, ISO 8601, ``tomorrow 09:00``.

    A time without a zone of its own is in ``zone``, else local time. Raises ValueError with one line
    that says what is accepted.
    """
    text = text.strip()
    if text.lower() == "now":
        return timedelta(0)
    from_now = _parse_from_now(text)
    if from_now is not None:
        return from_now
    instant = _parse_iso(text) or _parse_words(text, now.astimezone(zone))
    if instant is None:
        raise ValueError(
            f"{text!r} is not a time; write ISO 8601 (2030-01-31T09:00:00Z),"
            " 'in 5 minutes', '5m' or 'tomorrow 09:00' (without a zone:"
            f" {'local time' if zone is None else zone.key})"
        )
    return _in_range(text, instant, zone)


def parse_instant(text: str, now: datetime, zone: ZoneInfo | None = None) -> datetime:
    """As ``parse_when``, with so long from now counted by this machine's clock: for filters."""
    when = parse_when(text, now, zone)
    return when if isinstance(when, datetime) else now + when


def _parse_from_now(text: str) -> timedelta | None:
    text = re.sub(r"^in\s+", "", text, flags=re.IGNORECASE)
    text = _WORDS.sub(lambda match: _LETTERS[(match.lastindex or 1) - 1], text)
    if re.fullmatch(r"[\d.]*", text):
        return None  # seconds from now, or since 1970? Nobody knows.
    try:
        duration = parse_duration(re.sub(r"\s*(,|\band\b)\s*", " ", text))
    except ValueError:
        return None
    if duration > DURATION_MAX:
        raise ValueError(f"{text!r} is more than {DURATION_MAX.days} days away")
    return duration


def _parse_iso(text: str) -> datetime | None:
    if text.isdecimal() and len(text) != len("YYYYMMDD"):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _parse_words(text: str, now: datetime) -> datetime | None:
    if _GUESSWORK.search(text) or not _WORD_OR_CLOCK.search(text):
        return None
    import dateparser  # slow to load, and seldom needed

    return dateparser.parse(
        text,
        languages=["en"],
        settings={
            "RELATIVE_BASE": now.replace(tzinfo=None),
            "PREFER_DATES_FROM": "future",
        },
    )


def _in_range(text: str, instant: datetime, zone: ZoneInfo | None) -> datetime:
    try:
        if zone is not None and instant.tzinfo is None:
            instant = to_instant(instant, zone)
        instant = instant.astimezone(UTC)
    except (OverflowError, ValueError):
        instant = LATEST
    if not EARLIEST <= instant < LATEST:
        raise ValueError(f"{text!r} is not between {EARLIEST.year} and {LATEST.year}")
    return instant


def iso(instant: datetime) -> str:
    """ISO 8601 in UTC, to the millisecond: ``2030-01-31T09:00:00.000Z``."""
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def relative(instant: datetime, now: datetime) -> str:
    """How far away, in the largest sensible unit: ``in 5 min``, ``3 h ago``, ``now``."""
    seconds = (instant - now).total_seconds()
    if abs(seconds) < 1:
        return "now"
    amount = spell(abs(seconds))
    return f"in {amount}" if seconds > 0 else f"{amount} ago"


def spell(seconds: float) -> str:
    """A length of time in its largest sensible unit, rounded: ``90 s``, ``5 min``, ``3 d``."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{round(seconds / size)} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def spell_late(span: timedelta) -> str:
    """How late: in milliseconds as long as those mean something, else as ``spell`` does."""
    if span >= timedelta(seconds=10):
        return spell(span.total_seconds())
    return f"{span / timedelta(milliseconds=1):.1f} ms"
