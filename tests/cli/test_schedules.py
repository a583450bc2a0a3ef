"""``later schedules`` against a real server, and without one."""

from __future__ import annotations

import uuid

import pytest

NOBODY = "127.0.0.1:1"
COMMANDS = [
    "preview", "create", "list", "show", "calendar", "pause", "resume", "trigger", "backfill",
    "update", "delete",
]  # fmt: skip
#: A rule that fires on one minute of the year.
RARELY = ("--cron", "0 4 29 2 *")


@pytest.fixture
def id() -> str:
    return f"s-{uuid.uuid4().hex}"


@pytest.fixture
def run(ask):
    """Run ``later schedules`` against the shared server; it must end well."""

    def schedules(*words: str):
        said = ask("schedules", *words)
        assert (said.code, said.err) == (0, ""), said.err
        return said

    return schedules


@pytest.fixture
def created(run, id: str) -> str:
    run("create", "echo", "hello", *RARELY, "--id", id, "--tz", "Asia/Tokyo")
    return id


# -- without a server -------------------------------------------------------------------------


def test_every_command_explains_itself_and_the_help_names_it_in_a_sentence(later):
    help_text = later("schedules", "--help").out
    for command in COMMANDS:
        (line,) = [line for line in help_text.splitlines() if line.startswith(f"  {command} ")]
        assert line.rstrip().endswith(".")
        assert "..." not in line
        said = later("schedules", command, "--help")
        assert (said.code, said.err) == (0, "")
        assert said.out.startswith(f"Usage: later schedules {command}")


def test_a_preview_needs_no_server(later):
    said = later(
        "--address", NOBODY, "schedules", "preview", "*/5 9-17 * * MON-FRI", "--tz", "Europe/Paris",
        "--after", "2026-03-27T17:50", "--count", "3",
    )  # fmt: skip
    assert (said.code, said.err) == (0, "")
    head, *lines = said.out.splitlines()
    assert head.split() == ["EUROPE/PARIS", "IN", "UTC"]
    assert [line.partition("Z ")[0] for line in lines] == [
        "Fri 2026-03-27 17:55:00 CET   2026-03-27T16:55:00.000",
        "Mon 2026-03-30 09:00:00 CEST  2026-03-30T07:00:00.000",
        "Mon 2026-03-30 09:05:00 CEST  2026-03-30T07:05:00.000",
    ]


@pytest.mark.parametrize(
    ("words", "times"),
    [
        (["@daily"], ["2030-01-02T00:00:00Z", "2030-01-03T00:00:00Z"]),
        (["@daily", "@hourly"], ["2030-01-01T01:00:00Z", "2030-01-01T02:00:00Z"]),
        (["@daily", "--tz", "Asia/Tokyo"], ["2030-01-01T15:00:00Z", "2030-01-02T15:00:00Z"]),
        (
            ["--every", "90m", "--anchor", "2030-01-01T00:10Z"],
            ["2030-01-01T00:10:00Z", "2030-01-01T01:40:00Z"],
        ),
        (["--every", "1h"], ["2030-01-01T01:00:00Z", "2030-01-01T02:00:00Z"]),
        (
            ["--rrule", "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18", "--tz", "Europe/Paris"],
            ["2030-01-25T17:00:00Z", "2030-02-22T17:00:00Z"],
        ),
        (
            [
                "--rrule",
                "FREQ=DAILY;INTERVAL=3",
                "--dtstart",
                "2030-01-02T07:30",
                "--tz",
                "Asia/Tokyo",
            ],
            ["2030-01-01T22:30:00Z", "2030-01-04T22:30:00Z"],
        ),
        (
            ["--at", "2030-05-01T12:00", "--at", "2030-04-01T12:00Z", "--tz", "Europe/Paris"],
            ["2030-04-01T12:00:00Z", "2030-05-01T10:00:00Z"],
        ),
        (
            ["@daily", "--exclude", "2030-01-02", "--exclude", "2030-01-04"],
            ["2030-01-03T00:00:00Z", "2030-01-05T00:00:00Z"],
        ),
        (
            ["@daily", "--exclude", "0 0 * * WED", "--exclude", "2030-01-03T00:00Z"],
            ["2030-01-04T00:00:00Z", "2030-01-05T00:00:00Z"],
        ),
        (
            ["@daily", "--exclude", "FREQ=MONTHLY;BYMONTHDAY=2,3,4"],
            ["2030-01-05T00:00:00Z", "2030-01-06T00:00:00Z"],
        ),
        (["@daily", "--start", "2031-01-01"], ["2031-01-01T00:00:00Z", "2031-01-02T00:00:00Z"]),
    ],
    ids=str,
)
def test_every_way_to_say_when_is_understood(later, words, times):
    said = later(
        "schedules", "preview", *words, "--after", "2030-01-01T00:00Z", "--count", "2", "--json"
    )
    assert (said.code, said.err) == (0, "")
    assert said.records == [{"times": times}]


