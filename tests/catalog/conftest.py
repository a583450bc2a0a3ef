import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a distribution on the path as an installer would: a module, and metadata that names it."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name: str, source: str, *, entry_points: str | None = None) -> None:
        module = name.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        metadata = tmp_path / f"{module}-1.2.3.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n")
        entries = f"[later]\n{module} = {module}\n" if entry_points is None else entry_points
        (metadata / "entry_points.txt").write_text(entries)
        monkeypatch.delitem(sys.modules, module, raising=False)
        importlib.invalidate_caches()

    return install
