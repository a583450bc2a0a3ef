"""``later top`` before a whole node behind a real gRPC server in this process."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from textual.events import Paste
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from later_core.cli.top.app import TopApp
from later_core.cli.top.board import Board
from later_core.client.client import Client
from later_core.client.instances import EVERYTHING
from later_core.model.query import Filter

_PATH = Path(__file__).parents[2] / "client" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("client_conftest", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)

#: The servers that the tests of the client use.
serving = _MODULE.serving
store = _MODULE.store
client = _MODULE.client

SIZE = (120, 40)
SECONDS = 30


def text_of(screen: Screen[object]) -> str:
    """What is on the screen, line by line."""
    strips = screen._compositor.render_strips(screen.size)
    return "\n".join(strip.text.rstrip() for strip in strips)


@dataclass
class Terminal:
    """The application as one sits before it."""

    app: TopApp
    pilot: Pilot[None]

    @property
    def text(self) -> str:
        return text_of(self.app.screen)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, line: str) -> None:
        """Paste the line where the cursor is, and send it."""
        focused = self.app.screen.focused
        assert isinstance(focused, Input)
        focused.post_message(Paste(line))
        await self.pilot.press("enter")

    async def sees(self, *texts: str) -> str:
        """Wait until all of these are on the screen."""
        return await self.until(lambda text: all(each in text for each in texts), str(texts))

    async def until(self, holds: Callable[[str], bool], wanted: str) -> str:
        try:
            async with asyncio.timeout(SECONDS):
                while not holds(self.text):
                    await self.pilot.pause(0.02)
        except TimeoutError:
            pytest.fail(f"not seen: {wanted}\n{self.text}")
        return self.text

    async def focus(self, id: str) -> None:
        self.app.screen.query_one(f"#{id}", Widget).focus()
        await self.pilot.pause()


OpenTop = Callable[..., AbstractAsyncContextManager[Terminal]]


@pytest.fixture
def top() -> OpenTop:
    """Open ``later top`` with this client."""

    @asynccontextmanager
    async def open(
        client: Client, filter: Filter = EVERYTHING, *, read_only: bool = False
    ) -> AsyncIterator[Terminal]:
        board = Board(filter)
        board.is_read_only = read_only
        app = TopApp(board, client, interval=timedelta(milliseconds=200))
        async with app.run_test(size=SIZE, notifications=True) as pilot:
            yield Terminal(app, pilot)

    return open
