"""A little in each turn of the event loop, so that what is due meanwhile starts on time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar, runtime_checkable

_Item = TypeVar("_Item")


async def turn() -> None:
    """Return in the next turn of the loop, behind all that is ready to run in this one."""
    await asyncio.sleep(0)  # noqa: TID251 - a turn, no time


async def in_turns(items: Sequence[_Item], size: int) -> AsyncIterator[Sequence[_Item]]:
    """The items in portions of this size, with a turn of the loop between two of them.

    Whoever has no more than one portion waits for nothing.
    """
    for at in range(0, len(items), size):
        if at:
            await turn()
        yield items[at : at + size]


@runtime_checkable
class TurningLoop(Protocol):
    """An event loop that can be told what comes first in each of its turns.

    What is called begins work (an asyncio task is run in the same turn then), and is quick.
    """

    first_in_turn: list[Callable[[], object]]


@contextmanager
def first_in_each_turn(call: Callable[[], object]) -> Iterator[None]:
    """Inside, call this at the beginning of each turn of the loop, before what has come in meanwhile.

    On a loop that is no ``TurningLoop`` nothing is called: who needs it to be has a timer too.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, TurningLoop):
        yield
        return
    loop.first_in_turn.append(call)
    try:
        yield
    finally:
        loop.first_in_turn.remove(call)
