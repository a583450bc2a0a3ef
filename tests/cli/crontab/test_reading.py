"""Crontabs in the shapes that Debian's packages and people give them."""

import pytest

from later_core.cli.crontab.entry import Crontab, Entry, Form, Refused
from later_core.cli.crontab.reading import decode, read


def user(*lines: str) -> Crontab:
    return read("".join(f"{line}\n" for line in lines), Form.USER, "UTC")


def system(*lines: str) -> Crontab:
    return read("".join(f"{line}\n" for line in lines), Form.SYSTEM, "UTC")


def entry(crontab: Crontab) -> Entry:
    (found,) = crontab.entries
    assert crontab.refused == []
    return found


def refused(crontab: Crontab) -> Refused:
    (found,) = crontab.refused
    return found


def test_a_file_with_settings_a_heading_and_a_padded_table():
    crontab = system(
        "# Clean up what browsers left behind.",
        "",
        "SHELL=/bin/sh",
        "PATH=/usr/local/sbin:/usr/sbin:/sbin",
        "# m h dom mon dow user command",
        "09,39 *     * * *     root\t[ -x /usr/lib/tidy ] && if [ ! -d /run/x ]; then /usr/lib/tidy; fi",
    )
    found = entry(crontab)
    assert found.line == 6
    assert found.expression == "09,39 * * * *"
    assert found.user == "root"
    assert found.command == "[ -x /usr/lib/tidy ] && if [ ! -d /run/x ]; then /usr/lib/tidy; fi"
    assert found.environment == {"SHELL": "/bin/sh", "PATH": "/usr/local/sbin:/usr/sbin:/sbin"}
    assert found.comment == ""


def test_an_escaped_percent_sign_in_a_test_of_the_date():
    found = entry(system("57 0 * * 0 root [ $(date +\\%d) -le 7 ] && /usr/sbin/check"))
    assert found.command == "[ $(date +%d) -le 7 ] && /usr/sbin/check"


def test_a_step_through_the_hours_with_a_random_sleep():
    found = entry(
        system("0 */12 * * * root test -x /x -a \\! -d /y && perl -e 'sleep int(rand(9))'")
    )
    assert found.command == "test -x /x -a \\! -d /y && perl -e 'sleep int(rand(9))'"


def test_input_is_taken_from_behind_the_percent_sign():
    found = entry(user('0 22 * * 1-5\tmail -s "10pm" ann%Ann,%%Time for bed?%'))
    assert found.command == 'mail -s "10pm" ann'
    assert found.stdin == "Ann,\n\nTime for bed?\n"


@pytest.mark.parametrize(
    ("line", "expression"),
    [
        ("@daily x", "@daily"),
        ("@midnight\tx", "@midnight"),
        ("0 0 * JAN-MAR mon,wed-FRI x", "0 0 * JAN-MAR mon,wed-FRI"),
        ("5-55/10 * * * * x", "5-55/10 * * * *"),
        ("  \t0 4 1,15 * 7 x", "0 4 1,15 * 7"),
        ("7-7/2 * * * * x", "7-7/2 * * * *"),
        ("-*/15 * * * * x", "*/15 * * * *"),
    ],
)
def test_times_are_read(line: str, expression: str):
    found = entry(user(line))
    assert found.expression == expression
    assert found.command == "x"


def test_settings_hold_for_the_lines_below_them():
    crontab = user("A=1", "* * * * * x", "A=2", "B=' b '", "* * * * * y", 'A=""', "* * * * * z")
    assert [found.environment for found in crontab.entries] == [
        {"A": "1"},
        {"A": "2", "B": " b "},
        {"A": "", "B": " b "},
    ]


def test_cron_tz_holds_for_the_lines_below_it_and_is_no_variable():
    crontab = user("* * * * * a", "CRON_TZ=Asia/Tokyo", "* * * * * b", 'CRON_TZ=""', "* * * * * c")
    assert [found.time_zone for found in crontab.entries] == [None, "Asia/Tokyo", None]
    assert all(found.environment == {} for found in crontab.entries)


def test_tz_is_only_a_variable():
    found = entry(user("TZ=Asia/Tokyo", "* * * * * date"))
    assert found.time_zone is None
    assert found.environment == {"TZ": "Asia/Tokyo"}


def test_a_wrong_zone_is_refused_with_all_lines_that_it_holds_for():
    crontab = user("CRON_TZ=Europe/Pariss", "* * * * * x", "CRON_TZ=Europe/Paris", "* * * * * y")
    assert [each.line for each in crontab.refused] == [1, 2]
    assert all("'Europe/Paris'" in each.reason for each in crontab.refused)
    assert [found.command for found in crontab.entries] == ["y"]


