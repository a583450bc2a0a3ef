"""Schedules as a crontab: what is written reads as the same schedules, all else is a comment."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.cli.crontab.entry import Form
from later_core.cli.crontab.extras import Proposal
from later_core.cli.crontab.proposing import Wishes, propose
from later_core.cli.crontab.reading import read
from later_core.cli.crontab.writing import write
from later_core.model.concurrency import Concurrency
from later_core.model.instance import Delivery, NewInstance
from later_core.model.recurrence.rules import (
    CronRule,
    ExcludedDates,
    IntervalRule,
)
from later_core.model.retry import RetryPolicy
from later_core.model.schedule import (
    CatchUp,
    Overlap,
    Progress,
    Schedule,
    ScheduleSpec,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MORNING = CronRule(expression="0 6 * * *")
SPEC = ScheduleSpec(template=NewInstance(task="bash", parameters=b"date"), rules=(MORNING,))


def stored(spec: ScheduleSpec, id: str = "s", **fields: Any) -> Schedule:
    progress = Progress(planned_until=NOW, next_time=None)
    return Schedule(id=id, spec=spec, progress=progress, create_time=NOW, update_time=NOW, **fields)


def read_back(text: str, form: Form = Form.USER) -> dict[str, ScheduleSpec]:
    crontab = read(text, form, "Pacific/Chatham")
    assert crontab.refused == []
    wishes = Wishes(name="anything", time_zone="Pacific/Chatham")
    proposals = [proposal for _, proposal in propose(crontab, wishes)]
    assert all(isinstance(proposal, Proposal) for proposal in proposals)
    return {proposal.id: proposal.spec for proposal in proposals}


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
NAMES = st.text("ABHOME_", min_size=1, max_size=4)
NUMBERS = st.integers(0, 6).map(str)
TERMS = st.one_of(
    NUMBERS,
    st.just("*"),
    st.sampled_from(["1-5", "1-5/2", "*/2", "2,4", "1-3,5", "5/2", "L", "7"]),
)
EXPRESSIONS = st.one_of(
    st.builds("{} {} 1 {} *".format, TERMS, TERMS, st.sampled_from(["*", "JAN", "feb-MAY"])),
    st.sampled_from(
        ["@daily", "@Hourly", "0  4 * *\tmon", "0 0 4 * * *", "0 4 * * 1#2", "0 4 15W * *"]
    ),
)
ENVIRONMENTS = st.dictionaries(NAMES, WORDS, max_size=3)
SHELLS = st.sampled_from([{}, {}, {"SHELL": "/bin/sh"}, {"SHELL": "/usr/bin/zsh"}])
DURATIONS = st.none() | st.integers(1, 10**9).map(lambda n: timedelta(milliseconds=n))


def to_parameters(
    command: str, stdin: str, env: dict[str, str], shell: dict[str, str], cwd: str | None
) -> bytes:
    value = {"command": command, "env": env | shell, "cwd": cwd, "stdin": stdin}
    return json.dumps({key: part for key, part in value.items() if part}).encode()


TEMPLATES = st.builds(
    NewInstance,
    task=st.just("bash"),
    parameters=st.one_of(
        st.builds(
            to_parameters,
            WORDS,
            WORDS | WORDS.map(lambda text: f"{text}\n"),
            ENVIRONMENTS,
            SHELLS,
            st.sampled_from([None, "~", "~", "/srv"]),
        ),
        WORDS.map(str.encode),
        st.binary(max_size=8),
    ),
    labels=st.dictionaries(
        st.sampled_from(["crontab", "user", "comment", "team"]), WORDS, max_size=3
    ),
    timeout=DURATIONS,
    start_deadline=DURATIONS,
    delivery=st.sampled_from(Delivery),
    concurrency=st.none() | st.builds(Concurrency, key=WORDS, limit=st.integers(1, 1000)),
    priority=st.integers(0, 100),
    retry=st.builds(
        RetryPolicy,
        max_attempts=st.integers(1, 1000),
        multiplier=st.floats(1, 100),
        jitter=st.floats(0, 1),
        final_reasons=st.lists(st.sampled_from(["GONE", "EXIT_CODE"]), unique=True).map(tuple),
        min_backoff=st.integers(0, 10**6).map(lambda n: timedelta(milliseconds=n)),
    ),
)
SPECS = st.builds(
    ScheduleSpec,
    template=TEMPLATES,
    rules=st.tuples(
        st.builds(
            CronRule,
            expression=EXPRESSIONS,
            time_zone=st.sampled_from([None, "Europe/Paris", "UTC"]),
        )
    ),
    time_zone=st.sampled_from(["UTC", "Europe/Paris", "America/New_York"]),
    overlap=st.sampled_from(Overlap),
    catch_up=st.sampled_from(CatchUp),
    catchup_window=DURATIONS,
    jitter=st.integers(0, 10**7).map(lambda n: timedelta(milliseconds=n)),
    pause_on_failure=st.booleans(),
)


@given(st.lists(SPECS, max_size=5), st.sampled_from(Form))
def test_what_is_written_reads_as_the_same_schedules(specs: list[ScheduleSpec], form: Form):
    schedules = {f"s{number}": spec for number, spec in enumerate(specs)}
    written = write([stored(spec, id) for id, spec in schedules.items()], form, owner="root")
    assert read_back(written.text, form) == {id: schedules[id] for id in written.ids}
    assert set(written.ids) | written.left_out.keys() == schedules.keys()
    assert len(written.ids) + len(written.left_out) == len(schedules)


@given(
    st.text("ab%\\ '\"$#|=ü", min_size=1).map(str.strip).filter(bool),
    st.text("ab%'\" \n#=").map(lambda text: f"{text}\n" if text else ""),
    st.dictionaries(NAMES, st.text("ab '%\\#=$")),
)
def test_every_command_of_one_line_can_be_written(
    command: str, stdin: str, environment: dict[str, str]
):
    parameters = to_parameters(command, stdin, environment, {}, "~")
    spec = replace(SPEC, template=replace(SPEC.template, parameters=parameters))
    written = write([stored(spec)], Form.USER)
    assert written.left_out == {}
    assert read_back(written.text) == {"s": spec}


@pytest.mark.parametrize("form", Form)
def test_an_imported_crontab_is_exported_whole(form: Form):
    user = "ann " if form is Form.SYSTEM else ""
    text = f"""
