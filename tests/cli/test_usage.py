"""Wrong words, and no server: one line and the right exit code, never a traceback."""

import json
import subprocess
import sys

import pytest

COMMANDS = [
    "serve", "create", "get", "list", "abort", "reschedule", "retry", "watch",
    "plugins", "stats", "settings", "crontab", "demo", "completion", "schedules", "export", "import",
]  # fmt: skip
#: A port that nobody listens on (tcpmux; no test runs one).
NOBODY = "127.0.0.1:1"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(later, command: str):
    said = later(command, "--help")
    assert said.code == 0
    assert said.out.startswith(f"Usage: later {command}")
    assert said.err == ""


def test_the_help_names_every_command_in_a_sentence(later):
    said = later("--help")
    assert said.code == 0
    for command in COMMANDS:
        (line,) = [line for line in said.out.splitlines() if line.startswith(f"  {command} ")]
        assert line.rstrip().endswith(".")


def test_without_a_command_the_help_is_shown_as_wrong_usage(later):
    said = later()
    assert said.code == 2
    assert "Usage: later" in said.err


def test_the_version_is_told(later):
    said = later("--version")
    assert said.code == 0
    assert said.out.startswith("later 0.")


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["--nonsense"],
        ["serve", "--nonsense"],
        ["serve", "--recurrence=soon"],
        ["serve", "--listen=here"],
        ["serve", "--set=nonsense"],
        ["serve", "--config=/does/not/exist.toml"],
        ["create"],
        ["create", "echo", "--at", "someday"],
        ["create", "echo", "--in", "someday"],
        ["create", "echo", "--at", "now", "--in", "5m"],
        ["create", "echo", "--label", "no-equals"],
        ["create", "echo", "--timeout", "x"],
        ["create", "echo", "--max-attempts", "0"],
        ["create", "echo", "--delivery", "sometimes"],
        ["create", "echo", "text", "--json-parameters", "{}"],
        ["create", "echo", "--json-parameters", "{"],
        ["create", "echo", "--json-parameters", '{"a": NaN}'],
        ["create", "echo", "--file", "/does/not/exist"],
        ["create", "echo", "--id", "\udcff"],
        ["get"],
        ["get", "a", "b"],
        ["list", "--state", "SLEEPING"],
        ["list", "--from", "someday"],
        ["list", "--limit", "-1"],
        ["abort"],
        ["reschedule", "x"],
        ["reschedule", "x", "--at", "300"],
        ["reschedule", "x", "--in", "5m", "--revision", "0"],
        ["retry"],
        ["retry", "x", "--at", "now", "--in", "1s"],
        ["watch", "--include-existing", "--resume-token", "x"],
        ["watch", "--limit", "0"],
        ["watch", "--bookmarks"],
        ["create", "echo", "--label", "a=b", "--label", "a=c"],
        ["list", "--label", "a=b", "--label", "a=c"],
        ["plugins", "--set", "x"],
        ["stats", "more"],
        ["settings", "--config", "/does/not/exist.toml"],
        ["demo", "--count", "0"],
        ["crontab", "import"],
        ["crontab", "import", "/does/not/exist"],
        ["crontab", "import", "/dev/null", "--system", "--user"],
        ["crontab", "import", "/dev/null", "--tz", "Europe/Pariss"],
        ["crontab", "import", "/dev/null", "--overlap", "sometimes"],
        ["crontab", "import", "/dev/null", "--prefix", "no spaces"],
        ["crontab", "export", "a", "b"],
        ["completion"],
        ["completion", "tcsh"],
        ["--address", "nowhere", "get", "x"],
        ["get", "x", "--tls-ca", "/does/not/exist.pem"],
        ["--tls-client-cert", "/does/not/exist.pem", "get", "x"],
        ["serve", "--tls-cert", "/does/not/exist.pem"],
        ["serve", "--max-connections", "0"],
    ],
    ids=" ".join,
)
def test_wrong_words_are_told_in_one_line(later, words: list[str]):
    said = later(*words)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("later: error: ")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["create", "echo"],
        ["create", "echo", "--wait"],
        ["get", "x"],
        ["list"],
        ["list", "--json"],
        ["abort", "x"],
        ["reschedule", "x", "--in", "5m"],
        ["retry", "x"],
        ["watch"],
        ["stats"],
        ["crontab", "export"],
    ],
    ids=" ".join,
)
def test_a_missing_server_is_told_in_one_line_with_the_remedy(later, words: list[str]):
    said = later("--address", NOBODY, *words)
    assert said.code == 1
    assert said.out == ""
    assert said.err == (
        f"later: error: no Later server at {NOBODY}: start one with later serve,"
        " or set LATER_ADDRESS/--address\n"
    )


