"""``later top`` as it is typed."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys

import pytest

_SECONDS = 60


def test_its_help_shows_an_example(later):
    said = later("top", "--help")
    assert said.code == 0
    assert "Examples:\n  later top\n" in said.out


def test_without_textual_one_line_says_what_to_install(later, monkeypatch):
    monkeypatch.setitem(sys.modules, "textual", None)
    said = later("top")
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert "pip install 'later-core[top]'" in said.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--json"], "later stats --json has the figures"),
        (["--interval", "1ms"], "--interval is at least 100ms"),
        (["--state", "lost"], "'lost' is not one of"),
    ],
)
def test_what_cannot_be_meant_is_refused(later, words, told):
    said = later("top", *words)
    assert said.code == 2
    assert told in said.err


def test_a_server_that_is_not_there_is_told_before_a_screen_is_opened(later):
    said = later("--address", "127.0.0.1:1", "top")
    assert said.code == 1
    assert said.out == ""
    assert said.err.startswith("later: error: no Later server at 127.0.0.1:1")


def test_it_runs_in_a_terminal_until_q_is_pressed(server):
    mine, its = pty.openpty()
    words = (sys.executable, "-m", "later_core.cli", "--address", server.address, "top")
    with subprocess.Popen(words, stdin=its, stdout=its, stderr=its) as process:
        os.close(its)
        try:
            shown = b""
            while b"Due next" not in shown:
                ready, _, _ = select.select([mine], [], [], _SECONDS)
                assert ready, shown
                shown += os.read(mine, 65_536)
            os.write(mine, b"q")
            while select.select([mine], [], [], _SECONDS)[0]:
                try:
                    os.read(mine, 65_536)
                except OSError:
                    break  # its end of the terminal is closed
            assert process.wait(_SECONDS) == 0
        finally:
            process.kill()
            os.close(mine)
