"""Every command that the README and the docs show is run, or names the test that runs it.

A ``console`` block is run, command by command (lines that begin with ``$``), against a live server,
the blocks of one page in order on one database. The lines below a command must stand in its output
in their order; ``…`` stands for anything. ``[exit code n]`` below a command says how it ends, 0 if
nothing is said. A ``sh`` block is not run here: each of its lines is in ``COVERED``.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(console|sh|bash|shell)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ADDRESS = "127.0.0.1:9081"
SECONDS = 30
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = set(PROJECT["optional-dependencies"])

_SETUP = "tests/docs/test_readme.py::test_setup_lines_name_what_is_there"
_DEMO = "tests/cli/test_serve.py::test_the_demo_ends_with_everything_as_promised"
_PROGRAMS = "tests/benchmarks/test_programs.py"
_BACKUP = "tests/cli/test_transfer.py::test_a_backup_brings_everything_back_and_twice_is_once"
_ACCESS = "tests/e2e/test_access.py::test_from_the_first_token_to_the_log"
_TEMPLATES = "tests/docs/test_clients.py::test_each_template_is_named_and_checked"
#: Commands that are not run here, and the test that runs them or holds them true.
COVERED = {
    "later plugin new ": "tests/plugins/test_new_plugin.py",
    "python3 -m venv .venv": _SETUP,
    ".venv/bin/pip install": _SETUP,
    "pip install": _SETUP,
    ". .venv/bin/activate": _SETUP,
    ".venv/bin/tox": "tests/docs/test_readme.py::test_chores_that_pages_name_exist",
    ".venv/bin/later demo": _DEMO,
    "later demo": _DEMO,
    "python -m benchmarks.plots": "tests/benchmarks/test_page.py::test_a_report_fills_in_the_page",
    "python -m benchmarks.profiles": f"{_PROGRAMS}::test_a_profile_tells_where_the_time_goes",
    "python -m benchmarks": f"{_PROGRAMS}::test_a_program_measures_and_finds_no_fault",
    "python tests/model/oracle_cron.py": "tests/model/test_oracle_cron.py"
    "::test_a_few_hundred_random_expressions_agree_with_three_libraries",
    "later create echo hello --concurrency-key": "tests/cli/test_commands.py"
    "::test_a_concurrency_key_alone_lets_one_run_at_once",
    "later serve": "tests/docs/test_readme.py::test_commands_do_what_the_page_shows",
    "OTEL_EXPORTER_OTLP_ENDPOINT=": "tests/e2e/test_telemetry.py"
    "::test_every_metric_of_the_table_arrives",
    "later top": "tests/cli/top/test_command.py::test_it_runs_in_a_terminal_until_q_is_pressed",
    "textual serve -c": "tests/cli/top/test_browser.py"
    "::test_the_same_screens_are_seen_and_steered_in_a_real_browser",
    "later doctor": "tests/cli/doctor/test_doctor.py::test_a_sound_deployment_is_told_so",
    "export LATER_ADMIN_TOKEN=": _ACCESS,
    "LATER_AUTH=token later serve": _ACCESS,
    "LATER_TOKEN=$LATER_ADMIN_TOKEN later tokens create": _ACCESS,
    "later tokens": "tests/cli/test_access.py::test_a_token_is_made_listed_and_revoked",
    "later whoami": "tests/e2e/test_access.py::test_the_command_tells_who_one_is",
    "later audit": _ACCESS,
    "grpcurl -plaintext -protoset-out": "tests/e2e/test_foreign_clients.py::protoset",
    "buf dep update": _TEMPLATES,
    "buf generate": _TEMPLATES,
    "later export": _BACKUP,
    "later import": _BACKUP,
}


@dataclass
class Command:
    line: str
    output: list[str] = field(default_factory=list)
    exit_code: int = 0


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, *kinds: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return [body for kind, body in BLOCK.findall(text) if kind in kinds]


def commands(block: str) -> list[Command]:
    found: list[Command] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(Command(line.removeprefix("$ ")))
        elif code := re.fullmatch(r"\[exit code (\d+)\]", line):
            found[-1].exit_code = int(code[1])
        else:
            found[-1].output.append(line)
    return found


def shell_lines(page: Path) -> list[str]:
    """The commands of the ``sh`` blocks, one by one."""
    lines = [line for block in blocks(page, "sh", "bash", "shell") for line in block.splitlines()]
    return [part.strip() for line in lines for part in line.split("&&") if part.strip()]


def expected(lines: list[str]) -> re.Pattern[str]:
    """The lines, in their order, each somewhere in a line of its own; ``…`` is anything."""
    parts = [
        r"[^\n]*".join(re.escape(" ".join(piece.split())) for piece in line.split("…"))
        for line in lines
        if line.strip("… ")
    ]
    return re.compile(r"[\s\S]*?".join(rf"{part}[^\n]*(?:\n|$)" for part in parts))


@dataclass
class Server:
    address: str
    environment: dict[str, str]

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", line.replace(ADDRESS, self.address)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


@pytest.fixture
def server(mongodb_uri: str, database: str, tmp_path: Path) -> Iterator[Server]:
    """``later serve`` as the pages say it, on a port and a database of its own."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("LATER_")}  # noqa: TID251 - for a child
    environment = own | {
        "PATH": f"{Path(sys.executable).parent}:{own['PATH']}",
        "XDG_CONFIG_HOME": str(tmp_path),
        "LATER_LISTEN": "127.0.0.1:0",
        "LATER_MONGODB_URI": mongodb_uri,
        "LATER_DATABASE": database,
        "LATER_LOG_FORMAT": "json",
        "COLUMNS": "200",
    }
    with subprocess.Popen(
        ["later", "serve"], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            address = _address(process)
            yield Server(address, environment | {"LATER_ADDRESS": address})
        finally:
            process.terminate()
            process.communicate(timeout=SECONDS)


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        record = json.loads(line) if line.startswith("{") else {}
        if record.get("event") == "serving":
            return str(record["address"])
    pytest.fail(f"later serve ended: {''.join(lines)}")


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "console")], ids=named)
def test_commands_do_what_the_page_shows(page: Path, server: Server):
    for block in blocks(page, "console"):
        for command in commands(block):
            done = server.run(command.line)
            output = "\n".join(
                " ".join(line.split()) for line in (done.stdout + done.stderr).splitlines()
            )
            assert done.returncode == command.exit_code, f"{command.line}\n{output}"
            assert expected(command.output).search(output), f"{command.line}\n{output}"


