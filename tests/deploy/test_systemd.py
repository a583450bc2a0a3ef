"""The unit: systemd itself reads it, and says how much of the machine it leaves open."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from later_core.app.exposure import missing
from later_core.settings import NAMES, Settings, env_name

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "deploy/systemd/later.service"
TLS = ROOT / "deploy/systemd/tls.conf"
LINES = (UNIT.read_text() + TLS.read_text()).splitlines()
#: Of 100: systemd calls up to 20 "OK", and nothing that talks to others comes to 0.
MOST_EXPOSED = 20

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze reads the unit, and is not installed here (Debian: systemd)",
)


def values(key: str) -> list[str]:
    return [line.partition("=")[2] for line in LINES if line.startswith(f"{key}=")]


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit beside its drop-in, with the program where it is here: verify looks for it."""
    later = Path(sys.executable).with_name("later")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/later/bin/later", str(later)))
    drop_in = tmp_path / f"{UNIT.name}.d"
    drop_in.mkdir()
    shutil.copy(TLS, drop_in)
    return unit


@needs_systemd
def test_systemd_finds_no_fault_in_it(unit: Path):
    done = analyze("verify", "--man=no", "--recursive-errors=no", str(unit))
    ours = [line for line in done.stdout.splitlines() if "later" in line]
    assert (done.returncode, ours) == (0, [])


@needs_systemd
def test_a_fault_would_be_found(unit: Path):
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystm=strict"))
    assert "ProtectSystm" in analyze("verify", "--man=no", str(unit)).stdout


@needs_systemd
def test_it_leaves_little_of_the_machine_open(unit: Path):
    done = analyze("security", "--offline=yes", f"--threshold={MOST_EXPOSED}", str(unit))
    assert done.returncode == 0, done.stdout


def test_every_variable_is_a_setting():
    named = [value.partition("=")[0] for value in values("Environment")]
    assert named
    assert set(named) <= {env_name(name) for name in NAMES}


def test_where_others_reach_it_it_encrypts_and_asks_who_they_are():
    named = dict(value.partition("=")[::2] for value in values("Environment"))
    lacking = missing(
        named["LATER_LISTEN"],
        encrypts="LATER_TLS_CERT" in named and "LATER_TLS_KEY" in named,
        authenticates=bool(named["LATER_AUTH"]),
    )
    assert lacking == ""


def test_it_is_not_killed_before_its_grace_is_over():
    (seconds,) = values("TimeoutStopSec")
    assert timedelta(seconds=int(seconds.removesuffix("s"))) > Settings().grace


def test_it_may_hold_all_the_connections_that_it_allows():
    (limit,) = values("LimitNOFILE")
    assert int(limit) > 2 * Settings().max_connections


def test_the_credentials_are_those_that_the_settings_name():
    given = [value.partition(":")[0] for value in values("LoadCredential")]
    used = re.findall(r"%d/([\w.]+)", TLS.read_text())
    assert sorted(given) == sorted(used)
