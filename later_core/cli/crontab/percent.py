r"""Percent signs and backslashes behind the times: what cron makes of them before a shell sees the command.

The first percent sign ends the command, and what follows is its standard input, with a new line at each
further one. These are the rules of Debian's cron, tried out on it: in the command ``\%`` is a percent sign
and ``\\`` one backslash (cronie keeps both); in the input a percent sign right behind a backslash is one,
and the backslash goes. Input that does not end with a newline is given one.
"""

from __future__ import annotations

import re

_IN_COMMAND = re.compile(r"\\(.)|%", re.DOTALL)
_LINE_END = re.compile(r"(?<!\\)%")
_TO_ESCAPE = re.compile(r"\\[^\\%]|[\\%]")


def split(text: str) -> tuple[str, str]:
    """The command and its standard input."""
    end = next((m.start() for m in _IN_COMMAND.finditer(text) if m[0] == "%"), len(text))
    command = _IN_COMMAND.sub(lambda m: m[1] if m[1] in {"\\", "%"} else m[0], text[:end])
    stdin = _LINE_END.sub("\n", text[end + 1 :]).replace("\\%", "%")
    return command, stdin if not stdin or stdin.endswith("\n") else stdin + "\n"


def join(command: str, stdin: str) -> str:
    """The text that ``split`` makes these of, if there is one."""
    text = _TO_ESCAPE.sub(lambda m: m[0] if len(m[0]) == 2 else "\\" + m[0], command)
    if not stdin:
        return text
    shorter = stdin.removesuffix("\n")
    rest = shorter if shorter and not shorter.endswith("\n") else stdin
    return f"{text}%" + rest.replace("%", "\\%").replace("\n", "%")
