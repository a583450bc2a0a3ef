"""Flags before variables before the file before defaults; complaints name where the value stood."""

from pathlib import Path

import pytest

from later_core.errors import SettingInvalid
from later_core.plugin.setting import PluginSetting
from later_core.settings import assignments, load

BASH = PluginSetting(name="bash_enabled", default=False, description="Whether commands run.")
LIMIT = PluginSetting(name="bash_limit", default=3, description="How many.")
TOKEN = PluginSetting(name="chat_token", default="", description="Secret.", is_secret=True)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "later.toml"
    path.write_text(text)
    return path


def test_a_flag_wins_over_a_variable_over_the_file_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, 'threads = 2\nmax_running = 2\ndatabase = "file"\n')
    monkeypatch.setenv("LATER_MAX_RUNNING", "3")
    monkeypatch.setenv("LATER_DATABASE", "variable")

    settings = load({"database": "flag", "threads": None}, config=file)

    assert (settings.threads, settings.max_running, settings.database) == (2, 3, "flag")
    assert settings.catch_up_rate == 1000
    assert [settings.sources[n] for n in ("threads", "max_running", "database", "grace")] == [
        "file",
        "environment",
        "flag",
        "default",
    ]


def test_the_file_is_found_by_variable_by_flag_and_in_its_usual_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = tmp_path / "config" / "later" / "config.toml"
    usual.parent.mkdir(parents=True)
    usual.write_text("threads = 5")
    assert load().threads == 5
    assert load().config == usual

    monkeypatch.setenv("LATER_CONFIG", str(write(tmp_path, "threads = 6")))
    assert load().threads == 6

    other = tmp_path / "other.toml"
    other.write_text("threads = 7")
    assert load({"config": str(other)}).threads == 7


def test_a_missing_file_is_an_error_only_when_it_was_asked_for(tmp_path: Path) -> None:
    assert load().config is None
    with pytest.raises(SettingInvalid, match=r"cannot read .*absent.toml: No such file"):
        load(config=tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("threads = ", "is not TOML"),
        ("thread = 3", "thread in .*later.toml: there is no such setting; did you mean threads?"),
        ("zzz = 3", "zzz in .*: there is no such setting; later settings lists them"),
        ("[bash]\nenabled = true", "bash in .*: there is no such setting"),
        (
            "threads = 'many'",
            "threads in .*: 'many' cannot be used: input should be a valid integer",
        ),
        (
            "threads = 0",
            "threads in .*: 0 cannot be used: it must be at least 1",
        ),
        ("lease = '3 lightyears'", "lease in .*: '3 lightyears' is not a duration; write 300"),
        ("recurrence = 0", "recurrence in .*: 0 cannot be used: it must be at least 100ms"),
        (
            "retention = '100000d'",
            "retention in .*: '100000d' cannot be used: it must be at most 24000d",
        ),
        ("config = 'other.toml'", "a file cannot name another one"),
        ("mongodb_uri = ['mongodb://u:hunter2@h']", "mongodb_uri in .*: this value cannot be used"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SettingInvalid, match=complaint) as caught:
        load(config=write(tmp_path, text), plugin_settings=[])
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "later.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingInvalid, match="not UTF-8"):
        load(config=path)


def test_the_complaint_names_the_variable_or_the_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingInvalid, match=r"setting --time-ahead: 'soon' is not a duration"):
        load({"time_ahead": "soon"})
    monkeypatch.setenv("LATER_LISTEN", "nowhere")
    with pytest.raises(SettingInvalid, match=r"setting LATER_LISTEN: 'nowhere' is not host:port"):
        load()


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATER_MONGODB_URI", "")
    assert load().mongodb_uri is None


def test_an_unknown_variable_is_a_warning_and_known_ones_are_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LATER_LISTN", "127.0.0.1:1")
    monkeypatch.setenv("LATER_ADDRESS", "127.0.0.1:2")
    monkeypatch.setenv("LATER_ATTEMPT", "1")
    assert load(plugin_settings=[]).warnings == (
        "LATER_LISTN is not a setting; did you mean LATER_LISTEN?",
    )


def test_settings_of_plugins_come_from_all_sources_and_take_the_type_of_their_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(plugin_settings=[BASH, LIMIT]).plugins == {"bash_enabled": False, "bash_limit": 3}

    file = write(tmp_path, "bash_enabled = true\nbash_limit = 4")
    assert load(plugin_settings=[BASH, LIMIT], config=file).plugins["bash_limit"] == 4

    monkeypatch.setenv("LATER_BASH_LIMIT", "5")
    settings = load(plugin_settings=[BASH, LIMIT], config=file)
    assert settings.plugins == {"bash_enabled": True, "bash_limit": 5}

    settings = load(assignments(["bash_limit=6"]), plugin_settings=[BASH, LIMIT])
    assert settings.plugins["bash_limit"] == 6
    assert settings.sources["bash_limit"] == "flag"


def test_a_wrong_value_for_a_plugin_is_refused_like_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LATER_BASH_ENABLED", "perhaps")
    with pytest.raises(SettingInvalid, match=r"LATER_BASH_ENABLED: 'perhaps' cannot be used"):
        load(plugin_settings=[BASH])


def test_commands_that_do_not_look_for_plugins_leave_their_settings_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATER_BASH_LIMIT", "5")
    settings = load(config=write(tmp_path, "bash_enabled = true"))
    assert settings.warnings == ()
    assert settings.plugins == {}


def test_a_plugin_cannot_take_the_name_of_a_setting_of_later() -> None:
    clash = PluginSetting(name="listen", default="", description="")
    with pytest.raises(SettingInvalid, match="Later has its own"):
        load(plugin_settings=[clash])


@pytest.mark.parametrize("text", ["bash_enabled", "=true", ""])
def test_an_assignment_needs_a_name_and_an_equals_sign(text: str) -> None:
    with pytest.raises(SettingInvalid, match="is not name=value"):
        assignments([text])


def test_an_assignment_of_no_known_setting_is_refused() -> None:
    with pytest.raises(SettingInvalid, match=r"--set bash_enable: .* did you mean bash_enabled"):
        load(assignments(["bash_enable=1"]), plugin_settings=[BASH])


def test_rows_tell_everything_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATER_MONGODB_URI", "mongodb://user:hunter2@db/?replicaSet=rs0")
    monkeypatch.setenv("LATER_CHAT_TOKEN", "hunter2")
    settings = load({"recurrence": "90"}, plugin_settings=[BASH, TOKEN])
    rows = {row.name: row for row in settings.describe()}

    row = rows["recurrence"]
    assert (row.env, row.flag, row.value, row.default, row.source) == (
        "LATER_RECURRENCE",
        "--recurrence",
        "1m30s",
        "5m",
        "flag",
    )
    assert rows["bash_enabled"].value == "false"
    assert rows["bash_enabled"].flag == "--set bash_enabled="
    assert rows["mongodb_uri"].value == rows["chat_token"].value == "********"
    assert all(row.description for row in rows.values())
    assert "hunter2" not in repr(settings.describe()) + repr(settings.mongodb_uri)
