"""Which schedules take the place of the lines of a crontab."""

import json
from datetime import timedelta
from typing import Any

import pytest

from later_core.cli.crontab.entry import Form, Refused
from later_core.cli.crontab.extras import Proposal
from later_core.cli.crontab.names import crontab_name
from later_core.cli.crontab.proposing import Wishes, propose
from later_core.cli.crontab.reading import read
from later_core.model.instance import Delivery
from later_core.model.limits import SCHEDULE_ID_MAX_LENGTH
from later_core.model.recurrence.rules import CronRule
from later_core.model.schedule import CatchUp, Overlap


def proposals(*lines: str, form: Form = Form.USER, **wishes: Any) -> list[Proposal | Refused]:
    crontab = read("".join(f"{line}\n" for line in lines), form, "UTC")
    assert crontab.refused == []
    asked = Wishes(**{"name": "tab", "time_zone": "Europe/Paris"} | wishes)
    return [proposal for _, proposal in propose(crontab, asked)]


def one(*lines: str, **wishes: Any) -> Proposal:
    (proposal,) = proposals(*lines, **wishes)
    assert isinstance(proposal, Proposal)
    return proposal


def parameters(proposal: Proposal) -> dict[str, Any]:
    return json.loads(proposal.spec.template.parameters)


def test_a_line_becomes_what_cron_does_with_it():
    spec = one("# nightly", "A=b", "# see below", "0 4 * * * backup%to tape").spec
    assert spec.rules == (CronRule(expression="0 4 * * *"),)
    assert spec.time_zone == "Europe/Paris"
    assert spec.overlap is Overlap.ALLOW
    assert spec.catch_up is CatchUp.NONE
    assert spec.template.task == "bash"
    assert spec.template.delivery is Delivery.AT_MOST_ONCE
    assert spec.template.labels == {"crontab": "tab", "comment": "see below"}
    assert json.loads(spec.template.parameters) == {
        "command": "backup",
        "stdin": "to tape\n",
        "cwd": "~",
        "env": {"A": "b"},
    }


def test_the_user_is_a_label():
    assert one("@daily ann date", form=Form.SYSTEM).spec.template.labels["user"] == "ann"


def test_cron_tz_goes_before_the_zone_that_was_asked_for():
    assert one("CRON_TZ=Asia/Tokyo", "@daily date").spec.time_zone == "Asia/Tokyo"


def test_a_random_delay_becomes_jitter():
    assert one("RANDOM_DELAY=45", "@daily date").spec.jitter == timedelta(minutes=45)


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash", "/usr/bin/bash", "sh", ""])
def test_bash_stands_in_for_sh(shell: str):
    assert parameters(one(f'SHELL="{shell}"', "@daily date"))["command"] == "date"


def test_another_shell_is_called():
    command = parameters(one("SHELL=/usr/bin/z sh", "@daily echo 'a'"))["command"]
    assert command == """exec '/usr/bin/z sh' -c 'echo '"'"'a'"'"''"""


def test_wishes_go_before_what_cron_does_and_before_extras():
    wishes = {
        "overlap": Overlap.SKIP,
        "catch_up": CatchUp.LAST,
        "delivery": Delivery.AT_LEAST_ONCE,
        "timeout": timedelta(minutes=5),
        "labels": {"team": "blue"},
    }
    extras = '# later: {"overlap": "BUFFER_ALL", "catchUp": "ALL", "timeout": "1h"}'
    for lines in (["@daily date"], [extras, "@daily date"]):
        spec = one(*lines, **wishes).spec
        assert spec.overlap is Overlap.SKIP
        assert spec.catch_up is CatchUp.LAST
        assert spec.template.delivery is Delivery.AT_LEAST_ONCE
        assert spec.template.timeout == timedelta(minutes=5)
        assert spec.template.labels == {"crontab": "tab", "team": "blue"}


