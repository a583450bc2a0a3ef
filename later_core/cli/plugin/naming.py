"""What a new plugin and its parts are called."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PREFIX = "later-plugin-"
#: So long that lines with the name in them still fit.
LONGEST = 32
_NAME = re.compile(r"[a-z](?:[a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """``name`` is that of the task and of the entry point."""

    name: str
    distribution: str
    module: str
    task_class: str


def names_from(text: str) -> Names:
    """The names that follow from one, which may have the prefix of distributions already.

    Normalised as the packaging specification has it for names ("Names and normalization", once PEP 503).

    Raises:
        ValueError: no distribution and no class can be called that.

    """
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{text!r} is no name: letters, digits, '-', '_' and '.', a letter first,"
            " a letter or a digit last"
        )
    name = re.sub(r"[-_.]+", "-", text).lower().removeprefix(_PREFIX)
    if not _NAME.fullmatch(name):
        raise ValueError(f"{text!r} is no name: behind {_PREFIX} it begins with a letter")
    if len(name) > LONGEST:
        raise ValueError(f"{text!r} is longer than {LONGEST} characters")
    words = name.split("-")
    return Names(
        name=name,
        distribution=_PREFIX + name,
        module="_".join(["later_plugin", *words]),
        # With its ending no class is called as a word of Python, nor as what is imported beside it.
        task_class="".join(map(str.capitalize, words)) + "Task",
    )
