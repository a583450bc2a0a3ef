"""What the pages of ``later top`` share, and how what a key asks for is carried out."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime

from later_core.cli.top.board import Board
from later_core.cli.top.feed import Feed
from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.ports.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of an order, in a line for people."""

    text: str
    is_done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """``feed`` is None where the board is shown as it is, and nothing is read."""

    board: Board
    client: Client
    clock: Clock
    feed: Feed | None = None

    def now(self) -> datetime:
        """The time that is shown."""
        return self.clock.now()

    def hurry(self) -> None:
        """Read anew at once."""
        if self.feed is not None:
            self.feed.hurry()

    async def carry_out(self, order: Awaitable[object], done: str) -> Answer:
        """Wait for the server's answer; ``done`` is what to say if it is good.

        Who lacks the permission for one of the orders here lacks it for all of them: from then on no
        key offers them. A task that needs a permission of its own says nothing of the others.
        """
        try:
            await order
        except RpcError as error:
            needed = error.metadata.get("needed", "")
            if error.code == "PERMISSION_DENIED" and " of task " not in needed:
                self.board.is_read_only = True
            return Answer(text=str(error), is_done=False)
        self.hurry()
        return Answer(text=done, is_done=True)
