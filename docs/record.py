"""Record what the quickstart shows: run its lines on a real server, and draw the terminal as SVG.

``tox -e record`` writes docs/_static/quickstart.svg. Ids and times stand in it as they came, so nothing
compares them; a test compares the commands and what the page says of their answers.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

DOCS = Path(__file__).parent
PAGE = DOCS / "quickstart.md"
PICTURE = DOCS / "_static" / "quickstart.svg"
COLUMNS = 112
PATIENCE = 60
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: Rich's frame fetches its fonts from elsewhere; a page of ours fetches nothing.
_FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
#: What moves the cursor or clears lines; colours end with m and stay.
_MOVES = re.compile(r"\x1b\[[0-9;?]*[A-Za-ln-z]")


def recorded(page: str) -> Iterator[tuple[str, list[str]]]:
    """The commands of the page that are recorded, with the lines that it shows below each.

    Those of Later alone: what other programs answer is theirs to show.
    """
    for block in _BLOCK.findall(page):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *answer = part.splitlines()
            if command.startswith("later "):
                yield command, [line for line in answer if not line.startswith("[exit code")]


def run(command: str, environment: dict[str, str]) -> str:
    """What the command writes on a terminal, colours and all."""
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    with subprocess.Popen(
        ["bash", "-c", command], stdin=its, stdout=its, stderr=its, env=environment
    ) as process:
        os.close(its)
        written = b"".join(_chunks(mine))
        process.wait(PATIENCE)
    os.close(mine)
    shown = _MOVES.sub("", written.decode()).replace("\r", "")
    # The ids of nodes begin with the name of their machine, which is nobody's business.
    return shown.replace(f"{socket.gethostname()}-", "host-")


def _chunks(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(terminal, 65_536)
        except OSError:
            return  # Linux says so when the other end is closed
        if not chunk:
            return
        yield chunk


@contextmanager
def server(directory: str) -> Iterator[dict[str, str]]:
    """``later serve`` with a database of its own; the environment in which its commands are typed."""
    kept = {
        key: value
        for key, value in os.environ.items()  # noqa: TID251 - for the commands that are recorded
        if not key.startswith("LATER_") and key not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}
    }
    environment = kept | {
        "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",
        "TERM": "xterm-256color",
        "XDG_CONFIG_HOME": directory,
        "LATER_DATA_DIR": directory,
    }
    words = ["later", "serve", "--listen=127.0.0.1:0", "--log-format=text"]
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if found := re.search(r"\bserving\b.*?address=(\S+)", line):
                    yield environment | {"LATER_ADDRESS": found[1]}
                    return
            raise SystemExit("the server did not start")
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


def record() -> str:
    """The whole session, as SVG."""
    screen = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False
    )
    with tempfile.TemporaryDirectory() as directory, server(directory) as environment:
        for command, _ in recorded(PAGE.read_text(encoding="utf-8")):
            typed = Text.assemble(("$ ", "green"), (command, "bold"))
            for line in (typed, *map(Text.from_ansi, run(command, environment).splitlines())):
                # Broken where a terminal breaks it, not between words.
                for row in line.divide(range(COLUMNS, len(line), COLUMNS)):
                    screen.print(row, no_wrap=True, crop=False)
    svg = screen.export_svg(title="Later: the quickstart", unique_id="quickstart")
    return _FONT_FACE.sub("", _COMMENT.sub("", svg))


def main() -> None:
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(record() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
