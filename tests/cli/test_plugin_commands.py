"""Commands that a plugin adds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = """
import click
from later_core import hookimpl

@hookimpl
def later_cli(group):
    @group.command()
    def greet():
        "Greet whoever is there."
        click.echo("hello")
"""
BROKEN = """
from later_core import hookimpl

@hookimpl
def later_cli(group):
    raise RuntimeError("no commands today")
"""


@pytest.fixture
def install(tmp_path: Path):
    """Put a distribution with one module where a new process finds it, and run ``later`` there."""

    def run(source: str, *words: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "greeting.py").write_text(source)
        info = tmp_path / "later_plugin_greeting-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: later-plugin-greeting\nVersion: 1.0\n"
        )
        (info / "entry_points.txt").write_text("[later]\ngreeting = greeting\n")
        return subprocess.run(
            [sys.executable, "-m", "later_core.cli", *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},  # noqa: TID251 - a process of the test
        )

    return run


def test_a_command_of_a_plugin_is_run(install):
    done = install(PLUGIN, "greet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")


def test_a_command_of_a_plugin_is_in_the_help(install):
    done = install(PLUGIN, "--help")
    assert "Greet whoever is there." in done.stdout


def test_a_plugin_that_fails_to_add_its_commands_leaves_the_others_and_is_listed(install):
    done = install(BROKEN, "plugins")
    assert done.returncode == 0
    assert "echo" in done.stdout
    assert "later-plugin-greeting" in done.stdout
    assert "no commands today" in done.stdout


def test_warnings_about_a_plugin_stay_out_of_the_json(install):
    done = install("raise ImportError('gone')", "plugins", "--json")
    (record,) = [json.loads(line) for line in done.stdout.splitlines()]
    (rejected,) = record["rejectedPlugins"]
    assert rejected["distribution"] == "later-plugin-greeting"
    assert "gone" in rejected["reason"]
