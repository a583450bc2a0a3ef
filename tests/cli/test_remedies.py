"""What cannot be done is told in a line or two, with what to do instead, and never as a traceback."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("line", "code", "remedy"),
    [
        ("schedules show nobody", 1, "later schedules list"),
        ("schedules pause nobody", 1, "later schedules list"),
        ("schedules trigger nobody", 1, "later schedules list"),
        ("schedules delete nobody", 1, "later schedules list"),
        ("schedules update nobody --cron @daily", 1, "later schedules list"),
        ("schedules backfill nobody --from 2020-01-01", 1, "later schedules list"),
        ("schedules preview --id nobody", 1, "later schedules list"),
        ("schedules calendar nobody", 1, "later schedules list"),
        ("schedules create ecko --cron @daily", 1, "did you mean 'echo'?"),
        ("schedules create zzz --cron @daily", 1, "later plugins"),
        ("schedules create echo", 2, "give --cron, --every, --rrule or --at"),
        ("schedules create echo --cron @dayly", 2, "@daily"),
        ("schedules create echo --every soon", 2, "write 300 (seconds), 5m"),
        ("schedules create echo --cron @daily --tz Europe/Pari", 2, "'Europe/Paris'"),
        ("schedules lst", 2, "Did you mean 'list'?"),
        ("create echo --json-parameters {a:1}", 2, "later create --help"),
        ("create echo --in soon", 2, "write 300 (seconds), 5m"),
        ("create echo --at someday", 2, "write ISO 8601"),
        ("create echo --file /does/not/exist", 2, "later create --help"),
        ("drain nobody", 1, "later nodes"),
        ("tokens revoke nobody", 1, "later tokens list"),
        ("tokens create x --role king", 2, "'viewer'"),
        ("watch --resume-token rubbish", 2, "leave it empty"),
        ("export /does/not/exist", 2, "name a file that can be written"),
        ("export /tmp", 2, "name a file that can be written"),
        ("import /does/not/exist", 2, "later import --help"),
        ("import /tmp", 2, "is a directory"),
        ("rekey", 2, "later new-key makes one"),
        ("top", 2, "later watch write lines"),
    ],
)
def test_what_is_wrong_is_told_with_the_next_step(ask, line: str, code: int, remedy: str):
    said = ask(*line.split())
    assert (said.code, said.out) == (code, "")
    assert said.err.startswith("later: error: ")
    assert said.err.count("\n") == 1
    assert remedy in said.err
