"""What Debian's cron makes of percent signs and backslashes; the cases were run by a real cron 3.0pl1-162."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.cli.crontab.percent import join, split

TEXT = st.text(alphabet="a%\\ '\n", max_size=12)


@pytest.mark.parametrize(
    ("text", "command", "stdin"),
    [
        ("date", "date", ""),
        (r"date +\%F", "date +%F", ""),
        ("cat%", "cat", ""),
        ("cat%last", "cat", "last\n"),
        ("cat%%", "cat", "\n"),
        (r"cat%end" + "\\", "cat", "end\\\n"),
        (r"cat%one%two\%2%a\b\\%c\\\%d%", "cat", "one\ntwo%2\na\\b\\%c\\\\%d\n"),
        (r"echo a\\\%b c\\d e\n", r"echo a\%b c\d e\n", ""),
        (r"echo a\\%b", "echo a\\", "b\n"),
        (r"echo x\\\\y 'z\'", r"echo x\\y 'z\'", ""),
        ("echo \\", "echo \\", ""),
    ],
)
def test_percent_signs_are_read_as_cron_reads_them(text: str, command: str, stdin: str):
    assert split(text) == (command, stdin)


@given(TEXT)
def test_every_command_can_be_written(command: str):
    assert split(join(command, "")) == (command, "")


@given(TEXT, TEXT)
def test_input_can_be_written_unless_a_backslash_ends_its_line(command: str, stdin: str):
    stdin += "\n"
    written = split(join(command, stdin))
    assert (written == (command, stdin)) is ("\\\n" not in stdin.removesuffix("\n"))


@given(st.text(alphabet="a%\\ '", max_size=12))
def test_what_was_read_and_written_reads_the_same(text: str):
    command, stdin = split(text)
    assert split(join(command, stdin)) == (command, stdin)
