"""A little in each turn of the event loop."""

import asyncio

import pytest

from later_core.ports.turns import in_turns


async def portions_and_turns(items, size):
    """The portions, and how many turns of the loop passed before each."""
    turns = 0

    def turn():
        nonlocal turns
        turns += 1
        asyncio.get_running_loop().call_soon(turn)

    turn()
    turns = 0
    return [(list(portion), turns) async for portion in in_turns(items, size)]


@pytest.mark.parametrize(
    ("count", "seen"),
    [
        (0, []),
        (2, [([0, 1], 0)]),
        (3, [([0, 1, 2], 0)]),
        (7, [([0, 1, 2], 0), ([3, 4, 5], 1), ([6], 2)]),
    ],
)
async def test_each_portion_but_the_first_has_a_turn_of_its_own(count, seen):
    assert await portions_and_turns(range(count), 3) == seen
