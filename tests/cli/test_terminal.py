"""What a terminal gets and a pipe does not: colours, and bars that move."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from later_core.model.encryption_key import new_key

_SECONDS = 60
#: SGR with a colour in the foreground or the background; bold is none.
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:[349][0-8]|10[0-7])(?:;\d+)*m")
ESCAPE = "\x1b"


@dataclass(frozen=True, slots=True)
class Typed:
    code: int
    out: str
    err: str


class _Terminal:
    """A pseudo-terminal whose other end is read until it is closed."""

    def __init__(self) -> None:
        self._mine, self.its = pty.openpty()
        self._written = b""
        self._reader = threading.Thread(target=self._read)

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._mine, 65_536)
            except OSError:
                return  # the other end is closed
            self._written += chunk

    def begin(self) -> None:
        os.close(self.its)
        self._reader.start()

    def text(self) -> str:
        self._reader.join(_SECONDS)
        os.close(self._mine)
        return self._written.decode().replace("\r\n", "\n")


def typed(*words: str, out: bool = False, err: bool = False, **variables: str) -> Typed:
    """``later`` as a process; ``out`` and ``err``: that stream is a terminal and no pipe."""
    inherited = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251 - a process of the test
        if name not in {"NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE"}
    }
    terminals = _Terminal() if out else None, _Terminal() if err else None
    streams = [terminal.its if terminal else subprocess.PIPE for terminal in terminals]
    with subprocess.Popen(
        [sys.executable, "-m", "later_core.cli", *words],
        stdin=subprocess.DEVNULL, stdout=streams[0], stderr=streams[1], text=True,
        env={**inherited, "TERM": "xterm-256color", **variables},
    ) as process:  # fmt: skip
        for terminal in terminals:
            if terminal:
                terminal.begin()
        piped = process.communicate(timeout=_SECONDS)
    shown = [
        terminal.text() if terminal else text or ""
        for terminal, text in zip(terminals, piped, strict=True)
    ]
    return Typed(process.returncode, *shown)


@pytest.fixture
def at(server: Any) -> Callable[..., Typed]:
    return lambda *words, **how: typed("--address", server.address, *words, **how)


@pytest.fixture
def stored(ask: Any) -> str:
    said = ask("create", "echo", "hello", "--id", "seen-on-a-terminal", "--in", "9h")
    assert said.code == 0, said.err
    return "seen-on-a-terminal"


def test_a_terminal_has_colours_and_neither_a_pipe_nor_who_wants_none(
    at: Callable[..., Typed], stored: str
):
    on_terminal = at("get", stored, out=True)
    assert COLOUR.search(on_terminal.out)
    uncoloured = at("get", stored, out=True, NO_COLOR="1")
    assert "PENDING" in uncoloured.out
    assert not COLOUR.search(uncoloured.out)
    piped = at("get", stored)
    assert "PENDING" in piped.out
    assert ESCAPE not in piped.out + piped.err


@pytest.mark.parametrize("words", [("stats",), ("list",), ("doctor",)])
def test_no_answer_in_a_pipe_has_an_escape_code(at: Callable[..., Typed], words: tuple[str, ...]):
    said = at(*words)
    assert said.out
    assert ESCAPE not in said.out + said.err


def test_json_is_the_same_on_a_terminal_and_in_a_pipe(at: Callable[..., Typed], stored: str):
    on_terminal, piped = at("get", stored, "--json", out=True), at("get", stored, "--json")
    assert piped.out.startswith('{"id"')
    assert on_terminal.out == piped.out


def test_an_error_has_no_colours_where_nobody_wants_them(at: Callable[..., Typed]):
    assert ESCAPE not in at("get", "nowhere").err
    assert not COLOUR.search(at("get", "nowhere", err=True, NO_COLOR="1").err)


def bars(said: Typed, word: str) -> int:
    """How often a bar was drawn on stderr; nothing of it is ever on stdout."""
    assert word not in said.out
    return said.err.count(word)


def test_bars_are_drawn_on_a_terminal_alone_and_on_stderr_alone(
    at: Callable[..., Typed], stored: str, tmp_path: Path
):
    del stored
    for number, is_terminal in enumerate((False, True)):
        file = str(tmp_path / f"{number}.later")
        exported = at("export", file, err=is_terminal)
        assert exported.code == 0, exported.err
        assert bool(bars(exported, "exporting ")) is is_terminal
        imported = at("import", file, err=is_terminal)
        assert imported.code == 0, imported.err
        assert bool(bars(imported, "importing ")) is is_terminal
        if not is_terminal:
            assert ESCAPE not in exported.err + imported.err


def test_the_import_of_a_crontab_shows_how_far_it_is(at: Callable[..., Typed], tmp_path: Path):
    tab = tmp_path / "bars"
    tab.write_text("".join(f"{minute} 3 1 1 * true {minute}\n" for minute in range(20)))
    words = ("crontab", "import", str(tab), "--user", "--tz", "UTC")
    on_terminal = at(*words, err=True)
    assert on_terminal.code == 0, on_terminal.err
    assert bars(on_terminal, "importing ")
    piped = at(*words)
    assert bars(piped, "importing ") == 0
    assert ESCAPE not in piped.err


def test_a_rekeying_shows_how_far_it_is(mongodb_uri: str, database: str):
    settings = {
        "LATER_MONGODB_URI": mongodb_uri,
        "LATER_DATABASE": database,
        "LATER_ENCRYPTION_KEYS": new_key("k"),
    }
    on_terminal, piped = typed("rekey", err=True, **settings), typed("rekey", **settings)
    assert on_terminal.code == piped.code == 0, piped.err
    assert bars(on_terminal, "encrypting ")
    assert on_terminal.out == piped.out
    assert "encrypting " not in piped.err
