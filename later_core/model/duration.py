"""Durations as people write them: ``300``, ``5m``, ``1h30m``, ``7d``, ``PT5M``."""

from __future__ import annotations

import re
from datetime import timedelta

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_BARE = re.compile(_NUMBER)
_PART = re.compile(rf"({_NUMBER})(ms|[smhdw])")
_COMPACT = re.compile(rf"(?:{_NUMBER}(?:ms|[smhdw]))+")
#: ISO 8601 without years and months: how long those are depends on where one stands.
_ISO = re.compile(
    rf"P(?=[0-9T])(?:(?P<weeks>{_NUMBER})W)?(?:(?P<days>{_NUMBER})D)?"
    rf"(?:T(?=[0-9])(?:(?P<hours>{_NUMBER})H)?(?:(?P<minutes>{_NUMBER})M)?(?:(?P<seconds>{_NUMBER})S)?)?"
)
_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_MAX_LENGTH = 64


def parse_duration(text: str) -> timedelta:
    """The duration that a text names; a bare number counts seconds. Never negative.

    Raises:
        ValueError: the text is not a duration, with the ways to write one.

    """
    compact = text.strip().replace(" ", "")
    try:
        duration = _read(compact) if len(compact) <= _MAX_LENGTH else None
    except OverflowError:
        duration = None
    if duration is None:
        raise ValueError(
            f"{text[:_MAX_LENGTH]!r} is not a duration; write 300 (seconds), 5m, 1h30m, 7d or PT5M"
        )
    return duration


def _read(text: str) -> timedelta | None:
    if _BARE.fullmatch(text):
        return timedelta(seconds=float(text))
    if _COMPACT.fullmatch(text.lower()):
        parts = _PART.findall(text.lower())
        return sum((float(number) * _UNITS[unit] for number, unit in parts), timedelta())
    if iso := _ISO.fullmatch(text.upper()):
        return timedelta(**{unit: float(n) for unit, n in iso.groupdict().items() if n})
    return None


def format_duration(duration: timedelta) -> str:
    """The shortest text that ``parse_duration`` reads back as this duration, to the millisecond."""
    text = ""
    for unit, size in _UNITS.items():
        # Weeks are read, never written: "7d" is what the settings and the documents say.
        if unit == "w":
            continue
        count, duration = divmod(duration, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"
