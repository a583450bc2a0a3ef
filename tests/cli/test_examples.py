"""The help of every command ends with examples, and each of them is right."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from later_core.cli.examples import Command, Group
from later_core.cli.group import later as top

#: What starts a server, watches without end, asks for a terminal or for a machine that is not here,
#: changes this machine, or drains the server that the other tests share.
_NOT_RUN = (
    "later serve", "later demo", "later top", "later drain", "later watch --task echo",
    "later watch --include-existing --state", "later --address later.example", "later rekey",
    "later doctor", "later tokens revoke", "later completion", "crontab -l",
)  # fmt: skip
#: Commands of the shell that stand between an example's parts.
_BETWEEN = {"|", ">", ">>", "<", "&&", ";"}


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, group
    context = click.Context(group, info_name=path)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


#: Those of Later itself: a plugin's are its author's.
ALL = {
    path: command
    for path, command in commands(top, "later")
    if str(getattr(command.callback, "__module__", "")).startswith("later_core.")
}
EXAMPLES = [
    (path, line)
    for path, command in ALL.items()
    if isinstance(command, Command | Group)
    for line in command.examples
]


def words(line: str) -> list[str]:
    """Those of the ``later`` in a line of a shell, behind its name."""
    parts: list[list[str]] = [[]]
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|<>&;")
    lexer.whitespace_split = True
    for word in lexer:
        if word in _BETWEEN:
            parts.append([])
        else:
            parts[-1].append(word)
    (found,) = [part[part.index("later") + 1 :] for part in parts if "later" in part[:2]]
    return found


def parsed(line: str) -> str:
    """The command that the line names, once all of it has been parsed; nothing is run."""
    context = top.make_context("later", words(line))
    path, command = "later", context.command
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        assert name is not None
        command, path = found, f"{path} {name}"
        context = command.make_context(name, rest, parent=context)
    return path


def test_all_commands_are_walked():
    assert {"later", "later serve", "later top", "later schedules calendar", "later tokens revoke",
            "later crontab import", "later completion"} <= ALL.keys()  # fmt: skip
    assert len(ALL) > 40


@pytest.mark.parametrize("path", ALL)
def test_the_help_ends_with_examples(later, path: str):
    said = later(*path.split()[1:], "--help")
    assert said.code == 0
    before, heading, shown = said.out.partition("\nExamples:\n")
    assert heading, before
    command = ALL[path]
    assert isinstance(command, Command | Group)
    lines = [f"  {line}" for line in command.examples]
    assert lines
    assert shown.splitlines()[: len(lines)] == lines


@pytest.mark.parametrize(("path", "line"), EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_an_example_is_of_its_command_and_parses(
    path: str, line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    for name in ("everything.backup", "crontab.txt"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    is_group = isinstance(ALL[path], click.Group)
    assert parsed(line).startswith(f"{path} ") if is_group else parsed(line) == path
    assert len(line) <= 86


def test_a_wrong_example_would_be_found():
    with pytest.raises(click.UsageError):
        parsed("later get hello-1 --jsn")
    with pytest.raises(click.UsageError):
        parsed("later create echo --in soon > /dev/null")


def is_run(line: str) -> bool:
    return not any(start in line for start in _NOT_RUN)


def test_what_a_server_can_answer_is_run(
    ask, server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """In the order of the help, with the instances and the schedule that they name."""
    assert ask("create", "echo", "hello", "--id", "done-1", "--wait").code == 0
    monkeypatch.chdir(tmp_path)
    environment = {
        **os.environ,  # noqa: TID251 - for a child
        "LATER_ADDRESS": server.address,
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
    }
    (tmp_path / "crontab.txt").write_text("0 3 * * * root /usr/local/bin/back-up\n")
    run = []
    for path, line in EXAMPLES:
        if not is_run(line):
            continue
        # Each of its own kind: what is moved is pending, what is retried has ended.
        ask("abort", "hello-1")
        if path == "later retry":
            assert ask("get", "hello-1").code == 0
        elif path in {"later get", "later abort", "later reschedule"}:
            ask("retry", "hello-1", "--in", "1h")
        if path.startswith("later schedules ") and path != "later schedules create":
            ask("schedules", "create", "echo", "--cron", "@yearly", "--id", "nightly")
        if "|" in line or ">" in line or not line.startswith("later "):
            done = subprocess.run(
                ["bash", "-o", "pipefail", "-c", line], env=environment, cwd=tmp_path,
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{line}\n{done.stderr}"
        else:
            said = ask(*words(line))
            assert said.code == 0, f"{line}\n{said.err}"
        run.append(line)
    assert len(run) > 35
