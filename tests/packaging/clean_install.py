"""Build every distribution as it would be published, check it, and use it where nothing else is installed.

``tox -e wheels``. Needs a package index for what Later depends on; uploads nothing.
"""

# ruff: noqa: TID251 -- other programs are run, and their environment is made for them

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = [ROOT, *sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))]
#: What brings settings and hears events, and is not in the list of tasks.
WITHOUT_TASKS = {"later-plugin-notify"}
#: The longest that one program may take: pip loads a hundred megabytes.
SECONDS = 400


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="later-wheels-") as made:
        folder = Path(made)
        dist = folder / "dist"
        for project in PROJECTS:
            # The wheel is built from the sdist: what the sdist lacks, the wheel would lack too.
            _run(sys.executable, "-m", "build", "--outdir", dist, project)
        files = sorted(dist.iterdir())
        wheels = [path for path in files if path.suffix == ".whl"]
        assert len(wheels) == len(PROJECTS), files
        assert len(files) == 2 * len(PROJECTS), files
        _run(sys.executable, "-m", "twine", "check", "--strict", *files)
        _run(sys.executable, "-m", "check_wheel_contents", *wheels)
        _use(folder, wheels)


def _use(folder: Path, wheels: list[Path]) -> None:
    """Install them beside nothing, and do what a user does first."""
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / "bin"
    core = next(path for path in wheels if path.name.startswith("later_core-"))
    others = [path for path in wheels if path != core]
    _run(programs / "python", "-m", "pip", "install", "--quiet", f"{core}[embedded]", *others)
    _run(programs / "python", "-m", "pip", "check")
    _run(programs / "later", "--version", cwd=folder)
    listed = _run(programs / "later", "plugins", cwd=folder)
    for project in PROJECTS[1:]:
        assert project.name in listed or project.name in WITHOUT_TASKS, project.name
    asked = "from later_core.catalog import Catalog; print(list(Catalog.discover().rejected))"
    assert _run(programs / "python", "-c", asked, cwd=folder).strip() == "[]"
    assert "notify_" in _run(programs / "later", "settings", cwd=folder)
    _run(programs / "later", "demo", cwd=folder)


def _run(*words: str | Path, cwd: Path | None = None) -> str:
    sys.stderr.write(f"$ {' '.join(str(word) for word in words)}\n")
    done = subprocess.run(
        words,
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if not k.startswith(("LATER_", "PYTHON"))},
        stdout=subprocess.PIPE,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    sys.stderr.write(done.stdout)
    assert done.returncode == 0, f"it ended with {done.returncode}"
    return done.stdout


if __name__ == "__main__":
    main()
