"""A real server calls the hooks in the order that docs/hooks.md draws."""

import importlib.util
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

NOTING = """
from contextlib import asynccontextmanager
from pathlib import Path

from later_core import hookimpl

def note(what):
    with (Path(__file__).parent / "calls").open("a") as calls:
        calls.write(what + chr(10))

@hookimpl
def later_settings():
    note("later_settings")
    return []

@hookimpl
def later_wants_events():
    note("later_wants_events")
    return True

@hookimpl
def later_tasks():
    note("later_tasks")
    return []

@hookimpl
def later_store():
    note("later_store")

@hookimpl
def later_lifespan():
    @asynccontextmanager
    async def open():
        note("later_lifespan, entered")
        yield
        note("later_lifespan, left")
    return open()
"""


async def test_a_server_calls_them_as_the_picture_has_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    serve: Callable[..., AbstractAsyncContextManager[Any]],
    database: str,
) -> None:
    (tmp_path / "noting.py").write_text(NOTING)
    info = tmp_path / "noting-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: noting\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[later]\nnoting = noting\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    async with serve(sys.executable, database):
        pass
    page = Path(__file__).parents[2] / "docs" / "tables.py"
    spec = importlib.util.spec_from_file_location("docs_tables", page)
    assert spec is not None
    assert spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    starting, serving, _ = (steps for _, steps in tables.LIFECYCLE)
    drawn = [call for _, calls in (starting[0], *serving) for call in calls]
    assert (tmp_path / "calls").read_text().splitlines() == drawn
