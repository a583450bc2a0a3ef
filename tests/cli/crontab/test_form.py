"""Whether there is a user column is seen, or asked for; never guessed."""

import pytest

from later_core.cli.crontab.entry import Form
from later_core.cli.crontab.form import form_of_path, form_of_text

ACCOUNTS = frozenset({"root", "www-data", "mail", "backup", "alice"})


def form(*lines: str) -> Form | None:
    return form_of_text("\n".join(lines), is_account=ACCOUNTS.__contains__)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/etc/crontab", Form.SYSTEM),
        ("/etc/cron.d/php", Form.SYSTEM),
        ("/var/spool/cron/crontabs/alice", Form.USER),
        ("/var/spool/cron/alice", Form.USER),
        ("/home/alice/cron.d/php", None),
        ("", None),
    ],
)
def test_the_place_of_a_file_says_its_form(path: str, expected: Form | None):
    assert form_of_path(path) is expected


@pytest.mark.parametrize(
    "lines",
    [
        ["# m h dom mon dow user command", "* * * * * anybody date"],
        ["# *  *  *  *  * user-name command to be executed", "* * * * * anybody date"],
        ["* * * * * root /bin/true"],
        ["SHELL=/bin/sh", "@daily alice cd && make", "-5 4 * * * www-data x y"],
    ],
)
def test_a_user_column_is_seen(lines: list[str]):
    assert form(*lines) is Form.SYSTEM


@pytest.mark.parametrize(
    "lines",
    [
        ["# m h  dom mon dow   command", "* * * * * root is here"],
        ["* * * * * /bin/true"],
        ["* * * * * root"],
        ["@daily mail -s hello alice"],
        ["@daily backup && date"],
        ["@daily nobody-here --all"],
        ["@daily [ -x /bin/true ]"],
        ["# nothing at all"],
        [],
    ],
)
def test_a_file_without_users_is_seen(lines: list[str]):
    assert form(*lines) is Form.USER


@pytest.mark.parametrize(
    "lines",
    [
        ["@daily mail alice"],
        ["@daily backup everything"],
        ["@daily root /bin/true", "@daily /bin/true"],
    ],
)
def test_what_may_be_both_is_left_open(lines: list[str]):
    assert form(*lines) is None
