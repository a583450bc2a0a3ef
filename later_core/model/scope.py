"""The part of all instances and schedules to which a caller may be confined."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from later_core.model.instance import NO_LABELS
from later_core.model.limits import LABEL_KEY_MAX_LENGTH, LABEL_VALUE_MAX_LENGTH, LABELS_MAX_COUNT

#: Stands for everything, where nothing at all would be too easily a mistake.
ALL = "*"

_TASKS_MAX_COUNT = 32
_TASK_MAX_LENGTH = 128
_LABEL_KEY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?")
#: Control characters, and halves of characters, which JSON can hold and neither the wire nor a database.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
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

    def narrowed(self, other: Scope) -> Scope | None:
        """What lies within both; None: no scope says that, where both confine the same thing differently."""
        if self.tasks and other.tasks and set(self.tasks) != set(other.tasks):
            return None
        labels = {**self.labels, **other.labels}
        if any(labels[key] != pattern for key, pattern in self.labels.items()):
            return None
        return Scope(tasks=self.tasks or other.tasks, labels=labels or NO_LABELS)

    def __str__(self) -> str:
        parts = [f"tasks {', '.join(self.tasks)}"] if self.tasks else []
        if self.labels:
            told = ", ".join(f"{key}={value}" for key, value in sorted(self.labels.items()))
            parts.append(f"labels {told}")
        return " with ".join(parts) or "everything"


EVERYTHING = Scope()


def checked_scope(tasks: Sequence[str], labels: Mapping[str, str]) -> Scope:
    """The scope of patterns that others have given, held to the rules of those of a token. The task ``*``
    confines to none.

    Raises:
        ValueError: with a sentence for people.
    """
    if len(tasks) > _TASKS_MAX_COUNT or len(labels) > LABELS_MAX_COUNT:
        raise ValueError(
            f"a scope has {_TASKS_MAX_COUNT} tasks and {LABELS_MAX_COUNT} labels at most"
        )
    for pattern in tasks:
        if not 1 <= len(pattern) <= _TASK_MAX_LENGTH or _CONTROL.search(pattern):
            raise ValueError(
                f"{pattern[:64]!r} is no pattern of tasks: 1 to {_TASK_MAX_LENGTH} characters, as http-*"
            )
    for key, pattern in labels.items():
        if len(key) > LABEL_KEY_MAX_LENGTH or not _LABEL_KEY.fullmatch(key):
            raise ValueError(f"{key[:64]!r} is no key of a label")
        if len(pattern) > LABEL_VALUE_MAX_LENGTH or _CONTROL.search(pattern):
            raise ValueError(f"{pattern[:64]!r} is no pattern of a label's value")
    return Scope(tasks=() if ALL in tasks else tuple(tasks), labels=dict(labels) or NO_LABELS)
