"""A little in each turn of the event loop."""

import asyncio

import pytest

from later_core.ports.turns import first_in_each_turn, in_turns, turn


async def portions_and_turns(items, size):
    """The portions, and how many turns of the loop passed before each."""
    turns = 0

    def count():
        nonlocal turns
        turns += 1
        asyncio.get_running_loop().call_soon(count)

    count()
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


class TurningLoop(asyncio.SelectorEventLoop):
    """A loop that tells of its turns by hand."""

    def __init__(self):
        super().__init__()
        self.first_in_turn = []

    def begin_turn(self):
        for call in self.first_in_turn:
            call()


def test_what_comes_first_in_each_turn_does_so_inside_alone():
    called = []

    async def main():
        loop = asyncio.get_running_loop()
        with first_in_each_turn(lambda: called.append("one")):
            with first_in_each_turn(lambda: called.append("two")):
                loop.begin_turn()
            loop.begin_turn()
        loop.begin_turn()

    with asyncio.Runner(loop_factory=TurningLoop) as runner:
        runner.run(main())
    assert called == ["one", "two", "one"]


async def test_on_a_loop_that_tells_of_no_turns_nothing_is_called():
    with first_in_each_turn(lambda: pytest.fail("called")):
        await turn()