# m h dom mon dow command
MAILTO=ann
CRON_TZ=Asia/Tokyo
# every night
0 4 * * * {user}backup "a  b"%to tape
SHELL=/usr/bin/zsh
-30 5 * * MON-FRI {user}date +\\%F > 'x y'
RANDOM_DELAY=5
PATH="/opt/x y/bin:/bin"
@hourly {user}tidy
@hourly {user}tidy
"""
    crontab = read(text, form, "UTC")
    proposals = list(propose(crontab, Wishes(name="tab", time_zone="UTC")))
    schedules = {p.id: p.spec for _, p in proposals if isinstance(p, Proposal)}
    assert len(schedules) == 4
    written = write([stored(spec, id) for id, spec in schedules.items()], form)
    assert written.left_out == {}
    assert read_back(written.text, form) == schedules
    assert "# every night\n# later: {" in written.text


def test_a_crontab_as_it_looks():
    spec = replace(
        SPEC,
        time_zone="Europe/Paris",
        overlap=Overlap.ALLOW,
        catch_up=CatchUp.NONE,
        template=NewInstance(
            task="bash",
            delivery=Delivery.AT_MOST_ONCE,
            parameters=to_parameters("date +%F", "", {"PATH": "/bin"}, {}, "~"),
            labels={"comment": "every morning", "user": "ann"},
        ),
    )
    interval = replace(SPEC, rules=(IntervalRule(every=timedelta(hours=1)),))
    written = write([stored(interval, "hourly"), stored(spec, "date")], Form.SYSTEM)
    lines = written.text.splitlines()
    extras = {
        "id": "date",
        "labels": {"comment": "every morning", "user": "ann"},
        "parameters": spec.template.parameters.decode(),
    }
    assert lines == [
        "# Written by later crontab export; later crontab import reads it back.",
        "# m h dom mon dow user command",
        "",
        "CRON_TZ=Europe/Paris",
        "PATH=/bin",
        "# every morning",
        f"# later: {json.dumps(extras)}",
        "0 6 * * * ann date +\\%F",
        "",
        "# not written: hourly: its rule is no cron expression",
    ]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (replace(SPEC, rules=(MORNING, MORNING)), "2 rules"),
        (replace(SPEC, rules=(IntervalRule(every=timedelta(hours=1)),)), "no cron expression"),
        (replace(SPEC, exclusions=(ExcludedDates(dates=(NOW.date(),)),)), "no exclusions"),
        (replace(SPEC, start_time=NOW), "no start time"),
        (replace(SPEC, end_time=NOW), "no end time"),
        (replace(SPEC, max_runs=3), "no max runs"),
        (replace(SPEC, template=NewInstance(task="echo")), "the task echo"),
        *(
            (replace(SPEC, rules=(CronRule(expression=expression),)), "does not understand")
            for expression in (
                "0 0 6 * * *",
                "0 6 L * *",
                "0 6 * * 1#2",
                "5/10 * * * *",
                "0 6 1W * *",
            )
        ),
        *(
            (replace(SPEC, template=NewInstance(task="bash", parameters=parameters)), reason)
            for parameters, reason in (
                (b"\xff", "no text"),
                (b"a\nb", "no way to write"),
                (b" a", "no way to write"),
                (b'{"command": 1}', "none of the task bash"),
                (b'{"command": "a", "cwd": "/srv"}', "runs in /srv"),
                (b'{"command": "a", "stdin": "no newline"}', "no way to write"),
                (b'{"command": "a", "env": {"A": "b\\nc"}}', "no way to write"),
                (b'{"command": "a", "env": {"SHELL": "/bin/zsh"}}', "zsh"),
                (b'{"command": "a", "env": {"LOGNAME": "b"}}', "no way to write"),
            )
        ),
    ],
)
def test_what_cron_cannot_say_is_a_comment_with_the_reason(spec: ScheduleSpec, reason: str):
    written = write([stored(spec)], Form.USER)
    assert written.ids == []
    assert reason in written.left_out["s"]
    assert f"\n# not written: s: {written.left_out['s']}\n" in written.text
    assert read_back(written.text) == {}


def test_a_paused_schedule_is_a_comment():
    assert "paused" in write([stored(SPEC, is_paused=True)], Form.USER).left_out["s"]


def test_a_system_crontab_needs_to_know_who():
    assert "--owner" in write([stored(SPEC)], Form.SYSTEM).left_out["s"]
    assert " root date\n" in write([stored(SPEC)], Form.SYSTEM, owner="root").text


def test_settings_that_cannot_be_taken_back_are_told():
    def needs(**env: str) -> ScheduleSpec:
        parameters = to_parameters("a", "", env, {}, "~")
        return replace(SPEC, template=replace(SPEC.template, parameters=parameters))

    specs = {
        "one": needs(A="1", B="1"),
        "two": needs(B="2"),
        "three": needs(),
        "four": needs(C="1"),
    }
    written = write([stored(spec, id) for id, spec in specs.items()], Form.USER)
    assert written.ids == ["three", "two", "one"]
    assert "take back B" in written.left_out["four"]
    assert read_back(written.text) == {id: specs[id] for id in written.ids}
