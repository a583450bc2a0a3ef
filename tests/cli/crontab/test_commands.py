"""``later crontab`` as people and programs read it, without a server."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LATER = [sys.executable, "-m", "later_core.cli"]
TAB = r"""# m h  dom mon dow   command
MAILTO=ops@example.org
CRON_TZ=Europe/Paris
# nightly dump
30 2 * * *   dump shop > /backups/shop-$(date +\%F)
*/15 9-17 * * MON-FRI  /usr/local/bin/poll --all
@reboot  /usr/local/bin/start
0 25 * * *  never
"""


@pytest.fixture
def tab(tmp_path: Path) -> Path:
    file = tmp_path / "tab"
    file.write_text(TAB)
    return file


def test_a_dry_run_shows_each_line_with_its_next_five_times(later, tab: Path):
    said = later("crontab", "import", str(tab), "--dry-run")
    assert said.code == 1
    heading, dump, poll, _, _, reboot, never = said.out.splitlines()
    assert " ".join(heading.split()) == "LINE RESULT SCHEDULE WHEN TIME ZONE NEXT TIMES COMMAND"
    assert dump.startswith("5     read    tab-dump-")
    assert dump.endswith("dump shop > /backups/shop-$(date +%F)")
    assert dump.count("02:30") == 5
    assert " Europe/Paris " in poll
    assert reboot.startswith("7  ")
    assert "no time" in reboot
    assert never.startswith("8  ")
    assert "bad hour" in never
    note, error = said.err.splitlines()
    assert note.startswith("later: note: line 2: MAILTO=ops@example.org: Later sends no mail")
    assert error == "later: error: 2 read, 2 refused: 2 lines of tab not taken over"


def test_a_dry_run_answers_programs(later, tab: Path):
    said = later("crontab", "import", str(tab), "--dry-run", "--json")
    assert said.code == 1
    dump, poll, reboot, never = said.records
    assert (dump["line"], dump["result"]) == (5, "READ")
    assert dump["expression"] == "30 2 * * *"
    assert dump["timeZone"] == "Europe/Paris"
    assert dump["labels"] == {"crontab": "tab", "comment": "nightly dump"}
    assert dump["env"] == {"MAILTO": "ops@example.org"}
    assert len(dump["nextTimes"]) == len(set(dump["nextTimes"])) == 5
    assert all(time.endswith(("T00:30:00.000Z", "T01:30:00.000Z")) for time in dump["nextTimes"])
    assert poll["command"] == "/usr/local/bin/poll --all"
    assert (reboot["line"], reboot["result"]) == (7, "REFUSED")
    assert reboot["text"] == "@reboot  /usr/local/bin/start"
    assert "no time" in reboot["reason"]
    assert never["result"] == "REFUSED"


def test_stdin_is_read(later, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"@daily ./x%y")))
    said = later("crontab", "import", "-", "--dry-run", "--json", "--name", "ann", "--tz", "UTC")
    assert said.code == 0
    (record,) = said.records
    assert record["id"].startswith("ann-x-")
    assert record["stdin"] == "y\n"
    assert record["timeZone"] == "UTC"
    assert "no newline" in said.err
    assert said.err.endswith("later: 1 read\n")


def test_users_are_noted(later, tmp_path: Path):
    file = tmp_path / "tab"
    file.write_text("@daily root a\n@daily ann b\n")
    said = later("crontab", "import", str(file), "--system", "--dry-run", "--json")
    assert said.code == 0
    assert [(record["user"], record["command"]) for record in said.records] == [
        ("root", "a"),
        ("ann", "b"),
    ]
    assert "run as ann, root; Later does not switch users" in said.err


def test_a_form_that_cannot_be_seen_is_asked_for(later, tmp_path: Path):
    file = tmp_path / "tab"
    file.write_text("@daily mail ann\n")
    said = later("crontab", "import", str(file), "--dry-run")
    assert said.code == 2
    assert "give --system" in said.err
    assert later("crontab", "import", str(file), "--dry-run", "--user").code == 0


def test_a_directory_and_a_huge_file_are_no_crontab(later, tmp_path: Path):
    assert later("crontab", "import", str(tmp_path)).code == 2
    huge = tmp_path / "huge"
    huge.write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    said = later("crontab", "import", str(huge))
    assert said.code == 2
    assert "4,194,304 bytes" in said.err


def test_a_crontab_without_entries_is_no_error(later, tmp_path: Path):
    file = tmp_path / "tab"
    file.write_text("# nothing\nA=b\n")
    said = later("crontab", "import", str(file), "--dry-run")
    assert (said.code, said.out, said.err) == (0, "", "later: no entries\n")


def test_without_a_zone_that_of_the_machine_is_taken():
    done = subprocess.run(
        [*LATER, "crontab", "import", "-", "--dry-run", "--json"],
        input="@daily x\n",
        env={**os.environ, "TZ": "America/New_York"},  # noqa: TID251 - for a child
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    record = json.loads(done.stdout)
    assert record["timeZone"] == "America/New_York"
    assert record["nextTimes"][0].endswith(("T05:00:00.000Z", "T04:00:00.000Z"))


def test_without_a_server_nothing_is_created_and_one_line_says_so(later, tab: Path):
    said = later("--address", "127.0.0.1:1", "crontab", "import", str(tab))
    assert said.code == 1
    assert said.out == ""
    assert "no Later server at 127.0.0.1:1" in said.err
