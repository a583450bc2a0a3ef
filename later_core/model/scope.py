"""The part of all instances and schedules to which a caller may be confined."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from later_core.model.instance import NO_LABELS

_PUNCTUATION = re.compile(r"([^A-Za-z0-9_\x80-\U0010ffff])")


def pattern_regex(pattern: str) -> str:
    """The regular expression, to be matched as a whole, of a pattern: ``*`` stands for any text,
    none included; every other character for itself.

    It means the same to Python and to PCRE, so that a database can be asked.
    """
    # Escaped as both know it; a backslash before a letter or digit would mean something of its own.
    return ".*".join(_PUNCTUATION.sub(r"\\\1", part) for part in pattern.split("*"))


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern_regex(pattern), re.DOTALL)


def matches_pattern(text: str, pattern: str) -> bool:
    """Whether the whole text is as the pattern says."""
    return _compiled(pattern).fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Tasks that match any of the patterns ``tasks`` (none: every task), with all of the ``labels``,
    each of whose values is a pattern too.
    """

    tasks: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS)

    @property
    def is_everything(self) -> bool:
        """Whether nobody is confined by it."""
        return not self.tasks and not self.labels

    def covers_task(self, task: str) -> bool:
        """Whether instances of this task can lie within."""
        return not self.tasks or any(matches_pattern(task, pattern) for pattern in self.tasks)

    def covers(self, task: str, labels: Mapping[str, str]) -> bool:
        """Whether an instance or a schedule of this task with these labels lies within."""
        return self.covers_task(task) and all(
            (value := labels.get(key)) is not None and matches_pattern(value, pattern)
            for key, pattern in self.labels.items()
        )

    def __str__(self) -> str:
        parts = [f"tasks {', '.join(self.tasks)}"] if self.tasks else []
        if self.labels:
            told = ", ".join(f"{key}={value}" for key, value in sorted(self.labels.items()))
            parts.append(f"labels {told}")
        return " with ".join(parts) or "everything"


EVERYTHING = Scope()
