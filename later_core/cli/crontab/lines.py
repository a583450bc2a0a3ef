"""The lines of a crontab one by one: blank, a comment, a setting, or a command with its times.

This is cron's own reading (load_env and load_entry of Debian's cron): a line is a setting if all of it
reads as one, and else a command, whatever is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_BLANKS = " \t"
_SETTING = re.compile(
    r"""(?P<name> "[^"=]*" | '[^'=]*' | [^\s="'][^\s=]* )
        \s* = \s*
        (?P<value> "[^"]*"\s* | '[^']*'\s* | [^\s"'].* )""",
    re.VERBOSE | re.DOTALL,
)
_TIMES = 5


def lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, without line ends and the blanks in front."""
    for number, line in enumerate(text.split("\n"), start=1):
        yield number, line.removesuffix("\r").lstrip(_BLANKS)


def setting(line: str) -> tuple[str, str] | None:
    """Name and value, if the line is a setting.

    Quotes, single or double, keep blanks at the ends; without them the value is not empty and ends with
    its last character that is no blank. Nothing is replaced in it.
    """
    found = _SETTING.fullmatch(line)
    if found is None:
        return None
    return _unquoted(found["name"]), _unquoted(found["value"].rstrip())


def format_setting(name: str, value: str) -> str:
    """The line that ``setting`` reads as these, if there is one."""
    if value and value == value.strip() and value[0] not in "\"'":
        return f"{name}={value}"
    quote = "'" if '"' in value else '"'
    return f"{name}={quote}{value}{quote}"


def split_times(line: str) -> tuple[str, str]:
    """The times of a command's line, with one blank between each two, and what follows them."""
    count = 1 if line.startswith("@") else _TIMES
    parts = re.split(f"[{_BLANKS}]+", line, maxsplit=count)
    return " ".join(parts[:count]), parts[count] if len(parts) > count else ""


def split_user(rest: str) -> tuple[str, str]:
    """The user of a system crontab's line, and the command."""
    user, *command = re.split(f"[{_BLANKS}]+", rest, maxsplit=1)
    return user, command[0] if command else ""


def _unquoted(text: str) -> str:
    is_quoted = len(text) > 1 and text[0] in "\"'" and text[0] == text[-1]
    return text[1:-1] if is_quoted else text
