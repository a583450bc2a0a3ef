"""``later plugin new`` as it answers; what it writes is tested in tests/plugins."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_it_says_what_to_type_next(later, tmp_path: Path):
    said = later("plugin", "new", "Later_Plugin_Greet")
    assert (said.code, said.err) == (0, "")
    assert (tmp_path / "later-plugin-greet" / "pyproject.toml").exists()
    commands = [line.strip() for line in said.out.splitlines() if line.startswith("    ")]
    assert commands[0] == "cd later-plugin-greet"
    assert "later serve" in commands
    assert commands[-1] == """later create greet '{"name": "Ada"}' --wait"""


def test_an_empty_folder_is_filled_and_a_full_one_refused(later, tmp_path: Path):
    folder = tmp_path / "of my own"
    folder.mkdir()
    said = later("plugin", "new", "greet", "--directory", str(folder), "--kind", "event")
    assert said.code == 0
    assert f"cd '{folder}'" in said.out
    before = sorted(folder.rglob("*"))
    said = later("plugin", "new", "other", "--directory", str(folder))
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "is no empty folder" in said.err
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    "words", [["3d"], ["a b"], ["greet", "--kind", "x"], [], ["greet", "--directory", "/dev/null"]]
)
def test_wrong_words_are_told_in_one_line_and_nothing_is_written(
    later, words: list[str], tmp_path: Path
):
    said = later("plugin", "new", *words)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_an_installed_task_has_is_told(later, tmp_path: Path):
    said = later("plugin", "new", "echo")
    assert said.code == 0
    assert "a task echo is installed here already, by later-plugin-echo" in said.err
    assert (tmp_path / "later-plugin-echo").exists()


def test_the_help_has_an_example(later):
    said = later("plugin", "new", "--help")
    assert "later plugin new greet" in said.out