def test_the_address_is_taken_from_the_environment(later, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LATER_ADDRESS", "127.0.0.1:2")
    assert "no Later server at 127.0.0.1:2" in later("get", "x").err


def test_a_near_miss_is_guessed(later):
    assert "create" in later("craete").err


def test_a_wrong_number_is_called_a_number(later):
    assert "'x' is not a valid number" in later("create", "echo", "--max-attempts", "x").err
    assert "'x' is not a valid number" in later("create", "echo", "--multiplier", "x").err
    assert "1.5 is not in the range" in later("create", "echo", "--retry-jitter", "1.5").err


def test_the_help_on_completion_has_a_line_for_each_shell(later):
    lines = [line.split()[0] for line in later("completion", "--help").out.splitlines() if line]
    assert [line for line in lines if line in {"bash:", "zsh:", "fish:"}] == [
        "bash:",
        "zsh:",
        "fish:",
    ]
    assert not any("\\b" in line for line in lines)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_of_a_shell_is_printed(later, shell: str):
    said = later("completion", shell)
    assert said.code == 0
    assert "_LATER_COMPLETE" in said.out


def test_settings_are_shown_with_where_they_come_from(later, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LATER_RETENTION", "2d")
    monkeypatch.setenv("LATER_MONGODB_URI", "mongodb://user:hunter2@host")
    said = later("settings", "--json")
    assert said.code == 0
    rows = {row["name"]: row for row in said.records}
    assert rows["retention"]["value"] == "2d"
    assert rows["retention"]["source"] == "environment"
    assert rows["lease"]["source"] == "default"
    assert "hunter2" not in said.out
    assert "retention" in later("settings").out


def test_plugins_are_listed_without_a_server(later):
    said = later("plugins", "--json")
    assert said.code == 0
    (record,) = said.records
    echo = next(task for task in record["tasks"] if task["name"] == "echo")
    assert echo["distribution"] == "later-plugin-echo"
    assert "rejectedPlugins" in record
    assert "later-plugin-echo" in later("plugins").out


def test_the_limits_in_force_are_listed_with_the_plugins(later):
    limits = ("concurrency_limits=echo=4", "time_limits=echo=1m", "breakers=echo=5/1m")
    said = later("plugins", *(word for limit in limits for word in ("--set", limit)))
    (row,) = [line for line in said.out.splitlines() if line.startswith("echo") and "once" in line]
    assert "1m each, 4 at once, breaker 5/1m+30s" in row
    (told,) = later("plugins", "--json", "--set", "concurrency_limits=echo=4").records
    echo = next(task for task in told["tasks"] if task["name"] == "echo")
    assert echo["limits"] == {"concurrencyLimit": 4}


def test_help_loads_neither_grpc_nor_the_database_driver():
    code = (
        "import sys; from later_core.cli import main; main(['--help']);"
        "heavy = {'grpc', 'google.protobuf', 'motor', 'pymongo', 'dateparser', 'pydantic'};"
        "sys.exit(' '.join(heavy & sys.modules.keys()) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_goes_away_is_no_error():
    # head leaves after the first line; what follows is more than a pipe holds.
    script = (
        f'{sys.executable} -c "from later_core.cli.output import print_json;'
        "from later_core.cli.failure import guarded; import sys;"
        "sys.exit(guarded(lambda: [print_json({'n': n}) for n in range(100000)] and None))\""
        ' | head -n 1; echo "${PIPESTATUS[0]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=30, check=False
    )
    first, code = done.stdout.splitlines()
    assert json.loads(first) == {"n": 0}
    assert code == "141"
    assert done.stderr == ""
