"""What is a setting and what a command: as Debian's cron sees it, which ``crontab -n`` told for each case."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.cli.crontab.lines import format_setting, setting, split_times


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        ("A=b", ("A", "b")),
        ("A = b", ("A", "b")),
        ("A=plain  value  ", ("A", "plain  value")),
        ('A="  quoted "', ("A", "  quoted ")),
        ("A='single'  ", ("A", "single")),
        ('"E"=named', ("E", "named")),
        ('"E F"=named', ("E F", "named")),
        ('A=has "inner" quotes', ("A", 'has "inner" quotes')),
        ('A="it\'s"', ("A", "it's")),
        ("A=b#c", ("A", "b#c")),
        ("A=$B:c%", ("A", "$B:c%")),
        ('A=""', ("A", "")),
        ("A=b=c", ("A", "b=c")),
        ("PATH=/usr/bin:/bin", ("PATH", "/usr/bin:/bin")),
    ],
)
def test_settings_are_read(line: str, pair: tuple[str, str]):
    assert setting(line) == pair


@pytest.mark.parametrize(
    "line",
    [
        *("A=", "A= ", 'A="x" y', "A='x", 'A="x', '"A=b', "A B=c", "export A=b", "A", "=b"),
        *("* * * * * x=y", "@daily x=y", "5 4 * * sun echo a = b"),
    ],
)
def test_what_is_no_setting_is_a_command(line: str):
    assert setting(line) is None


@given(st.text(alphabet="aZ_ 0", min_size=1).map(str.strip).filter(bool), st.text("a =\"'\\%#\t"))
def test_every_setting_that_can_be_written_reads_the_same(name: str, value: str):
    can_be_written = " " not in name and not (
        '"' in value and "'" in value and (value != value.strip() or value[0] in "\"'")
    )
    if can_be_written:
        assert setting(format_setting(name, value)) == (name, value)


def test_times_end_after_five_fields_or_one_nickname():
    assert split_times("0 \t 1 * *\tmon  echo  a") == ("0 1 * * mon", "echo  a")
    assert split_times("@daily\techo a") == ("@daily", "echo a")
    assert split_times("* * *") == ("* * *", "")