def test_the_same_line_has_the_same_id_wherever_it_stands_and_whatever_holds_for_it():
    line = "0 4 * * * /usr/bin/backup --all"
    ids = {
        one(line).id,
        one("# comment", line).id,
        one("A=b", "", f"  {line}").id,
        one(line, overlap=Overlap.SKIP, time_zone="UTC").id,
    }
    assert len(ids) == 1
    assert ids.pop().startswith("tab-backup-")


def test_what_makes_another_schedule_makes_another_id():
    lines = ["0 4 * * * a", "0 5 * * * a", "0 4 * * * b", "0 4 * * * a%in"]
    ids = {one(line).id for line in lines}
    ids |= {one("0 4 * * * a", name="other").id, one("0 4 * * * a", prefix="x-").id}
    ids |= {one("0 4 * * * ann a", form=Form.SYSTEM).id}
    assert len(ids) == 7


def test_the_same_line_twice_is_two_schedules():
    first, second, other = proposals("@daily a", "@daily a", "@daily b")
    assert len({first.id, second.id, other.id}) == 3
    assert [first.id, second.id] == [each.id for each in proposals("@daily a", "@daily a")]


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("/usr/lib/tidy", "tidy"),
        ("[ -x /usr/lib/tidy ] && if [ ! -d /run/x ]; then /usr/lib/tidy; fi", "tidy"),
        ("test -e /run/x || MODE=1 /usr/lib/e2/scrub_all", "scrub_all"),
        ("command -v sa1 > /dev/null && sa1 1 1", "sa1"),
        ("cd /srv && nice ./run.sh", "run.sh"),
        ("[ 1 ]", ""),
        ("ünïcode", "n-code"),
    ],
)
def test_an_id_says_what_the_command_is_about(command: str, word: str):
    id = one(f"@daily {command}").id
    assert id.removeprefix("tab-").rpartition("-")[0] == word


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/etc/cron.d/php", "php"),
        ("/etc/crontab", "crontab"),
        ("", "crontab"),
        ("/tmp/my crons (old)", "my-crons-old"),
        ("/tmp/---", "crontab"),
        ("/tmp/" + "a" * 200, "a" * 32),
    ],
)
def test_a_crontab_is_called_by_its_file(path: str, name: str):
    assert crontab_name(path) == name


def test_every_id_fits_and_one_with_a_long_prefix_is_refused():
    assert len(one(f"@daily {'x' * 500}", name="n" * 32).id) <= SCHEDULE_ID_MAX_LENGTH
    (refused,) = proposals("@daily x", prefix="p" * SCHEDULE_ID_MAX_LENGTH)
    assert isinstance(refused, Refused)
    assert f"longer than {SCHEDULE_ID_MAX_LENGTH}" in refused.reason


@pytest.mark.parametrize(
    "extras",
    [
        '{"overlap": "SOMETIMES"}',
        '{"overlap": 1}',
        '{"jitter": "soon"}',
        '{"jitter": 5}',
        '{"labels": {"a": 1}}',
        '{"labels": []}',
        '{"retry": {"maxAttempts": 3}}',
        '{"pauseOnFailure": "yes"}',
        '{"id": 5}',
        '{"parameters": "{\\"command\\": 1}"}',
    ],
)
def test_wrong_extras_are_refused_with_the_remedy(extras: str):
    (refused,) = proposals(f"# later: {extras}", "@daily x")
    assert isinstance(refused, Refused)
    assert "take it out" in refused.reason


def test_what_the_line_says_holds_against_its_extras():
    extras = json.dumps(
        {
            "id": "mine",
            "expression": "0 9 * * *",
            "timeZone": "Asia/Tokyo",
            "parameters": '{"command": "rm x"}',
        }
    )
    proposal = one(f"# later: {extras}", "0 4 * * * date")
    assert proposal.id == "mine"
    assert proposal.rule.expression == "0 4 * * *"
    assert proposal.time_zone == "Europe/Paris"
    assert parameters(proposal)["command"] == "date"


def test_an_id_never_changes():
    # Of what was imported with it, another id would make a second schedule.
    assert one("30 2 * * *  /usr/bin/backup --all%x").id == "tab-backup-57efe23278"