def test_a_random_delay_is_read_in_minutes():
    crontab = user("RANDOM_DELAY=45", "* * * * * x")
    assert entry(crontab).random_delay == 45
    assert "jitter" in crontab.notes[0].text
    assert "'soon'" in refused(user("RANDOM_DELAY=soon")).reason


def test_the_comment_directly_above_belongs_to_an_entry():
    crontab = user(
        "# every night",
        "@daily a",
        "@daily b",
        "# far above",
        "",
        "@daily c",
        "#  two ",
        "#\tlines",
        "@daily d",
        "# before a setting",
        "A=b",
        "@daily e",
    )
    assert [found.comment for found in crontab.entries] == ["every night", "", "", "two lines", ""]


@pytest.mark.parametrize(
    "comment",
    ["# m h  dom mon dow   command", "#0 4 * * * old command", "#@daily old", "# " + "long " * 60],
)
def test_a_heading_an_old_entry_and_an_essay_are_no_comments_on_an_entry(comment: str):
    assert entry(user(comment, "* * * * * x")).comment == ""


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("@reboot x", "no time"),
        ("@every 5m x", "interval rule"),
        ("60 * * * * x", "bad minute"),
        ("* * * * x", "bad day-of-week"),
        ("* * *", "3 fields"),
        ("0 0 31 2 * x", "never fires"),
        ("0 0 * * sat-sun x", "ends on 7"),
        ("1~5 * * * * x", "bad minute"),
        ("* * * * *", "no command"),
        ("@daily", "no command"),
        ("* * * * * %input", "no command"),
        ("* * * * * * x", "take out one"),
        ("* *\r* * * x", "control character"),
        ("A=", "1 fields"),
        ("export A=b", "fields"),
        ("* * * * * \udce9t\udce9", "UTF-8"),
        ("* * * * * a\0b", "UTF-8"),
    ],
)
def test_a_wrong_line_is_named_and_the_others_are_still_read(line: str, reason: str):
    crontab = user("# a", "@daily before", line, "@daily behind")
    assert refused(crontab).line == 3
    assert reason in refused(crontab).reason
    assert [found.command for found in crontab.entries] == ["before", "behind"]


@pytest.mark.parametrize("line", ["@daily /bin/true", "@daily", "@daily $USER x"])
def test_a_system_line_without_a_user_is_refused_with_the_remedy(line: str):
    assert "--user" in refused(system(line)).reason


def test_a_system_line_of_a_user_alone_runs_nothing():
    assert "no command" in refused(system("@daily root")).reason


def test_line_ends_of_windows_and_a_missing_last_one_are_noted():
    crontab = read("A=b\r\n* * * * * x\r\n* * * * * y", Form.USER, "UTC")
    assert [(found.command, found.environment) for found in crontab.entries] == [
        ("x", {"A": "b"}),
        ("y", {"A": "b"}),
    ]
    assert [note.line for note in crontab.notes] == [0, 0]
    assert "CR" in crontab.notes[0].text
    assert "newline" in crontab.notes[1].text


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("MAILTO=ann@example.org", "no mail"),
        ("LOGNAME=ann", "LOGNAME"),
        ("-* * * * * x", "minus"),
        ("* * * * * grep '\\\\.' x", "backslashes"),
        ("# later: nonsense", "export"),
    ],
)
def test_what_differs_from_cron_is_noted_with_its_line(line: str, word: str):
    (note,) = user("", line).notes
    assert note.line == 2
    assert word in note.text


def test_no_mail_for_nobody_is_no_news():
    assert user('MAILTO=""').notes == []


def test_a_byte_order_mark_and_other_encodings():
    assert decode(b"\xef\xbb\xbf* * * * * x") == "* * * * * x"
    crontab = read(decode("# é\n* * * * * é\n".encode("latin-1")), Form.USER, "UTC")
    assert refused(crontab).line == 2
    assert read("", Form.USER, "UTC") == Crontab(entries=[], refused=[], notes=[])


@pytest.mark.parametrize("extras", ["{", "5", "[" * 100_000, '{"a":' * 100_000])
def test_what_no_export_has_written_above_a_line_is_noted_and_passed_over(extras: str):
    crontab = read(f"# later: {extras}\n@daily a\n", Form.USER, "UTC")
    assert [entry.command for entry in crontab.entries] == ["a"]
    assert [note.line for note in crontab.notes] == [1]
