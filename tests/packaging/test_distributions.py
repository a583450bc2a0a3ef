"""What would be published: whole metadata, the licence, types, entry points; from the sdist as from the tree.

``tox -e wheels`` goes on from here: twine, an environment with nothing else in it, the demo.
"""

from __future__ import annotations

import configparser
import email
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = [ROOT, *sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))]
BUILD = """
import os, sys, hatchling.build as backend
os.chdir(sys.argv[1])
print(getattr(backend, sys.argv[3])(sys.argv[2]))
"""


def name_of(project: Path) -> str:
    return "later-core" if project == ROOT else project.name


@dataclass(frozen=True)
class Built:
    """The two files of a distribution, the wheel made from the sdist as pip would."""

    project: Path
    declared: dict[str, object]
    sdist: list[str]
    wheel: zipfile.ZipFile

    @property
    def package(self) -> str:
        return name_of(self.project).replace("-", "_")

    def read(self, ending: str) -> str:
        (name,) = (name for name in self.wheel.namelist() if name.endswith(ending))
        return self.wheel.read(name).decode()

    @property
    def metadata(self) -> Message:
        return email.message_from_string(self.read(".dist-info/METADATA"))


def build(project: Path, out: Path, what: str) -> Path:
    words = [sys.executable, "-c", BUILD, str(project), str(out), f"build_{what}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return out / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module", params=PROJECTS, ids=name_of)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    project: Path = request.param
    with tarfile.open(build(project, folder, "sdist")) as archive:
        archive.extractall(folder, filter="data")
        names = archive.getnames()
    (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
    declared = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wheel = zipfile.ZipFile(build(unpacked, folder, "wheel"))
    return Built(project, declared, [name.partition("/")[2] for name in names], wheel)


def test_every_distribution_of_plugins_is_tested_and_installed_by_tox():
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    wanted = {project.name for project in PROJECTS[1:]}
    for kind in ("editable", "wheels"):
        listed = tox["plugins"][kind].split("\n")
        found = {line.rpartition("/")[2].partition("[")[0] for line in listed if line}
        assert found == wanted, kind


def test_the_metadata_says_all_that_an_index_shows(built: Built):
    said = built.metadata
    assert said["Name"] == name_of(built.project)
    assert said["Version"] == built.declared["version"]
    assert said["Summary"]
    assert said["License-Expression"] == "Apache-2.0"
    assert said["License-File"] == "LICENSE"
    assert said["Requires-Python"] == ">=3.11"
    assert said["Description-Content-Type"] == "text/markdown"
    assert said["Keywords"]
    assert {"Typing :: Typed", "Programming Language :: Python :: 3.11"} <= {
        *(said.get_all("Classifier") or ())
    }
    readme = (built.project / "README.md").read_text(encoding="utf-8").strip()
    assert str(said.get_payload()).strip() == readme


def test_all_have_the_same_licence(built: Built):
    assert built.read("/licenses/LICENSE") == (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(built: Built):
    source = built.project if built.project == ROOT else built.project / "src"
    files = {
        path.relative_to(source).as_posix()
        for path in (source / built.package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in built.wheel.namelist() if ".dist-info/" not in name}
    assert packed == files
    assert f"{built.package}/py.typed" in packed


def test_the_sdist_has_what_the_wheel_is_made_of(built: Built):
    assert {"pyproject.toml", "README.md", "LICENSE"} <= set(built.sdist)
    assert not [name for name in built.sdist if "__pycache__" in name or ".venv" in name]


def test_entry_points_are_those_of_the_project(built: Built):
    points = configparser.ConfigParser()
    points.read_string(built.read(".dist-info/entry_points.txt"))
    if built.project == ROOT:
        assert dict(points["console_scripts"]) == {"later": "later_core.cli:main"}
        return
    (place,) = dict(points["later"]).values()
    assert place.partition(":")[0] == built.package


def test_a_plugin_needs_a_core_of_its_own_version_or_newer(built: Built):
    if built.project == ROOT:
        pytest.skip("it is the core")
    needs = built.metadata.get_all("Requires-Dist") or []
    (core,) = (each for each in needs if each.startswith("later-core"))
    assert core == "later-core>=0.1"
