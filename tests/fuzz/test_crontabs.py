"""Any bytes at all as a crontab: never a traceback, and each line that is refused is named."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from later_core.cli.crontab.entry import Form
from later_core.cli.crontab.form import form_of_text
from later_core.cli.crontab.importing import Result, read_only, show_outcomes
from later_core.cli.crontab.names import crontab_name
from later_core.cli.crontab.proposing import Wishes
from later_core.cli.crontab.reading import decode, read

from .mutations import mutated

NOW = datetime(2030, 1, 1, tzinfo=UTC)

REAL = [
    b"""# /etc/crontab: system-wide crontab
SHELL=/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin
MAILTO="root"
# m h dom mon dow user  command
17 *\t* * *\troot    cd / && run-parts --report /etc/cron.hourly
25 6\t* * *\troot\ttest -x /usr/sbin/anacron || ( cd / && run-parts --report /etc/cron.daily )
47 6\t* * 7\troot\ttest -x /usr/sbin/anacron || ( cd / && run-parts --report /etc/cron.weekly )
""",
    b"""CRON_TZ=Europe/Paris
RANDOM_DELAY=10
@daily /usr/bin/backup --to "$(date +\\%F)"
*/5 8-18 * JAN-MAR MON,WED#2 mail -s report boss%line one%line two\\% three
0 0 L * * echo last
# later: {"id": "abc", "overlap": "SKIP", "labels": {"a": "b"}, "timeout": "5s"}
30 4 1,15 * 5 -x
-*/2 * * * * silent
""",
]

#: What lines are made of, so that chance makes more than comments.
PIECES = st.sampled_from(
    [
        *("*", "*/5", "0", "59", "60", "1-5", "5-1", "MON#2", "L", "15W", "JAN", "7", "-1", "*/0"),
        *("@daily", "@reboot", "@every 5m", "99999999999999999999", "1-99999999999", "\t", "  "),
        *("root", "echo hi", "%", "\\%", "\\", "CRON_TZ=", "CRON_TZ=Europe/Paris", "CRON_TZ=../x"),
        *("RANDOM_DELAY=", "99999", "A=", '"', "'", "=", "# later:", "{", "}", '{"id":', "#"),
        *("\r", "\0", "\ufeff", "\u202e", "\ud800", "\x85", "\u2028", "MAILTO=a", "LOGNAME=x"),
        '# later: {"id": 5, "labels": [], "timeout": {}, "overlap": null}',
        '# later: {"rules": [[[[',
        "# later: " + "[" * 5000,
        '# later: {"retry": {"max": 1e999}}',
    ]
)
MADE = st.lists(st.lists(PIECES, max_size=9).map(" ".join), max_size=6).map("\n".join)
CONTENTS = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
    MADE.map(lambda text: text.encode("utf-8", "surrogatepass")),
    mutated(st.sampled_from(REAL)),
)


@settings(settings.default, deadline=None)
@given(content=CONTENTS, form=st.sampled_from(Form), as_json=st.booleans())
def test_any_file_is_read_and_each_refused_line_is_named(content, form, as_json):
    text = decode(content)
    form_of_text(text, is_account=lambda name: name == "root")
    crontab = read(text, form, "Europe/Paris")
    lines = text.split("\n")
    outcomes = read_only(crontab, Wishes(name=crontab_name(""), time_zone="Europe/Paris"))
    assert sorted(o.line for o in outcomes) == sorted(
        [entry.line for entry in crontab.entries] + [refused.line for refused in crontab.refused]
    )
    for outcome in outcomes:
        assert lines[outcome.line - 1].strip(" \t\r")
        assert (outcome.refused is not None) is (outcome.result is Result.REFUSED)
        if outcome.refused is not None:
            assert outcome.refused.reason
        else:
            assert outcome.proposal is not None
    show_outcomes(outcomes, NOW, as_json=as_json)


def spoiled(content):
    """Line by line something that no crontab may hold."""
    odd = [b"\xff\xfe", b"\0", b"60 * * * * x", b"* * * * *", b"CRON_TZ=Nowhere", b"\x85 x", b"\\%"]
    return b"\n".join(odd + content.splitlines() + [b"@reboot x", b"# later: {", b"0 0 31 2 * x"])


@pytest.mark.parametrize("content", REAL, ids=["system", "user"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_command_names_each_refused_line_and_ends_in_order(
    tmp_path: Path, content: bytes, encoding: str
):
    file = tmp_path / "odd.crontab"
    file.write_bytes(spoiled(content))
    later = Path(sys.executable).with_name("later")
    said = subprocess.run(
        [later, "crontab", "import", file, "--dry-run", "--user", "--tz", "UTC"],
        env={**os.environ, "PYTHONUTF8": "1", "PYTHONIOENCODING": encoding},  # noqa: TID251 -- of another process
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert said.returncode == 1, said.stderr
    assert b"Traceback" not in said.stderr
    assert b"REFUSED" in said.stdout
    assert b"not taken over" in said.stderr