def test_a_preview_says_where_it_ends(later):
    words = ["schedules", "preview", "@daily", "--after", "2030-01-01", "--end", "2030-01-03"]
    said = later(*words)
    assert said.code == 0
    assert len(said.out.splitlines()) == 2
    assert said.err == "later: it fires no more after that\n"
    said = later("schedules", "preview", "--at", "2030-01-01", "--after", "2031-01-01")
    assert (said.code, said.err) == (0, "later: it never fires\n")


def test_the_calendar_of_rules_needs_no_server(later):
    said = later(
        "--address", NOBODY, "schedules", "calendar", "--month", "2026-03", "--tz", "Europe/Paris",
        "--cron", "30 2 * * SUN", "--every", "1h", "--exclude", "2026-03-18",
    )  # fmt: skip
    assert (said.code, said.err) == (0, "")
    assert "March 2026, Europe/Paris" in said.out
    cells = [cell.split() for line in said.out.splitlines() for cell in line.split("│")[1:-1]]
    # 31 days less the one that is excluded; on the 29th a day of 23 hours, and 02:30 is at 03:00.
    assert cells.count(["a", "24x"]) == 31 - 1 - 5
    assert cells.count(["a", "25x"]) == 4
    assert cells.count(["a", "23x"]) == 1
    assert said.out.splitlines()[-1] == "a  30 2 * * SUN, every 1h"


def test_few_times_of_a_day_are_spelled_out_and_many_are_not_counted(later):
    def cells(*words: str) -> set[str]:
        out = later("schedules", "calendar", "--month", "2026-02", *words).out
        return {cell.strip() for line in out.splitlines() for cell in line.split("│")[1:-1]}

    assert "a 09:00 17:30" in cells("--cron", "0 9 * * *", "--cron", "30 17 * * *")
    assert "a >99x" in cells("--every", "1s")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["create"],
        ["create", "echo"],
        ["create", "echo", "--cron", "@daily", "--overlap", "sometimes"],
        ["create", "echo", "--cron", "@daily", "--max-runs", "0"],
        ["create", "echo", "--cron", "@daily", "--tz", "Mars"],
        ["create", "echo", "--cron", "@daily", "--start", "someday"],
        ["create", "echo", "--cron", "@daily", "--exclude", "2030-02-30"],
        ["create", "echo", "--cron", "@daily", "--exclude", "someday"],
        ["create", "echo", "--cron", "@daily", "--anchor", "2030-01-01"],
        ["create", "echo", "--every", "1h", "--dtstart", "2030-01-01"],
        ["create", "echo", "--every", "often"],
        ["create", "echo", "--at", "someday"],
        ["update"],
        ["show"],
        ["pause"],
        ["list", "--limit", "-1"],
        ["list", "--times", "6"],
        ["backfill", "x"],
        ["preview"],
        ["preview", "61 * * * *"],
        ["preview", "@reboot"],
        ["preview", "--every", "1ms"],
        ["preview", "--rrule", "FREQ=NEVER"],
        ["preview", "@daily", "--start", "2030-01-02", "--end", "2030-01-01"],
        ["preview", "@daily", "--id", "x"],
        ["preview", "@daily", "--count", "0"],
        ["calendar", "--month", "2030-13"],
        ["calendar", "--month", "May"],
        ["calendar", "x", "--cron", "@daily"],
        ["calendar", "--cron", "61 * * * *"],
    ],
    ids=" ".join,
)
def test_wrong_words_are_told_in_one_line(later, words):
    said = later("schedules", *words)
    assert said.code == 2
    assert said.out == ""
    if words:
        assert said.err.startswith("later: error: ")
        assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["create", "echo", "--cron", "@daily"],
        ["list"],
        ["show", "x"],
        ["calendar"],
        ["preview", "--id", "x"],
        ["pause", "x"],
        ["trigger", "x"],
        ["backfill", "x", "--from", "2026-01-01"],
    ],
    ids=" ".join,
)
def test_a_missing_server_is_told_in_one_line(later, words):
    said = later("--address", NOBODY, "schedules", *words)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"later: error: no Later server at {NOBODY}: ")
    assert said.err.count("\n") == 1


# -- with a server ----------------------------------------------------------------------------


