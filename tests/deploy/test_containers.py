"""The image and the compose file: linted, checked against the schema, and true to the program.

There is no Docker where these tests run: nothing here builds or starts a container.
"""

from __future__ import annotations

import importlib.resources
import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
import yaml

from later_core.cli import main
from later_core.settings import NAMES, env_name

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy/docker/Dockerfile"
TEXT = DOCKERFILE.read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "deploy/docker/compose.yaml").read_text(encoding="utf-8"))
SCHEMA = importlib.resources.files("check_jsonschema").joinpath(
    "builtin_schemas", "vendor", "compose-spec.json"
)
VARIABLES = {env_name(name) for name in NAMES}
LATER = COMPOSE["services"]["later"]


def lint(path: Path) -> subprocess.CompletedProcess[str]:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint has no wheel for this machine")
    words = [str(hadolint), "--no-color", str(path)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_hadolint_finds_no_fault_in_the_dockerfile():
    done = lint(DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_fault_would_be_found(tmp_path: Path):
    other = tmp_path / "Dockerfile"
    other.write_text(TEXT.replace("python:3.13-slim-bookworm", "python:latest"))
    assert "DL3007" in lint(other).stdout


def test_the_plugins_of_the_image_are_there():
    (names,) = re.findall(r'ARG PLUGINS="(.*)"', TEXT)
    assert names.split()
    assert all((ROOT / "plugins" / name / "pyproject.toml").exists() for name in names.split())


def test_what_is_copied_is_what_is_built_from():
    """An exception in the list of what is left out, for each part of the sdist."""
    kept = (ROOT / "deploy/docker/Dockerfile.dockerignore").read_text().splitlines()
    for name in (line[1:] for line in kept if line.startswith("!")):
        assert (ROOT / name).exists(), name
    for part in ("later_core", "proto", "README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"):
        assert f"!{part}" in kept


def test_the_image_does_not_run_as_root():
    final = TEXT.rpartition("\nFROM ")[2]
    (user,) = re.findall(r"^USER (\d+):\d+$", final, re.MULTILINE)
    assert int(user) > 0
    assert final.index("USER ") < final.index("ENTRYPOINT")


def test_the_commands_of_the_image_are_there(capfd: pytest.CaptureFixture[str]):
    ((health,), (command,)) = (
        re.findall(rf"{word}.*CMD (\[.*\])|^{word} (\[.*\])$", TEXT, re.MULTILINE)
        for word in ("HEALTHCHECK", "CMD")
    )
    assert json.loads(health[0])[0] == "later"
    for words in (json.loads(health[0])[1:], json.loads(command[1])):
        assert main([*words, "--help"]) == 0
    assert "Usage: later" in capfd.readouterr().out


def test_compose_holds_to_its_specification():
    jsonschema.validate(COMPOSE, json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_every_variable_is_a_setting():
    in_image = set(re.findall(r"\b(LATER_\w+)=", TEXT))
    assert in_image
    assert in_image | set(LATER["environment"]) <= VARIABLES


def test_what_is_not_encrypted_is_reached_from_this_machine_alone():
    assert LATER["environment"]["LATER_INSECURE"] == "true"
    assert all(port.startswith("127.0.0.1:") for port in LATER["ports"])
    assert "ports" not in COMPOSE["services"]["mongodb"]
    assert COMPOSE["networks"]["inside"]["internal"] is True


def test_it_is_not_killed_before_its_grace_is_over():
    grace = LATER["environment"]["LATER_GRACE"], LATER["stop_grace_period"]
    ours, theirs = (timedelta(seconds=int(text.removesuffix("s"))) for text in grace)
    assert theirs > ours


def test_later_waits_for_a_replica_set_that_takes_writes():
    assert LATER["depends_on"]["mongodb"]["condition"] == "service_healthy"
    uri = LATER["environment"]["LATER_MONGODB_URI"]
    name = uri.partition("replicaSet=")[2]
    mongodb = COMPOSE["services"]["mongodb"]
    assert mongodb["command"][mongodb["command"].index("--replSet") + 1] == name
    script = mongodb["healthcheck"]["test"][-1]
    assert f'_id: "{name}"' in script
    assert "isWritablePrimary" in script
