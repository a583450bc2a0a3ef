"""What schedules and crontabs are called."""

from __future__ import annotations

import hashlib
import posixpath
import re

from later_core.cli.crontab.entry import Entry

_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9._-]+")
_WORD_MAX_LENGTH = 24
_NAME_MAX_LENGTH = 32
_HASH_DIGITS = 10
_PARTS = re.compile(r"&&|\|\||[;|&\n]")
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
#: What stands in front of the command that a line is about, or is none itself.
_LEADING = frozenset({"then", "else", "do", "{", "(", "!", "exec", "sudo", "nice", "env", "time"})
_GUARDS = frozenset({"if", "[", "[[", "test", "command", "cd", "fi", "while", "for", "sleep", "."})


def crontab_name(path: str) -> str:
    """The name of a crontab by its path: ``/etc/cron.d/php`` is ``php``, standard input ``crontab``."""
    return _clean(posixpath.basename(path), _NAME_MAX_LENGTH) or "crontab"


def schedule_id(entry: Entry, *, name: str, prefix: str, ordinal: int) -> str:
    """The id of the schedule of an entry: the same each time this line of this crontab is read.

    It follows from what the line says and from the crontab's name, not from its place, from the settings
    above it or from the policies asked for: where those change, the schedule is still the same one.
    Of equal lines, each has an ``ordinal``.
    """
    said = [name, entry.expression.lower(), entry.user or "", entry.command, entry.stdin]
    key = "\0".join([*said, str(ordinal)]).encode()
    digest = hashlib.blake2b(key).hexdigest()[:_HASH_DIGITS]
    return "-".join(part for part in (f"{prefix}{name}", _word(entry.command), digest) if part)


def _word(command: str) -> str:
    """What the command is about, for people: ``sessionclean``."""
    for part in _PARTS.split(command):
        words = [word for word in part.split() if not _SETTING.match(word)]
        while words and words[0] in _LEADING:
            words.pop(0)
        if words and words[0] not in _GUARDS:
            return _clean(posixpath.basename(words[0]), _WORD_MAX_LENGTH)
    return ""


def _clean(text: str, length: int) -> str:
    return _NOT_IN_IDS.sub("-", text)[:length].strip("-._")
