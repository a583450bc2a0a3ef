"""The peers' environments: each its own, with pinned versions, in a cache. None is a dependency of Later."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.peers.contract import Unavailable

#: Git-ignored.
CACHE = Path(__file__).resolve().parents[1] / ".cache" / "peers"

_INSTALL_SECONDS = 300
_STAMP = "installed.json"


async def python_environment(directory: Path, requirements: Sequence[str]) -> Path:
    """A venv with these requirements; answers its python.

    Raises:
        Unavailable: pip could not install them.

    """
    python = directory / "bin" / "python"
    if _stamp(directory) != list(requirements):
        _make_anew(directory)
        await _run([sys.executable, "-m", "venv", str(directory)])
        await _run([str(python), "-m", "pip", "install", "--quiet", *requirements])
        _set_stamp(directory, requirements)
    return python


async def node_environment(directory: Path, packages: Mapping[str, str]) -> str:
    """A folder with these packages of npm; answers the command of node.

    Raises:
        Unavailable: there is no node or npm, or npm could not install them.

    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Unavailable("needs Node.js 18 or newer and npm on PATH: apt-get install nodejs npm")
    wanted = [f"{name}@{version}" for name, version in packages.items()]
    if _stamp(directory) != wanted:
        _make_anew(directory)
        await _run([npm, "install", "--silent", "--prefix", str(directory), *wanted])
        _set_stamp(directory, wanted)
    return node


def _make_anew(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)


def _stamp(directory: Path) -> list[str] | None:
    try:
        return list(json.loads((directory / _STAMP).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def _set_stamp(directory: Path, wanted: Sequence[str]) -> None:
    (directory / _STAMP).write_text(json.dumps(list(wanted)), encoding="utf-8")


async def _run(command: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _INSTALL_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise Unavailable(f"not installed within {_INSTALL_SECONDS} s: {command[-1]}") from None
    if process.returncode:
        last = output.decode(errors="replace").strip().splitlines()[-1:]
        raise Unavailable(f"cannot be installed: {' '.join(last)}")