def test_create_takes_every_field(run, id: str):
    said = run(
        "create", "echo", "--json-parameters", '{"message": "hi"}', "--id", id, "--cron", "0 9 1 1 *",
        "--every", "300d", "--anchor", "2500-01-01", "--rrule", "FREQ=YEARLY", "--dtstart", "2500-01-01",
        "--at", "2500-06-01T09:00", "--exclude", "2500-12-25", "--tz", "Europe/Paris",
        "--start", "2499-01-01", "--end", "2600-01-01", "--max-runs", "7", "--jitter", "3s",
        "--overlap", "buffer-one", "--catch-up", "all", "--catchup-window", "1d",
        "--pause-on-failure", "--timeout", "5s", "--start-deadline", "1h", "--max-attempts", "3",
        "--delivery", "at-most-once", "--label", "team=blue", "--paused", "--note", "not yet",
        "--concurrency-key", "k", "--concurrency-limit", "2", "--json",
    )  # fmt: skip
    (record,) = said.records
    assert (record["id"], record["isPaused"], record["pauseNote"]) == (id, True, "not yet")
    spec = record["spec"]
    assert [next(iter(rule)) for rule in spec["rules"]] == ["cron", "interval", "calendar", "times"]
    assert spec["rules"][1]["interval"] == {"every": "25920000s", "anchor": "2499-12-31T23:00:00Z"}
    assert spec["exclusions"] == [{"dates": {"dates": ["2500-12-25"], "timeZone": ""}}]
    expected = {
        "task": "echo", "timeZone": "Europe/Paris", "startTime": "2498-12-31T23:00:00Z",
        "endTime": "2599-12-31T23:00:00Z", "maxRuns": 7, "jitter": "3s",
        "overlap": "OVERLAP_BUFFER_ONE", "catchUp": "CATCH_UP_ALL", "catchupWindow": "86400s",
        "pauseOnFailure": True, "timeout": "5s", "startDeadline": "3600s",
        "delivery": "DELIVERY_AT_MOST_ONCE", "labels": {"team": "blue"},
        "concurrency": {"key": "k", "limit": 2},
    }  # fmt: skip
    assert {name: spec[name] for name in expected} == expected
    assert spec["retry"]["maxAttempts"] == 3


def test_a_repeated_create_changes_nothing_and_another_is_refused(ask, run, created: str):
    words = ("create", "echo", "hello", *RARELY, "--id", created, "--tz", "Asia/Tokyo")
    (record,) = run(*words, "--json").records
    assert record["revision"] == "1"
    said = ask("schedules", *words, "--max-runs", "3")
    assert said.code == 1
    assert "exists with other content" in said.err


def test_wrong_rules_are_wrong_usage_and_named(ask):
    said = ask("schedules", "create", "echo", "--cron", "@daily", "--cron", "61 * * * *")
    assert said.code == 2
    assert said.err.startswith("later: error: ")
    assert "rules[1].cron.expression" in said.err
    assert said.err.count("\n") == 1


def test_show_says_all_about_it(run, created: str):
    lines = [" ".join(line.split()) for line in run("show", created).out.splitlines()]
    assert lines[0] == f"id {created}"
    assert "rule 0 4 29 2 *" in lines
    assert "time zone Asia/Tokyo" in lines
    assert "parameters hello" in lines
    assert sum(line.startswith("next time ") for line in lines) == 5
    (record,) = run("show", created, "--json").records
    assert record["schedule"]["id"] == created
    assert len(record["nextTimes"]) == 5
    assert {count["state"] for count in record["states"]} > {"STATE_PENDING"}


def test_list_shows_the_next_times(run, id: str):
    label = ("--label", f"test={id}")
    for name, paused in (("a", ()), ("b", ("--paused", "--note", "holiday"))):
        run(
            "create", "echo", *RARELY, "--id", f"{id}-{name}", *label, *paused, "--tz", "Asia/Tokyo"
        )
    head, first, second, paused = run("list", *label, "--times", "2").out.splitlines()
    assert head.split() == ["ID", "TASK", "RULES", "RUNS", "NEXT", "TIME"]
    assert first.split()[:2] == [f"{id}-a", "echo"]
    assert "04:00:00 JST" in first
    assert second.split()[:1] != [f"{id}-a"]
    assert "02-29 04:00:00 JST" in second
    assert paused.endswith("paused: holiday")
    records = run("list", *label, "--paused", "--json").records
    assert [record["schedule"]["id"] for record in records] == [f"{id}-b"]
    records = run("list", *label, "--active", "--json").records
    assert [record["schedule"]["id"] for record in records] == [f"{id}-a"]


