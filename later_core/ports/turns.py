"""A little in each turn of the event loop, so that what is due meanwhile starts on time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")


async def in_turns(items: Sequence[_Item], size: int) -> AsyncIterator[Sequence[_Item]]:
    """The items in portions of this size, with a turn of the loop between two of them.

    Whoever has no more than one portion waits for nothing.
    """
    for at in range(0, len(items), size):
        if at:
            await asyncio.sleep(0)  # noqa: TID251 - a turn, no time
        yield items[at : at + size]