def test_the_client_example_does_what_it_says(server: Server):
    done = server.run(f"{shlex.quote(sys.executable)} {ROOT}/docs/examples/client.py")
    assert done.returncode == 0, done.stderr
    states = [line.split()[1] for line in done.stdout.splitlines()]
    assert states == ["PENDING", "RUNNING", "SUCCEEDED"]
    assert done.stdout.endswith("SUCCEEDED good morning\n")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_command_that_is_not_run_here_names_the_test_that_covers_it(page: Path):
    for line in shell_lines(page):
        covers = [test for start, test in COVERED.items() if line.startswith(start)]
        assert covers, f"{named(page)} shows {line!r}, and no test covers it"
        for test in covers:
            file, _, name = test.partition("::")
            assert (ROOT / file).exists(), test
            assert not name or f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), test


def test_setup_lines_name_what_is_there():
    lines = [line for page in PAGES for line in shell_lines(page) if "pip install" in line]
    assert lines
    for line in lines:
        for word in shlex.split(line.partition("install")[2]):
            if word.startswith("./"):
                assert (ROOT / word / "pyproject.toml").exists(), line
            extras = re.search(r"\[(.+)\]", word)
            assert not extras or set(extras[1].split(",")) <= EXTRAS, line


def test_ci_runs_the_test_command_of_the_readme():
    setup = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    (test_command,) = [line for line in setup if "tox -e lint," in line]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert f"\n{test_command}\n" in script
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_chores_that_pages_name_exist():
    declared = (ROOT / "tox.ini").read_text(encoding="utf-8")
    sections = " ".join(re.findall(r"^\[testenv:(.+)\]$", declared, re.MULTILINE))
    for page in PAGES:
        for name in re.findall(r"tox -e ([a-z0-9]+)", page.read_text(encoding="utf-8")):
            assert name in re.findall(r"[a-z0-9]+", sections), f"{named(page)}: tox -e {name}"


def test_no_description_of_a_chore_reads_as_a_factor():
    descriptions = re.findall(
        r"^description = (.+)$", (ROOT / "tox.ini").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert descriptions
    assert not [text for text in descriptions if re.match(r"\w+:", text)]
