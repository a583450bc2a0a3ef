"""Plugins as an installer leaves them: for the servers of a test alone."""

from __future__ import annotations

from pathlib import Path


def installed(folder: Path, name: str, source: str) -> Path:
    """The distribution ``later-NAME`` with one module; the path that a server has to be given."""
    place = folder / "installed"
    record = place / f"later_{name}-1.0.dist-info"
    record.mkdir(parents=True)
    (place / f"later_{name}.py").write_text(source)
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: later-{name}\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text(f"[later]\n{name} = later_{name}\n")
    return place
