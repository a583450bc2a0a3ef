"""Whether a crontab has a user column: by its path, or by what stands in it; else it is asked for.

A wrong guess would run ``root /usr/bin/backup``, or leave out the first word of a command; so where what is
seen can mean both, nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath

from later_core.cli.crontab import lines
from later_core.cli.crontab.entry import Form
from later_core.cli.crontab.reading import looks_like_an_entry

_SYSTEM_FILE = PurePosixPath("/etc/crontab")
_SYSTEM_FOLDER = PurePosixPath("/etc/cron.d")
_USER_FOLDERS = (PurePosixPath("/var/spool/cron/crontabs"), PurePosixPath("/var/spool/cron"))
#: The line that says what the columns are, as Debian puts it into both kinds of files.
_HEADING = re.compile(r"^#.*(?:\bdow|\*)\s+(user(?:-?name)?|command)\b", re.MULTILINE)
_NAME = re.compile(r"[a-z_][a-z0-9_.-]*\$?")
#: Accounts of every Debian that are commands too, or likely names of scripts.
_BOTH = frozenset({"at", "backup", "games", "list", "lp", "mail", "man", "news", "proxy", "sync"})


def form_of_path(path: str) -> Form | None:
    """The form of what lies at an absolute path, if the place says it."""
    place = PurePosixPath(path)
    if place == _SYSTEM_FILE or place.parent == _SYSTEM_FOLDER:
        return Form.SYSTEM
    return Form.USER if place.parent in _USER_FOLDERS else None


def form_of_text(text: str, *, is_account: Callable[[str], bool]) -> Form | None:
    """The form that the text shows; None where it can be either.

    ``is_account`` says whether a name is a user of this machine.
    """
    heading = _HEADING.search(text)
    if heading:
        return Form.USER if heading[1] == "command" else Form.SYSTEM
    seen = {_looks(line, is_account) for _, line in lines.lines(text) if _is_entry(line)}
    if len(seen) == 1:
        return seen.pop()
    return None if seen else Form.USER


def _is_entry(line: str) -> bool:
    has_more = bool(line) and not line.startswith("#") and lines.setting(line) is None
    return has_more and looks_like_an_entry(line.removeprefix("-").lstrip())


def _looks(line: str, is_account: Callable[[str], bool]) -> Form | None:
    user, command = lines.split_user(lines.split_times(line.removeprefix("-").lstrip())[1])
    if (
        not _NAME.fullmatch(user)
        or not command
        or command.startswith(("-", "&", "|", ";", ">", "<"))
    ):
        return Form.USER
    if user in _BOTH:
        return None
    return Form.SYSTEM if is_account(user) else Form.USER
