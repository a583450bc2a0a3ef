"""A crontab's text becomes entries; what cannot be taken over is named with its line and the remedy."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from typing import Any

from later_core.cli.crontab import lines, percent
from later_core.cli.crontab.entry import Crontab, Entry, Form, Note, Refused
from later_core.errors import InvalidRequest
from later_core.model.limits import LABEL_VALUE_MAX_LENGTH
from later_core.model.recurrence.cron import CronTimes
from later_core.model.recurrence.rules import CronRule
from later_core.model.recurrence.zones import time_zone

#: What an export of Later adds to a line stands above it, behind this.
EXTRAS = "# later:"

_HEADER = re.compile(r"\bm\s+h\s+dom\b|\bminute\b.*\bhour\b", re.IGNORECASE)
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*\$?")
_INT = re.compile(r"[0-9]{1,5}")
_NOBODY_SETS = (
    "cron sets LOGNAME to the crontab's owner whatever a crontab says, and Later to that of its"
    " server; the setting is left out"
)
_BACKSLASHES = "two backslashes are one, as in Debian's cron; cronie would keep both"
_NO_LOG = "the minus in front (do not log this) is left out"


def decode(content: bytes) -> str:
    """The text of a crontab; what is not UTF-8 is kept as it is, and refused line by line."""
    return content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")


def read(text: str, form: Form, zone: str) -> Crontab:
    """Every line of a crontab; ``zone`` holds where no CRON_TZ does."""
    reader = _Reader(form, zone)
    for number, line in lines.lines(text):
        reader.take(number, line)
    if "\r\n" in text:
        reader.note(0, "lines end in CR LF: cron would hand the CR to the commands, Later does not")
    if text and not text.endswith("\n"):
        reader.note(0, "the last line has no newline: Debian's cron refuses such a file")
    return Crontab(entries=reader.entries, refused=reader.refused, notes=reader.notes)


def looks_like_an_entry(text: str) -> bool:
    """Whether a line, or a comment without its sign, begins with times."""
    try:
        CronTimes(CronRule(expression=lines.split_times(text)[0]), "UTC")
    except InvalidRequest:
        return False
    return True


class _Reader:
    """What holds from one line to those below: settings, and the comment directly above."""

    def __init__(self, form: Form, zone: str) -> None:
        self._form = form
        self._zone = zone
        self._cron_tz: str | None = None
        self._random_delay = 0
        self._environment: dict[str, str] = {}
        self._comments: list[str] = []
        self._extras: Mapping[str, Any] = {}
        self.entries: list[Entry] = []
        self.refused: list[Refused] = []
        self.notes: list[Note] = []

    def note(self, line: int, text: str) -> None:
        self.notes.append(Note(line=line, text=text))

    def take(self, number: int, line: str) -> None:
        if line.startswith(EXTRAS):
            self._take_extras(number, line.removeprefix(EXTRAS))
            return
        if line.startswith("#"):
            self._comments.append(line.lstrip("#").strip())
            return
        if line:
            self._take_active(number, line)
        self._comments, self._extras = [], {}

    def _take_active(self, number: int, line: str) -> None:
        try:
            if "\0" in line or any("\ud800" <= character <= "\udfff" for character in line):
                raise ValueError("it is not UTF-8 text; save the file as UTF-8")
            if pair := lines.setting(line):
                self._take_setting(number, *pair)
            else:
                self.entries.append(self._entry(number, line))
        except ValueError as error:
            self._refuse(number, line, str(error))
        except InvalidRequest as error:
            self._refuse(number, line, "; ".join(v.description for v in error.violations))

    def _take_extras(self, number: int, text: str) -> None:
        try:
            extras = json.loads(text)
        except (ValueError, RecursionError):
            extras = None
        if isinstance(extras, dict):
            self._extras = extras
        else:
            self.note(number, "it is not what an export of Later writes, and is not observed")

    def _take_setting(self, number: int, name: str, value: str) -> None:
        if name == "CRON_TZ":
            # Not before it has been looked up: a wrong zone must not let the old one go on silently.
            self._cron_tz = value or None
            if value:
                time_zone(value)
            return
        if name == "RANDOM_DELAY":
            if not _INT.fullmatch(value):
                raise ValueError(f"RANDOM_DELAY counts minutes, and {value!r} is no number")
            self._random_delay = int(value)
            self.note(number, "RANDOM_DELAY becomes the jitter of the schedules below it")
        elif name == "LOGNAME":
            self.note(number, _NOBODY_SETS)
        else:
            self._environment[name] = value
        if name == "MAILTO" and value:
            self.note(
                number,
                f"MAILTO={value}: Later sends no mail; what a command prints is the result of its"
                " instance, and later watch --state FAILED shows what failed",
            )

    def _entry(self, number: int, line: str) -> Entry:
        expression, rest = lines.split_times(line)
        if expression.startswith("-"):
            expression = expression[1:].lstrip()
            self.note(number, _NO_LOG)
        if not expression.isprintable():
            raise ValueError("there is a control character among the times; write blanks or tabs")
        CronTimes(CronRule(expression=expression, time_zone=self._cron_tz), self._zone)
        user = None
        if self._form is Form.SYSTEM:
            user, rest = lines.split_user(rest)
            if not _USER.fullmatch(user):
                raise ValueError(
                    f"{user!r} is no user: write one between the times and the command,"
                    " or give --user if the file has no user column"
                )
        command, stdin = percent.split(rest)
        if "\\\\" in rest:
            self.note(number, _BACKSLASHES)
        if not command.strip():
            raise ValueError("there is no command behind the times")
        if command.startswith("*"):
            raise ValueError("its command begins with '*': take out one of the fields in front")
        return Entry(
            line=number,
            expression=expression,
            command=command,
            stdin=stdin,
            user=user,
            environment=dict(self._environment),
            time_zone=self._cron_tz,
            random_delay=self._random_delay,
            comment=self._comment(),
            extras=self._extras,
        )

    def _comment(self) -> str:
        """What stands directly above, if it can be a label and is about this line."""
        if any(_HEADER.search(line) or looks_like_an_entry(line) for line in self._comments):
            return ""
        text = " ".join(" ".join(self._comments).split())
        return text if text.isprintable() and len(text) <= LABEL_VALUE_MAX_LENGTH else ""

    def _refuse(self, number: int, line: str, reason: str) -> None:
        self.refused.append(Refused(line=number, text=line, reason=reason))
