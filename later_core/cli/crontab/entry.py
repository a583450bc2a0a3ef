"""What a crontab says, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

#: A command's variables by name.
Environment = Mapping[str, str]


class Form(StrEnum):
    """The two forms of crontab(5): that of a user, and that of /etc/crontab and /etc/cron.d, whose
    lines name a user before the command.
    """

    USER = "user"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line that runs a command.

    ``command`` and ``stdin`` are what the shell gets, with percent signs done. ``environment`` holds the
    settings above the line, without those that only cron reads. ``time_zone`` is that of CRON_TZ (None:
    that of the machine), ``random_delay`` cronie's RANDOM_DELAY in minutes. ``comment`` is what stands
    directly above the line. ``extras`` is what an export of Later wrote there, see ``extras``.
    """

    line: int
    expression: str
    command: str
    stdin: str = ""
    user: str | None = None
    environment: Environment = field(default_factory=dict)
    time_zone: str | None = None
    random_delay: int = 0
    comment: str = ""
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A line that is not taken over, and why; ``reason`` names the remedy."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What somebody who moves from cron should know about a line; ``line`` 0 is the whole file."""

    line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Crontab:
    """A crontab as it was read: every line that is no comment is an entry, refused, or a setting."""

    entries: Sequence[Entry]
    refused: Sequence[Refused]
    notes: Sequence[Note]
