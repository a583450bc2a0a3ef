"""The task bash: what it takes and what it answers."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from later_plugin_bash import later_settings, later_tasks
from later_plugin_bash.task import Bash

from later_core import Context, TaskError

MakeContext = Callable[[bytes], Context]


async def run(context: Context) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(await Bash(is_enabled=True).run(context))
    return result


async def fail(context: Context) -> TaskError:
    with pytest.raises(TaskError) as caught:
        await Bash(is_enabled=True).run(context)
    return caught.value


def test_it_is_off_by_default_and_says_so_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    (setting,) = later_settings()
    assert (setting.name, setting.default) == ("bash_enabled", False)
    with caplog.at_level(logging.INFO):
        list(later_tasks({setting.name: setting.default}))
    assert "the task bash is switched off" in caplog.text
    assert "LATER_BASH_ENABLED=true" in caplog.text


async def test_switched_off_every_run_fails_for_good_and_says_how_to_switch_it_on(
    context: MakeContext, tmp_path: Path
) -> None:
    (task,) = later_tasks({"bash_enabled": False})
    with pytest.raises(
        TaskError, match="LATER_BASH_ENABLED=true, --set bash_enabled=true"
    ) as caught:
        await task.run(context(f"touch {tmp_path}/ran".encode()))  # type: ignore[misc]  # a Task may be plain, this one is not
    assert (caught.value.reason, caught.value.is_final) == ("BASH_DISABLED", True)
    assert not (tmp_path / "ran").exists()


async def test_plain_text_is_the_command(context: MakeContext) -> None:
    assert await run(context(b"echo out; echo err >&2")) == {
        "exit_code": 0,
        "stdout": "out\n",
        "stderr": "err\n",
        "truncated": False,
    }


@pytest.mark.parametrize("command", ["{ echo braces; }", "[ 1 = 1 ]", "true", '"true"'])
async def test_a_command_that_looks_like_json_is_still_a_command(
    context: MakeContext, command: str
) -> None:
    assert (await run(context(command.encode())))["exit_code"] == 0


async def test_json_gives_variables_a_directory_and_standard_input(
    context: MakeContext, tmp_path: Path
) -> None:
    order = {
        "command": 'pwd; echo "$GREETING"; cat',
        "env": {"GREETING": "hällo"},
        "cwd": str(tmp_path),
        "stdin": "from stdin\n" * 20_000,
    }
    result = await run(context(json.dumps(order).encode()))
    assert result["stdout"].startswith(f"{tmp_path}\nhällo\nfrom stdin\n")
    assert result["truncated"]


async def test_without_stdin_there_is_nothing_to_read(context: MakeContext) -> None:
    assert (await run(context(b"cat; read line; echo end")))["stdout"] == "end\n"


async def test_another_exit_code_fails_the_attempt_and_keeps_the_output(
    context: MakeContext,
) -> None:
    error = await fail(context(b"echo half; echo 'no space left' >&2; exit 3"))
    assert (error.reason, error.is_final) == ("EXIT_CODE", False)
    assert str(error) == "the command ended with exit code 3: no space left"
    assert json.loads(error.result)["exit_code"] == 3
    assert json.loads(error.result)["stdout"] == "half\n"


async def test_a_command_ended_by_a_signal_counts_as_128_and_its_number(
    context: MakeContext,
) -> None:
    error = await fail(context(b"kill -9 $$"))
    assert json.loads(error.result)["exit_code"] == 137


async def test_a_command_sees_what_it_needs_and_no_setting_of_the_server(
    context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATER_MONGODB_URI", "mongodb://user:hunter2@db")
    monkeypatch.setenv("CLOUD_TOKEN", "hunter2")
    seen = (await run(context(b"env")))["stdout"]
    assert "hunter2" not in seen
    assert "LATER_INSTANCE_ID=one\n" in seen
    assert "LATER_ATTEMPT=2\n" in seen
    assert "PATH=" in seen


async def test_of_long_output_the_beginning_and_the_end_are_kept(context: MakeContext) -> None:
    result = await run(
        context(b"echo first; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo last")
    )
    assert result["truncated"]
    assert result["stdout"].startswith("first\nxxx")
    assert result["stdout"].endswith("xxx\nlast\n")
    assert f"[{3_000_000 + 12 - 65_536} bytes left out]" in result["stdout"]
    assert len(result["stdout"]) < 66_000


async def test_output_just_inside_the_bound_is_kept_whole(context: MakeContext) -> None:
    result = await run(context(b"head -c 65536 /dev/zero | tr '\\0' x"))
    assert not result["truncated"]
    assert result["stdout"] == "x" * 65_536


async def test_output_that_is_not_text_is_answered_all_the_same(context: MakeContext) -> None:
    assert (await run(context(rb"printf 'a\xffb'")))["stdout"] == "a\ufffdb"


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        (b"", "there is no command"),
        (b"  ", "there is no command"),
        (b"{}", "there is no command"),
        (b'{"command": ""}', "there is no command"),
        (b'{"command": 5}', "are texts"),
        (b'{"command": "ls", "shell": "zsh"}', "unknown key 'shell'"),
        (b'{"command": "ls", "env": ["A=b"]}', "env is an object"),
        (b'{"command": "ls", "env": {"A": 1}}', "env is an object"),
        (b'{"command": "ls", "env": {"A=B": "c"}}', "equals sign"),
        (b'{"command": "ls", "cwd": 1}', "are texts"),
        (b'{"command": "ls", "stdin": 1}', "are texts"),
        (rb'{"command": "ls", "stdin": "\ud800"}', "surrogate"),
        (rb'{"command": "a\u0000b"}', "NUL"),
        (b"ls\0", "NUL"),
        (b"\xff", "not UTF-8"),
        (b"#" * 200_000, "longer than the system takes"),
    ],
)
async def test_wrong_parameters_fail_for_good_with_a_reason(
    context: MakeContext, parameters: bytes, complaint: str
) -> None:
    error = await fail(context(parameters))
    assert (error.reason, error.is_final) == ("INVALID_PARAMETERS", True)
    assert complaint in str(error)


@pytest.mark.parametrize(("cwd", "place"), [("~", ""), ("~/in", "/in")])
async def test_a_tilde_begins_at_the_home_of_the_command(
    context: MakeContext, tmp_path: Path, cwd: str, place: str
) -> None:
    (tmp_path / "in").mkdir()
    order = {"command": "pwd", "env": {"HOME": str(tmp_path)}, "cwd": cwd}
    assert (await run(context(json.dumps(order).encode())))["stdout"] == f"{tmp_path}{place}\n"


async def test_a_missing_directory_is_named(context: MakeContext, tmp_path: Path) -> None:
    order = {"command": "ls", "cwd": str(tmp_path / "absent")}
    error = await fail(context(json.dumps(order).encode()))
    assert error.reason == "START_FAILED"
    assert "absent" in str(error)