def test_list_says_when_there_are_more(ask, run, id: str):
    for n in range(2):
        run("create", "echo", *RARELY, "--id", f"{id}-{n}", "--label", f"test={id}")
    said = ask("schedules", "list", "--label", f"test={id}", "--limit", "1", "--json")
    assert (said.code, len(said.records)) == (0, 1)
    assert said.err == "later: there are more than 1; --limit 0 shows all\n"


def test_update_changes_what_is_given_and_leaves_the_rest(run, created: str):
    (before,) = run("show", created, "--json").records
    (after,) = run(
        "update", created, "--max-runs", "5", "--timeout", "9s", "--label", "a=b",
        "--start", "2500-01-01", "--json",
    ).records  # fmt: skip
    expected = before["schedule"]["spec"] | {
        "maxRuns": 5,
        "timeout": "9s",
        "labels": {"a": "b"},
        # In the time zone that it has already.
        "startTime": "2499-12-31T15:00:00Z",
    }
    assert after["spec"] == expected
    (last,) = run(
        "update", created, "--clear", "max-runs", "--clear", "timeout", "--clear", "labels",
        "--clear", "start", "--cron", "@yearly", "--json",
    ).records  # fmt: skip
    assert last["spec"] == before["schedule"]["spec"] | {
        "rules": [{"cron": {"expression": "@yearly", "timeZone": ""}}]
    }


def test_a_stale_etag_is_refused(ask, run, created: str):
    (record,) = run("show", created, "--json").records
    etag = record["schedule"]["etag"]
    run("update", created, "new words", "--etag", etag)
    for words in (("update", created, "--max-runs", "5"), ("delete", created)):
        said = ask("schedules", *words, "--etag", etag)
        assert said.code == 1
        assert "has changed since it was read" in said.err


def test_pause_resume_and_delete_say_what_they_did(ask, run, created: str):
    assert run("pause", created, "--note", "holiday").out == f"{created}: paused\n"
    assert "holiday" in run("show", created).out
    assert run("resume", created).out.startswith(f"{created}: resumed; next ")
    assert run("delete", created).out == f"{created}: deleted\n"
    said = ask("schedules", "show", created)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"later: error: no schedule '{created}'")


def test_trigger_runs_it_now(ask, run, created: str):
    (record,) = run("trigger", created, "--request-id", "by-hand", "--json").records
    assert record["id"] == f"{created}@manual-by-hand"
    assert record["scheduleId"] == created
    (again,) = run("trigger", created, "--request-id", "by-hand", "--json").records
    assert again["id"] == record["id"]
    assert ask("list", "--schedule", created, "--json").records[0]["id"] == record["id"]


def test_backfill_runs_the_past_once(run, id: str):
    run("create", "echo", "--cron", "0 9 * * *", "--tz", "Asia/Tokyo", "--id", id, "--paused")
    words = ("backfill", id, "--from", "2026-01-01", "--to", "2026-01-04")
    assert run(*words).out == f"{id}: 3 created, 0 were there already\n"
    (record,) = run(*words, "--json").records
    assert record == {"created": 0, "existing": 3}


def test_a_preview_of_a_stored_one_is_in_its_zone(run, created: str):
    out = run("preview", "--id", created, "--after", "2026-01-01T00:00Z", "--count", "1").out
    head, line = out.splitlines()
    assert head.split()[0] == "ASIA/TOKYO"
    assert line.startswith("Tue 2028-02-29 04:00:00 JST")


def test_the_calendar_of_stored_ones_names_each_by_a_letter(run, id: str):
    for name, rule in (("a", "0 4 * * *"), ("b", "0 0 29 2 *")):
        run("create", "echo", "--cron", rule, "--id", f"{id}-{name}", "--overlap", "allow")
    out = run("calendar", f"{id}-a", f"{id}-b", "--month", "2028-02").out
    assert "February 2028, UTC" in out
    assert out.count("a 04:00") == 29
    assert out.count("b 00:00") == 1
    assert out.splitlines()[-2:] == [f"a  {id}-a  0 4 * * *", f"b  {id}-b  0 0 29 2 *"]
    records = run("calendar", f"{id}-b", "--month", "2028-02", "--json").records
    assert records == [{"id": f"{id}-b", "times": ["2028-02-29T00:00:00.000Z"]}]
    run("delete", f"{id}-a")
    run("delete", f"{id}-b")


def test_the_calendar_ends_with_the_last_run(run, id: str):
    run(
        "create",
        "echo",
        "--cron",
        "0 4 * 2 *",
        "--start",
        "2028-02-10",
        "--max-runs",
        "3",
        "--id",
        id,
    )
    (record,) = run("calendar", id, "--month", "2028-02", "--json").records
    assert record["times"] == [f"2028-02-{day}T04:00:00.000Z" for day in (10, 11, 12)]
